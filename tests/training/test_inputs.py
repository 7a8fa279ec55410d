"""Sentence pairs from records to losses: google's format and packed rows say the same."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from biobert_jax.config import MaskingConfig, MeshConfig, ModelConfig, OptimizerConfig
from biobert_jax.corpus.rows.pair_packing import max_pairs, pack_pairs
from biobert_jax.model.heads import sequence_starts
from biobert_jax.model.masking import MaskedRows, SpecialIds
from biobert_jax.training.initial import initial_state
from biobert_jax.training.inputs import PretrainingInputs, bert_inputs, inputs_of, with_dropout
from biobert_jax.training.objective import init_model, model_of, pretraining_losses
from biobert_jax.training.optimizer import make_optimizer
from biobert_jax.training.schedule import learning_rate
from biobert_jax.training.sharding import device_batch, make_mesh
from biobert_jax.training.step import make_train_step
from tests.data.writing import (
    FORMATS,
    LENGTH,
    PREDICTIONS,
    SPECIAL,
    TOKENS,
    make_pairs,
    make_rows,
    mask_row,
    structured,
)

MODEL = ModelConfig(
    vocab_size=len(TOKENS),
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    intermediate_size=64,
    max_position_embeddings=LENGTH,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
    initializer_range=0.1,
)
IDS = SpecialIds(len(TOKENS), SPECIAL.cls, SPECIAL.sep, SPECIAL.mask)


PAIR_FEATURES = ("input_ids", "sequence_ids", "token_type_ids", "next_sentence_labels")
KEY = jax.random.key(0)


@functools.cache
def initial():
    """The model's graph and first parameters."""
    return init_model(MODEL, 1)


@jax.jit
def losses_of(params, inputs):
    return pretraining_losses(initial()[0], params, inputs)


@jax.jit
def next_sentence_logits(params, ids, numbers, types, noise):
    """Logits of a row's first two sequences, with `noise` added to every embedding."""
    model = nnx.merge(initial()[0], params)
    embedded = model.bert.embeddings(ids, numbers, types, None) + noise
    return model.nsp_logits(
        model.bert.encoder(embedded, numbers, None), sequence_starts(numbers, 2)
    )


def as_batch(rows):
    return {name: jnp.asarray(np.ascontiguousarray(rows[name])) for name in rows.dtype.names}


def make_inputs_of(kind, rows, key=KEY):
    return inputs_of(FORMATS[kind], IDS, MaskingConfig())(as_batch(rows), key)


def alone(pairs):
    """Rows of one pair each, as the packed format has them."""
    rows = [next(pack_pairs([pair], LENGTH, special=SPECIAL)) for pair in pairs]
    return structured(rows, FORMATS["pairs"])


def without_predictions(rows):
    """Packed rows as inputs in which nothing is masked."""
    ids, *rest = (jnp.asarray(rows[name].astype(np.int32)) for name in PAIR_FEATURES)
    nothing = jnp.zeros((len(rows), PREDICTIONS), jnp.int32)
    return PretrainingInputs(MaskedRows(ids, nothing, nothing, nothing.astype(jnp.float32)), *rest)


def test_a_google_row_has_the_losses_of_its_pair_in_a_packed_row():
    _, params = initial()
    pairs = make_pairs(8, seed=0)
    rng = np.random.default_rng(0)
    google = structured([mask_row(pair, rng) for pair in pairs], FORMATS["bert"])
    ours = losses_of(params, bert_inputs(as_batch(google)))

    # The packed rows hold the true ids: their masks are put in by hand.
    rows = alone(pairs)
    positions, weights = google["masked_lm_positions"], google["masked_lm_weights"]
    labels = np.take_along_axis(rows["input_ids"].astype(np.int32), positions, 1)
    for row, position in zip(*np.nonzero(weights), strict=True):
        at = positions[row, position]
        rows["input_ids"][row, at] = google["input_ids"][row, at]
    inputs = without_predictions(rows)
    masked = MaskedRows(
        inputs.masked.input_ids, *(jnp.asarray(x) for x in (positions, labels, weights))
    )
    packed = losses_of(params, inputs._replace(masked=masked))
    assert ours.keys() == packed.keys() == {"mlm_loss", "mlm_accuracy", "nsp_loss", "nsp_accuracy"}
    for name in ours:
        np.testing.assert_allclose(ours[name], packed[name], rtol=1e-6)
    assert ours["nsp_loss"].weight == 8 and ours["mlm_loss"].weight == weights.sum() > 16


@pytest.mark.parametrize("kind", FORMATS)
def test_padding_rows_weigh_nothing(kind):
    rows = make_rows(kind, 0)[:6]
    fill = np.zeros(6, rows.dtype)
    if "next_sentence_labels" in fill.dtype.names:
        fill["next_sentence_labels"] = -1
    inputs = make_inputs_of(kind, np.concatenate([rows, fill]))
    whole = losses_of(initial()[1], inputs)
    twice = losses_of(initial()[1], jax.tree.map(lambda x: jnp.concatenate([x[:6], x[:6]]), inputs))
    for name in whole:
        np.testing.assert_allclose(2 * np.array(whole[name]), twice[name], rtol=1e-5)
        assert whole[name].weight > 0
    assert ("nsp_loss" in whole) == (kind != "mlm")


def test_packed_pairs_are_fed_as_they_are_and_masked_by_key():
    rows = make_rows("pairs", 1)
    assert rows["sequence_ids"].max() == max_pairs(LENGTH) == 2
    inputs, other = (make_inputs_of("pairs", rows, key) for key in (KEY, jax.random.key(1)))
    for name in PAIR_FEATURES[1:]:
        np.testing.assert_array_equal(getattr(inputs, name), rows[name])
        assert getattr(inputs, name).dtype == jnp.int32
    assert (inputs.masked.input_ids != rows["input_ids"]).any()
    assert (inputs.masked.input_ids != other.masked.input_ids).any()


def test_packed_pairs_have_the_next_sentence_losses_of_the_pairs_alone():
    _, params = initial()
    pairs = make_pairs(12, seed=2, longest=16)
    packed = structured(list(pack_pairs(pairs, LENGTH, special=SPECIAL)), FORMATS["pairs"])
    assert len(packed) < len(pairs)
    together = losses_of(params, without_predictions(packed))
    apart = losses_of(params, without_predictions(alone(pairs)))
    for name in ("nsp_loss", "nsp_accuracy"):
        np.testing.assert_allclose(together[name], apart[name], rtol=1e-5)
    assert together["nsp_loss"].weight == 12


def test_next_sentence_logits_are_those_of_the_pair_alone_and_no_gradient_leaks():
    _, params = initial()
    pairs = make_pairs(2, seed=4, longest=12)
    [row] = pack_pairs(pairs, LENGTH, special=SPECIAL)
    ids, numbers, types = (jnp.asarray(x[None], jnp.int32) for x in row[:3])
    noise = jnp.zeros((1, LENGTH, MODEL.hidden_size))
    logits = next_sentence_logits(params, ids, numbers, types, noise)
    gradients = jax.jacrev(lambda n: next_sentence_logits(params, ids, numbers, types, n))(noise)
    for number in (1, 2):
        own = np.asarray(numbers[0]) == number
        size = int(own.sum())
        rows = [jnp.zeros_like(ids).at[0, :size].set(x[0, own]) for x in (ids, numbers, types)]
        rows[1] = jnp.minimum(rows[1], 1)
        single = next_sentence_logits(params, *rows, noise)
        np.testing.assert_allclose(logits[0, number - 1], single[0, 0], atol=1e-5, rtol=0)
        gradient = np.abs(np.asarray(gradients[0, number - 1, :, 0])).max((0, -1))
        assert (gradient[own] > 0).all() and (gradient[~own] == 0).all()
    # They hang on the token types.
    other = next_sentence_logits(params, ids, numbers, jnp.zeros_like(types), noise)
    assert np.abs(other - logits).max() > 1e-3


def test_next_sentences_are_learnt():
    rows = np.concatenate([make_rows("pairs", seed) for seed in range(4)])
    graph, create_params = model_of(MODEL, 1)
    config = OptimizerConfig(name="adamw", learning_rate=3e-3, warmup_steps=5)
    mesh, steps = make_mesh(MeshConfig()), 120
    optimizer = make_optimizer(config, steps)
    make_inputs = inputs_of(FORMATS["pairs"], IDS, MaskingConfig())
    state, _ = initial_state(create_params, None, optimizer, mesh)
    step = make_train_step(
        with_dropout(make_inputs),
        functools.partial(pretraining_losses, graph),
        optimizer,
        learning_rate(config, steps),
        mesh,
        0,
        like=state,
    )
    unseen = make_inputs_of("pairs", make_rows("pairs", 99))
    assert losses_of(state.params, unseen)["nsp_accuracy"].mean() < 0.7
    rng = np.random.default_rng(0)
    for _ in range(steps):
        batch = rng.choice(rows, 16)
        batch = {name: np.ascontiguousarray(batch[name]) for name in batch.dtype.names}
        state, metrics = step(state, device_batch(mesh, batch))
    np.testing.assert_allclose(
        metrics["loss"], metrics["mlm_loss"] + metrics["nsp_loss"], rtol=1e-6
    )
    assert losses_of(state.params, unseen)["nsp_accuracy"].mean() > 0.95
