"""Packed rows give each head the outputs of the sequences alone; no gradient between them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from biobert_jax.config import ModelConfig
from biobert_jax.corpus.text.tokenization import SpecialTokens
from biobert_jax.model.heads import (
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
)
from biobert_jax.tasks.rows import pack

SPECIAL = SpecialTokens(0, 1, 2, 3, 4)
LENGTH = 32
HEADS = {
    "token": lambda config, rngs: BertForTokenClassification(config, 3, rngs=rngs),
    "cls": lambda config, rngs: BertForSequenceClassification(config, 3, rngs=rngs),
    "markers": lambda config, rngs: BertForSequenceClassification(
        config, 3, pooling="markers", rngs=rngs
    ),
    "span": lambda config, rngs: BertForQuestionAnswering(config, rngs=rngs),
}


def model_of(head, attention):
    config = ModelConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=LENGTH,
        attention=attention,
        initializer_range=0.2,
    )
    return HEADS[head](config, nnx.Rngs(0))


def sequences():
    draw = np.random.default_rng(0)
    return [[2, *draw.integers(5, 50, n).tolist(), 3] for n in (9, 4, 12, 7, 15)]


def by_sequence(head, model, rows, words=None, seeds=None):
    """The head's outputs of each sequence, in order."""
    arrays = {name: jnp.asarray(array) for name, array in rows.inputs().items()}
    if head in ("cls", "markers"):
        places = rows.offsets[:, None] + (np.array([1, 3]) if head == "markers" else np.array([0]))
        positions = rows.of_sequences(places.astype(np.int32), fill=0)
        found = model(
            **arrays, positions=positions if head == "markers" else positions[..., 0], seeds=seeds
        )
        return [found[row, k] for row, k in zip(rows.places, rows.numbers, strict=True)]
    found = model(arrays["input_ids"], arrays["sequence_ids"], seeds=seeds)
    return [
        found[row, start : start + len(ids)]
        for row, start, ids in zip(rows.places, rows.offsets, sequences(), strict=True)
    ]


@pytest.mark.parametrize("attention", ["xla", "fused"])
@pytest.mark.parametrize("head", HEADS)
def test_a_packed_sequence_is_as_alone(head, attention):
    model = model_of(head, attention)
    together = by_sequence(head, model, pack(sequences(), LENGTH, SPECIAL))
    for number, ids in enumerate(sequences()):
        rows = pack([ids], LENGTH, SPECIAL)
        arrays = {name: jnp.asarray(array) for name, array in rows.inputs().items()}
        if head in ("cls", "markers"):
            positions = np.array([[0]] if head == "cls" else [[[1, 3]]], np.int32)
            alone = model(**arrays, positions=positions)[0, 0]
        else:
            alone = model(arrays["input_ids"], arrays["sequence_ids"])[0, : len(ids)]
        np.testing.assert_allclose(together[number], alone, atol=1e-5)


@pytest.mark.parametrize("head", HEADS)
def test_no_gradient_runs_from_one_sequence_into_another(head):
    """Each word stands in one sequence alone, so its embedding's gradient says whose it is."""
    model = model_of(head, "xla")
    own, first = [], 5
    for length in (5, 4, 6):
        own.append([2, *range(first, first + length), 3])
        first += length
    rows = pack(own, LENGTH, SPECIAL)
    graph, params = nnx.split(model)
    seeds = jnp.ones((len(rows), 2), jnp.uint32)

    def loss(params):
        model = nnx.merge(graph, params)
        arrays = {name: jnp.asarray(array) for name, array in rows.inputs().items()}
        if head in ("cls", "markers"):
            places = rows.offsets[:, None] + np.array([0] if head == "cls" else [1, 3])
            positions = rows.of_sequences(places.astype(np.int32), fill=0)
            positions = positions[..., 0] if head == "cls" else positions
            found = model(**arrays, positions=positions, seeds=seeds)
            return jnp.sum(found[rows.places[1], rows.numbers[1]] ** 2)
        found = model(arrays["input_ids"], arrays["sequence_ids"], seeds=seeds)
        start = rows.offsets[1]
        return jnp.sum(found[rows.places[1], start : start + len(own[1])] ** 2)

    gradient = jax.grad(loss)(params)
    table = np.asarray(
        nnx.to_pure_dict(gradient)["bert"]["embeddings"]["word_embeddings"]["embedding"]
    )
    others = [word for ids in (own[0], own[2]) for word in ids[1:-1]]
    assert (table[others] == 0).all()
    assert (np.abs(table[own[1][1:-1]]).max(-1) > 0).all()
