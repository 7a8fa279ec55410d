"""Losses against torch-free formulas: what weighs nothing, weights, spans within a sequence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from biobert_jax.tasks import losses

DRAW = np.random.default_rng(0)


def log_softmax(x):
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def test_classes_without_a_target_weigh_nothing():
    logits = DRAW.normal(size=(2, 3, 4)).astype(np.float32)
    labels = np.array([[0, -1, 3], [2, 2, -1]])
    found = losses.class_losses(logits, labels)
    chosen = [log_softmax(logits[i, j])[labels[i, j]] for i, j in np.argwhere(labels >= 0)]
    assert float(found["label_loss"].total) == pytest.approx(-sum(chosen), rel=1e-5)
    assert float(found["label_loss"].weight) == 4
    weighted = losses.class_losses(logits, labels, np.array([1.0, 1.0, 2.0, 0.5], np.float32))
    assert float(weighted["label_loss"].weight) == 1 + 0.5 + 2 + 2


def test_several_labels_are_sigmoids():
    logits = DRAW.normal(size=(2, 3)).astype(np.float32)
    targets = np.array([[1, 0, np.nan], [0, 0, 1]], np.float32)
    found = losses.multi_label_losses(logits, targets)["label_loss"]
    chances = 1 / (1 + np.exp(-logits))
    each = -(targets * np.log(chances) + (1 - targets) * np.log(1 - chances))
    assert float(found.total) == pytest.approx(np.nansum(each), rel=1e-5)
    assert float(found.weight) == 5


def test_squared_errors_and_their_gradient_pass_over_what_is_missing():
    values = jnp.array([1.0, 2.0, 3.0])
    targets = jnp.array([0.0, jnp.nan, 5.0])
    found = losses.squared_losses(values, targets)["squared_loss"]
    assert (float(found.total), float(found.weight)) == (5, 2)
    gradient = jax.grad(lambda v: losses.squared_losses(v, targets)["squared_loss"].total)(values)
    assert gradient.tolist() == [2, 0, -4]


def test_a_span_is_sought_within_its_own_sequence():
    logits = DRAW.normal(size=(1, 8, 2)).astype(np.float32)
    ids = np.array([[1, 1, 1, 2, 2, 2, 2, 0]])
    spans = np.array([[[1, 2], [4, 6], [-1, -1]]])
    found = losses.span_losses(logits, ids, spans)
    expected = 0.0
    for own, (start, end) in ((slice(0, 3), (1, 2)), (slice(3, 7), (1, 3))):
        for side, place in ((0, start), (1, end)):
            expected -= log_softmax(logits[0, own, side])[place] / 2
    assert float(found["span_loss"].total) == pytest.approx(expected, rel=1e-5)
    assert float(found["span_loss"].weight) == 2
    sums = losses.sequence_log_sums(jnp.asarray(logits), ids, 3)
    assert sums.shape == (1, 3, 2) and bool(jnp.isfinite(sums).all())
    gradient = jax.grad(lambda x: losses.span_losses(x, ids, spans)["span_loss"].total)(
        jnp.asarray(logits)
    )
    assert bool(jnp.isfinite(gradient).all()) and not gradient[0, 7].any()
