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


def outputs(ids, sequence_ids, seeds=None, **changes):
    """The encoder's outputs, in one program."""
    graph, params = nnx.split(make_model(**changes))

    @jax.jit
    def run(params, ids, sequence_ids, seeds):
        return nnx.merge(graph, params).bert(ids, sequence_ids, seeds=seeds)

    return np.asarray(run(params, ids, sequence_ids, seeds))


def alone_rows(ids, sequence_ids):
    """Each sequence of a packed row at the start of a row of its own, [sequences, LENGTH]."""
    rows = np.zeros((2, len(LENGTHS), LENGTH), np.int32)
    for number, length in enumerate(LENGTHS, 1):
        rows[0, number - 1, :length] = ids[sequence_ids == number]
        rows[1, number - 1, :length] = 1
    return rows


@pytest.mark.parametrize("attention", IMPLEMENTATIONS)
@pytest.mark.parametrize("scan_layers", [True, False])
def test_packed_equals_alone(attention, scan_layers):
    ids, sequence_ids = packed_row(np.random.default_rng(0))
    alone = alone_rows(ids, sequence_ids)
    # Rows of a batch know nothing of each other: one program does for all.
    packed, *found = outputs(
        np.concatenate([ids, alone[0]]),
        np.concatenate([sequence_ids, alone[1]]),
        attention=attention,
        scan_layers=scan_layers,
    )
    for number, length in enumerate(LENGTHS, 1):
        at = sequence_ids[0] == number
        np.testing.assert_allclose(packed[at], found[number - 1][:length], atol=1e-5, rtol=0)


def test_padding_changes_nothing():
    ids, sequence_ids = packed_row(np.random.default_rng(0))
    padded = outputs(*alone_rows(ids, sequence_ids))
    for number, length in enumerate(LENGTHS, 1):
        at = sequence_ids[0] == number
        [whole] = outputs(ids[:, at], np.ones((1, length), np.int32))
        np.testing.assert_allclose(padded[number - 1][:length], whole, atol=1e-5, rtol=0)


@pytest.mark.parametrize("attention", IMPLEMENTATIONS)
def test_no_gradient_flows_between_sequences(attention):
    model = make_model(attention=attention)
    ids, sequence_ids = packed_row(np.random.default_rng(1))
    size = model.bert.embeddings.word_embeddings.embedding.shape[1]
    noise = jnp.zeros((1, LENGTH, size))
    graph, params = nnx.split(model)

    @jax.jit
    @functools.partial(jax.grad, argnums=2)
    def gradient_of(number, params, noise):
        """Of one sequence's loss, as a function of what is added to every embedding."""
        model = nnx.merge(graph, params)
        embedded = model.bert.embeddings(ids, sequence_ids, jnp.zeros_like(ids), None) + noise
        hidden = model.bert.encoder(embedded, jnp.array(sequence_ids), None)
        return jnp.sum(jnp.sin(hidden) * (sequence_ids == number)[..., None])

    for number in range(1, len(LENGTHS) + 1):
        gradient = np.asarray(gradient_of(number, params, noise))[0]
        own = sequence_ids[0] == number
        assert np.all(np.abs(gradient[own]).max(-1) > 0)
        assert np.all(gradient[~own] == 0.0)


def test_positions_restart_and_starts_are_found():
    sequence_ids = jnp.array([[1, 1, 1, 2, 2, 3, 0, 0], [1, 1, 1, 1, 1, 1, 1, 1]])
    positions = packed_positions(sequence_ids)
    assert positions[0, :6].tolist() == [0, 1, 2, 0, 1, 0]
    assert positions[1].tolist() == list(range(8))
    assert sequence_starts(sequence_ids, 3).tolist() == [[0, 3, 5], [0, 0, 0]]


def test_dropout_needs_seeds_and_follows_them():
    row = packed_row(np.random.default_rng(2))
    rows = [np.repeat(x, 3, axis=0) for x in row]
    seeds = jnp.concatenate([row_seeds(jax.random.key(key), 1) for key in (0, 0, 1)])
    dropped, again, other = outputs(*rows, seeds=seeds)
    assert np.array_equal(dropped, again)
    assert not np.array_equal(dropped, other)
    assert not np.array_equal(dropped, outputs(*row)[0])


@functools.cache
def gradient(**changes):
    """Of a loss over a packed row with dropout, every parameter's."""
    ids, sequence_ids = packed_row(np.random.default_rng(3))
    seeds = row_seeds(jax.random.key(0), 1)
    graph, params = nnx.split(make_model(**changes))

    @jax.jit
    @jax.grad
    def of_loss(params):
        hidden = nnx.merge(graph, params).bert(ids, sequence_ids, seeds=seeds)
        return jnp.sum(jnp.sin(hidden))

    return jax.tree.leaves(of_loss(params))


@pytest.mark.parametrize(
    ("remat", "scan_layers"),
    [
        *((remat, True) for remat in REMAT[1:]),
        *(pytest.param(remat, False, marks=pytest.mark.slow) for remat in REMAT),
    ],
)
def test_rematerialisation_changes_no_gradient(remat, scan_layers):
    expected = gradient(remat="none", scan_layers=True)
    found = gradient(remat=remat, scan_layers=scan_layers)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5, rtol=1e-4)
