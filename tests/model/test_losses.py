"""The vocabulary's loss and the small layers against the plain computation and its gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from biobert_jax.model.layers import ACTIVATIONS, look_up, normalise
from biobert_jax.model.losses import vocabulary_cross_entropy


def arrays(*shapes, dtype=jnp.float32):
    keys = jax.random.split(jax.random.key(0), len(shapes))
    return [jax.random.normal(k, s).astype(dtype) for k, s in zip(keys, shapes, strict=True)]


def assert_equal(one, other, tolerance):
    scale = float(jnp.abs(other).max())
    np.testing.assert_allclose(one, other, atol=tolerance * scale, rtol=0)


def test_vocabulary_cross_entropy_equals_the_plain_one():
    x, table, bias, weights = arrays((3, 5, 16), (211, 16), (211,), (3, 5))
    labels = jax.random.randint(jax.random.key(1), (3, 5), 0, 211)

    def ours(x, table, bias):
        losses, _ = vocabulary_cross_entropy(x, table, bias, labels)
        return jnp.sum(losses * weights)

    def plain(x, table, bias):
        logits = jnp.einsum("bph,vh->bpv", x, table) + bias
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
        return jnp.sum(losses * weights)

    assert_equal(ours(x, table, bias), plain(x, table, bias), 1e-6)
    found = jax.grad(ours, argnums=(0, 1, 2))(x, table, bias)
    expected = jax.grad(plain, argnums=(0, 1, 2))(x, table, bias)
    for one, other in zip(found, expected, strict=True):
        assert_equal(one, other, 1e-6)
    _, correct = vocabulary_cross_entropy(x, table, bias, labels)
    logits = jnp.einsum("bph,vh->bpv", x, table) + bias
    best = jnp.argmax(logits, -1)
    assert np.array_equal(correct, best == labels)
    assert np.all(vocabulary_cross_entropy(x, table, bias, best)[1])


def test_vocabulary_cross_entropy_in_bfloat16_is_near():
    x, table, bias = arrays((3, 5, 16), (211, 16), (211,))
    labels = jax.random.randint(jax.random.key(1), (3, 5), 0, 211)
    narrow = vocabulary_cross_entropy(x.astype(jnp.bfloat16), table, bias, labels)[0]
    assert narrow.dtype == jnp.float32
    np.testing.assert_allclose(
        narrow, vocabulary_cross_entropy(x, table, bias, labels)[0], atol=0.2
    )


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_normalise_equals_the_plain_one(dtype):
    x, scale, bias, cotangent = arrays((4, 7, 64), (64,), (64,), (4, 7, 64))
    x = (3 * x + 2).astype(dtype)

    def plain(x, scale, bias):
        x = x.astype(jnp.float32)
        x = x - x.mean(-1, keepdims=True)
        return x / jnp.sqrt(jnp.mean(x * x, -1, keepdims=True) + 1e-12) * scale + bias

    y, pull_back = jax.vjp(lambda *a: normalise(*a, 1e-12).astype(jnp.float32), x, scale, bias)
    expected, expected_pull_back = jax.vjp(plain, x, scale, bias)
    tolerance = 1e-6 if dtype == jnp.float32 else 1e-2
    assert_equal(y, expected, tolerance)
    for one, other in zip(pull_back(cotangent), expected_pull_back(cotangent), strict=True):
        assert_equal(one.astype(jnp.float32), other.astype(jnp.float32), 2 * tolerance)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_gelu_equals_jax(dtype):
    x = jnp.linspace(-6, 6, 999)
    y, pull_back = jax.vjp(ACTIVATIONS["gelu"], x.astype(dtype))
    exact, exact_pull_back = jax.vjp(lambda x: jax.nn.gelu(x, approximate=False), x)
    tolerance = 1e-7 if dtype == jnp.float32 else 4e-3
    assert_equal(y.astype(jnp.float32), exact, tolerance)
    one = jnp.ones_like(x)
    assert_equal(pull_back(one.astype(dtype))[0].astype(jnp.float32), exact_pull_back(one)[0], 4e-3)


@pytest.mark.parametrize("rows", [2, 50])
def test_the_gradient_of_a_look_up_loses_nothing_in_bfloat16(rows):
    ids = jnp.array([1] * 5000 + [0])
    [cotangent] = arrays((5001, 8))
    table = jnp.ones((rows, 8), jnp.bfloat16)
    [gradient] = jax.vjp(lambda t: look_up(t, ids).astype(jnp.float32), table)[1](cotangent + 1)
    expected = (cotangent.astype(jnp.bfloat16).astype(jnp.float32) + 1)[:-1].sum(0)
    assert gradient.dtype == jnp.bfloat16
    np.testing.assert_allclose(gradient[1].astype(jnp.float32), expected, rtol=1e-2)
