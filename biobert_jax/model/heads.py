"""BERT's heads: pooler, masked LM, next sentence; labels of tokens, of sequences, and spans."""

from typing import NamedTuple

import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array

from biobert_jax.config import ModelConfig
from biobert_jax.model.bert import Bert
from biobert_jax.model.dropout import dropout, fold_in
from biobert_jax.model.layers import ACTIVATIONS, dense, layer_norm
from biobert_jax.model.losses import vocabulary_cross_entropy


class WeightedSum(NamedTuple):
    """A loss as a sum and its weight: divided once, after the sum over rows and devices."""

    total: Array
    weight: Array

    def mean(self) -> Array:
        """The weighted mean; 0 where nothing was weighed."""
        return self.total / jnp.maximum(self.weight, 1e-5)


def sequence_starts(sequence_ids: Array, count: int) -> Array:
    """Where each of a row's first `count` sequences starts (its [CLS]), int32 [B, count].

    Sequences a row has not give 0: weigh them with 0.
    """
    numbers = jnp.arange(1, count + 1)
    return jnp.argmax(sequence_ids[:, None, :] == numbers[:, None], axis=-1)


def gather(x: Array, positions: Array) -> Array:
    """Picks `x` [B, L, H] at `positions` [B, P], giving [B, P, H]."""
    return jnp.take_along_axis(x, positions[..., None], axis=1)


class MaskedLMHead(nnx.Module):
    """Dense, activation and LayerNorm, then the word embeddings transposed, plus a bias."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
        self.transform = dense(config, config.hidden_size, config.hidden_size, rngs=rngs)
        self.layer_norm = layer_norm(config, rngs=rngs)
        self.bias = nnx.Param(jnp.zeros(config.vocab_size))
        self.activation = config.hidden_act

    def __call__(self, x: Array, word_embeddings: Array) -> Array:
        """`x` [B, P, H] and the tied table [V, H] to float32 logits [B, P, V]."""
        x = self.features(x)
        table = word_embeddings.astype(x.dtype)
        logits = jnp.einsum("bph,vh->bpv", x, table, preferred_element_type=jnp.float32)
        return logits + self.bias

    def features(self, x: Array) -> Array:
        """What is multiplied by the table: [..., H] to the same."""
        return self.layer_norm(ACTIVATIONS[self.activation](self.transform(x)))

    def losses(self, x: Array, word_embeddings: Array, labels: Array) -> tuple[Array, Array]:
        """Of each label [B, P]: -log p(label), and whether no other is likelier."""
        return vocabulary_cross_entropy(self.features(x), word_embeddings, self.bias[...], labels)


class BertForPreTraining(nnx.Module):
    """BERT with pooler, masked LM and next-sentence heads."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
        self.bert = Bert(config, rngs=rngs)
        self.pooler = dense(config, config.hidden_size, config.hidden_size, rngs=rngs)
        self.mlm = MaskedLMHead(config, rngs=rngs)
        self.nsp = dense(config, config.hidden_size, 2, rngs=rngs)

    def mlm_logits(self, hidden: Array, positions: Array) -> Array:
        """Float32 logits [B, P, V] at `positions` [B, P] of `hidden` [B, L, H]."""
        table = self.bert.embeddings.word_embeddings.embedding[...]
        return self.mlm(gather(hidden, positions), table)

    def word_copies(self, num_rows: int) -> Array:
        """The word embeddings, for `bert(words=)` and `mlm_losses` of the same rows."""
        return self.bert.embeddings.word_embeddings.copies(num_rows)

    def mlm_losses(
        self, hidden: Array, positions: Array, labels: Array, words: Array
    ) -> tuple[Array, Array]:
        """Float32 [B, P] -log p(label) at `positions` of `hidden`, bool [B, P] where it is first.

        The same as from `mlm_logits`, with a derivative that needs less memory. `words` are
        `word_copies(B)`.
        """
        return self.mlm.losses(gather(hidden, positions), words, labels)

    def nsp_logits(self, hidden: Array, starts: Array) -> Array:
        """Float32 logits [B, K, 2] for the sequences that start at `starts` [B, K]."""
        pooled = jnp.tanh(self.pooler(gather(hidden, starts)))
        return self.nsp(pooled).astype(jnp.float32)


class BertForTokenClassification(nnx.Module):
    """BERT with a linear layer that labels every token."""

    def __init__(self, config: ModelConfig, num_labels: int, *, rngs: nnx.Rngs):
        self.bert = Bert(config, rngs=rngs)
        self.classifier = dense(config, config.hidden_size, num_labels, rngs=rngs)
        self.dropout_rate = config.hidden_dropout_prob

    def __call__(
        self, input_ids: Array, sequence_ids: Array, *, seeds: Array | None = None
    ) -> Array:
        """Rows [B, L] to float32 logits [B, L, labels]; `seeds` of dropout, uint32 [B, 2]."""
        hidden = self.bert(input_ids, sequence_ids, seeds=seeds)
        return self.classifier(_drop(hidden, self.dropout_rate, seeds)).astype(jnp.float32)


class BertForSequenceClassification(nnx.Module):
    """BERT with a linear layer over each sequence: over its pooled [CLS], or over two markers.

    [CLS] is upstream's (`run_classifier.py`). The vectors at the two entities' opening markers,
    one after the other, are Baldini Soares et al.'s (2019, "entity start"); there is no pooler.
    """

    def __init__(
        self, config: ModelConfig, num_labels: int, *, pooling: str = "cls", rngs: nnx.Rngs
    ):
        self.bert = Bert(config, rngs=rngs)
        size = config.hidden_size
        if pooling == "cls":
            self.pooler = dense(config, size, size, rngs=rngs)
        self.classifier = dense(
            config, size if pooling == "cls" else 2 * size, num_labels, rngs=rngs
        )
        self.pooling = pooling
        self.dropout_rate = config.hidden_dropout_prob

    def __call__(
        self,
        input_ids: Array,
        sequence_ids: Array,
        token_type_ids: Array | None = None,
        *,
        positions: Array,
        seeds: Array | None = None,
    ) -> Array:
        """Rows [B, L] of K sequences each to float32 logits [B, K, labels].

        Args:
          positions: int [B, K], of each sequence's [CLS]; or int [B, K, 2], of its two markers.
          seeds: of dropout, uint32 [B, 2]; None: no dropout.
        """
        hidden = self.bert(input_ids, sequence_ids, token_type_ids, seeds)
        if self.pooling == "cls":
            pooled = jnp.tanh(self.pooler(gather(hidden, positions)))
        else:
            batch, count, _ = positions.shape
            pooled = gather(hidden, positions.reshape(batch, -1)).reshape(batch, count, -1)
        return self.classifier(_drop(pooled, self.dropout_rate, seeds)).astype(jnp.float32)


class BertForQuestionAnswering(nnx.Module):
    """BERT with a linear layer that scores each token as an answer's start and as its end."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
        self.bert = Bert(config, rngs=rngs)
        self.qa_outputs = dense(config, config.hidden_size, 2, rngs=rngs)

    def __call__(
        self,
        input_ids: Array,
        sequence_ids: Array,
        token_type_ids: Array | None = None,
        *,
        seeds: Array | None = None,
    ) -> Array:
        """Rows [B, L] to float32 logits [B, L, 2]: of starts, of ends."""
        hidden = self.bert(input_ids, sequence_ids, token_type_ids, seeds)
        return self.qa_outputs(hidden).astype(jnp.float32)


def _drop(x: Array, rate: float, seeds: Array | None) -> Array:
    return x if seeds is None else dropout(x, rate, fold_in(seeds, -1))


def cross_entropy(logits: Array, labels: Array, weights: Array) -> WeightedSum:
    """Sum of weights * -log p(label), and the sum of weights.

    Args:
      logits: float32 [..., classes].
      labels: int [...]; any value in range where the weight is 0.
      weights: float [...].
    """
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    return WeightedSum(jnp.sum(losses * weights), jnp.sum(weights))
