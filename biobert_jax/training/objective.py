"""The pre-training objective: BERT with its heads, and the losses of masked rows."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from biobert_jax.config import ModelConfig
from biobert_jax.model.heads import (
    BertForPreTraining,
    WeightedSum,
    cross_entropy,
    sequence_starts,
)
from biobert_jax.training.inputs import PretrainingInputs

# Heads that only sentence pairs train.
NSP_HEADS = ("pooler", "nsp")


def model_of(config: ModelConfig, seed: int) -> tuple[Any, Callable[[], dict[str, Any]]]:
    """The model's graph, and what makes its fresh parameters: a function of `seed`.

    Trace the latter (`initial.initial_state`, or `jax.jit`); it gives a nested dict.
    """
    graph = nnx.split(nnx.eval_shape(lambda: BertForPreTraining(config, rngs=nnx.Rngs(0))))[0]

    def create():
        model = BertForPreTraining(config, rngs=nnx.Rngs(jax.random.key(seed)))
        return nnx.to_pure_dict(nnx.split(model)[1])

    return graph, create


def init_model(config: ModelConfig, seed: int) -> tuple[Any, dict[str, Any]]:
    """The model's graph and fresh parameters on the default device."""
    graph, create = model_of(config, seed)
    return graph, jax.jit(create)()


def pretraining_losses(
    graph: Any, params: Any, inputs: PretrainingInputs
) -> dict[str, WeightedSum]:
    """Masked LM loss and accuracy and, where there are labels of pairs, the next sentence's."""
    model = nnx.merge(graph, params)
    masked = inputs.masked
    words = model.word_copies(len(masked.input_ids))
    hidden = model.bert(
        masked.input_ids,
        inputs.sequence_ids,
        inputs.token_type_ids,
        inputs.dropout_seeds,
        words=words,
    )
    losses, correct = model.mlm_losses(hidden, masked.positions, masked.labels, words)
    weight = jnp.sum(masked.weights)
    results = {
        "mlm_loss": WeightedSum(jnp.sum(losses * masked.weights), weight),
        "mlm_accuracy": WeightedSum(jnp.sum(correct * masked.weights), weight),
    }
    if inputs.next_sentence_labels is not None:
        labels = inputs.next_sentence_labels
        logits = model.nsp_logits(hidden, sequence_starts(inputs.sequence_ids, labels.shape[1]))
        weights = (labels >= 0).astype(jnp.float32)
        correct = (jnp.argmax(logits, -1) == labels) * weights
        results["nsp_loss"] = cross_entropy(logits, jnp.maximum(labels, 0), weights)
        results["nsp_accuracy"] = WeightedSum(jnp.sum(correct), jnp.sum(weights))
    return results
