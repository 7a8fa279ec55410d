"""A packed row is exactly its sequences alone: same outputs, no gradient from one into another."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from biobert_jax.config import REMAT, ModelConfig
from biobert_jax.model.bert import packed_positions
from biobert_jax.model.dropout import row_seeds
from biobert_jax.model.heads import sequence_starts
from biobert_jax.training.objective import init_model, model_of

LENGTHS = (7, 12, 5)
LENGTH = 32
# cudnn runs on a GPU alone; what keeps its sequences apart is in test_attention.py.
IMPLEMENTATIONS = ("xla", "fused", "splash", "triton")


SIZES = {
    "vocab_size": 97,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": LENGTH,
}


@functools.cache
def parameters():
    """Of every model here: how it is computed changes none."""
    _, params = init_model(ModelConfig(**SIZES), 1)
    return jax.tree.map(lambda x: x * 3, params)


def make_model(**changes):
    graph, _ = model_of(ModelConfig(**SIZES, **changes), 1)
    return nnx.merge(graph, parameters())


def packed_row(rng):
    ids = np.zeros((1, LENGTH), np.int32)
    sequence_ids = np.zeros((1, LENGTH), np.int32)
    start = 0
    for number, length in enumerate(LENGTHS, 1):
        ids[0, start : start + length] = rng.integers(1, 97, length)
        sequence_ids[0, start : start + length] = number
        start += length
    return ids, sequence_ids


@pytest.mark.parametrize("attention", IMPLEMENTATIONS)
@pytest.mark.parametrize("scan_layers", [True, False])
def test_packed_equals_alone(attention, scan_layers):
    model = make_model(attention=attention, scan_layers=scan_layers)
    ids, sequence_ids = packed_row(np.random.default_rng(0))
    packed = model.bert(ids, sequence_ids)
    for number in range(1, len(LENGTHS) + 1):
        at = sequence_ids[0] == number
        alone = model.bert(ids[:, at], np.ones((1, at.sum()), np.int32))
        np.testing.assert_allclose(packed[0, at], alone[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("attention", IMPLEMENTATIONS)
def test_no_gradient_flows_between_sequences(attention):
    model = make_model(attention=attention)
    ids, sequence_ids = packed_row(np.random.default_rng(1))
    size = model.bert.embeddings.word_embeddings.embedding.shape[1]
    noise = jnp.zeros((1, LENGTH, size))

    def loss_of(number, noise):
        """The loss of one sequence as a function of what is added to every embedding."""
        embedded = model.bert.embeddings(ids, sequence_ids, jnp.zeros_like(ids), None) + noise
        hidden = model.bert.encoder(embedded, jnp.array(sequence_ids), None)
        return jnp.sum(jnp.sin(hidden) * (sequence_ids == number)[..., None])

    for number in range(1, len(LENGTHS) + 1):
        gradient = jax.grad(loss_of, argnums=1)(number, noise)[0]
        own = sequence_ids[0] == number
        assert np.all(np.abs(gradient[own]).max(-1) > 0)
        assert np.all(np.asarray(gradient[~own]) == 0.0)


def test_positions_restart_and_starts_are_found():
    sequence_ids = jnp.array([[1, 1, 1, 2, 2, 3, 0, 0], [1, 1, 1, 1, 1, 1, 1, 1]])
    positions = packed_positions(sequence_ids)
    assert positions[0, :6].tolist() == [0, 1, 2, 0, 1, 0]
    assert positions[1].tolist() == list(range(8))
    assert sequence_starts(sequence_ids, 3).tolist() == [[0, 3, 5], [0, 0, 0]]


def test_dropout_needs_seeds_and_follows_them():
    model = make_model()
    ids, sequence_ids = packed_row(np.random.default_rng(2))
    seeds = row_seeds(jax.random.key(0), 1)
    dropped = model.bert(ids, sequence_ids, seeds=seeds)
    assert np.array_equal(dropped, model.bert(ids, sequence_ids, seeds=seeds))
    other = row_seeds(jax.random.key(1), 1)
    assert not np.array_equal(dropped, model.bert(ids, sequence_ids, seeds=other))
    assert not np.array_equal(dropped, model.bert(ids, sequence_ids))


@pytest.mark.parametrize("remat", REMAT)
def test_rematerialisation_changes_no_gradient(remat):
    ids, sequence_ids = packed_row(np.random.default_rng(3))
    seeds = row_seeds(jax.random.key(0), 1)

    def gradient(**changes):
        graph, params = nnx.split(make_model(**changes))

        @jax.jit
        @jax.grad
        def of_loss(params):
            hidden = nnx.merge(graph, params).bert(ids, sequence_ids, seeds=seeds)
            return jnp.sum(jnp.sin(hidden))

        return of_loss(params)

    expected = jax.tree.leaves(gradient())
    for scan_layers in (True, False):
        found = jax.tree.leaves(gradient(remat=remat, scan_layers=scan_layers))
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5, rtol=1e-4)
