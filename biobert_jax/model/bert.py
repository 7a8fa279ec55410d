"""The BERT encoder (Devlin et al. 2019; upstream `modeling.py`) over packed rows.

Shapes: B rows, L positions a row, H hidden size. A row holds several sequences, told apart by
`sequence_ids` (1, 2, … in order; 0 is padding); positions restart at each of them. A row with one
sequence is plain BERT. Parameters are float32; activations have `config.dtype`; LayerNorm
statistics and softmax are float32.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from biobert_jax.config import ModelConfig
from biobert_jax.model import loops
from biobert_jax.model.attention import attention, block_columns, choose, fused
from biobert_jax.model.dropout import dropout, fold_in
from biobert_jax.model.feed_forward import feed_forward
from biobert_jax.model.fused_attention import interleave
from biobert_jax.model.layers import Embed, dense, layer_norm, look_up_copies
from biobert_jax.model.partitioning import HEADS, HIDDEN, WIDE, constrain


def packed_positions(sequence_ids: Array) -> Array:
    """Position of each token within its own sequence, int32 [B, L]."""
    index = jnp.arange(sequence_ids.shape[1])
    previous = jnp.pad(sequence_ids[:, :-1], ((0, 0), (1, 0)), constant_values=-1)
    starts = jnp.where(sequence_ids != previous, index, 0)
    return index - jax.lax.cummax(starts, axis=1)


class Embeddings(nnx.Module):
    """Word + position + token type, LayerNorm, dropout."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
        def table(size):
            return Embed(
                size,
                config.hidden_size,
                embedding_init=nnx.initializers.truncated_normal(config.initializer_range),
                dtype=jnp.dtype(config.dtype),
                rngs=rngs,
            )

        self.word_embeddings = table(config.vocab_size)
        self.position_embeddings = table(config.max_position_embeddings)
        self.token_type_embeddings = table(config.type_vocab_size)
        self.layer_norm = layer_norm(config, rngs=rngs)
        self.dropout_rate = config.hidden_dropout_prob

    def __call__(self, input_ids, sequence_ids, token_type_ids, seeds, words=None) -> Array:
        words = self.word_embeddings.copies(len(input_ids)) if words is None else words
        x = look_up_copies(words, input_ids)
        x = x + self.position_embeddings(packed_positions(sequence_ids))
        x = x + self.token_type_embeddings(token_type_ids)
        x = self.layer_norm(constrain(x, HIDDEN))
        return dropout(x, self.dropout_rate, _fold_in(seeds, 0))


class SelfAttention(nnx.Module):
    """Multi-head self-attention with its output projection."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
        size = config.hidden_size
        self.query = dense(config, size, size, rngs=rngs)
        self.key = dense(config, size, size, rngs=rngs)
        self.value = dense(config, size, size, rngs=rngs)
        self.output = dense(config, size, size, rngs=rngs)
        self.num_heads = config.num_attention_heads
        self.implementation = config.attention
        self.dropout_rate = config.attention_probs_dropout_prob

    def __call__(self, x: Array, sequence_ids: Array, seeds: Array | None) -> Array:
        hidden = x.shape[-1]
        dropping = seeds is not None and self.dropout_rate > 0
        name = choose(self.implementation, dropping, x.shape[1], hidden, hidden // self.num_heads)
        if name == "fused":
            context = self._fused(x, sequence_ids, seeds)
        else:
            context = attention(
                *(self._heads(y, x) for y in (self.query, self.key, self.value)),
                sequence_ids,
                implementation=name,
                dropout_rate=self.dropout_rate,
                dropout_seeds=seeds,
            )
        return self.output(context.reshape(x.shape))

    def _heads(self, projection, x: Array) -> Array:
        return constrain(projection(x).reshape(*x.shape[:2], self.num_heads, -1), HEADS)

    def _fused(self, x: Array, sequence_ids: Array, seeds: Array | None) -> Array:
        """One product for queries, keys and values: `x` is read once, and so is its gradient."""
        parts = (self.query, self.key, self.value)
        block = block_columns(x.shape[-1], x.shape[-1] // self.num_heads)
        kernel = interleave(*(part.kernel[...].astype(x.dtype) for part in parts), block)
        bias = interleave(*(part.bias[...].astype(x.dtype) for part in parts), block)
        # Without the barrier XLA makes the product for the kernel's gradient give the three parts
        # themselves, and copies all of the projections' gradient to that end.
        kernel = jax.lax.optimization_barrier(kernel)
        qkv = (x.reshape(-1, x.shape[-1]) @ kernel).reshape(*x.shape[:2], -1)
        qkv = constrain(qkv, WIDE)
        return fused(qkv, bias, sequence_ids, self.num_heads, block, self.dropout_rate, seeds)


class EncoderLayer(nnx.Module):
    """Post-LN transformer layer: attention, then a feed-forward pair, each added and normed."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
        self.attention = SelfAttention(config, rngs=rngs)
        self.attention_norm = layer_norm(config, rngs=rngs)
        self.intermediate = dense(config, config.hidden_size, config.intermediate_size, rngs=rngs)
        self.output = dense(config, config.intermediate_size, config.hidden_size, rngs=rngs)
        self.output_norm = layer_norm(config, rngs=rngs)
        self.activation = config.hidden_act
        self.feed_forward = config.feed_forward
        self.dropout_rate = config.hidden_dropout_prob

    def __call__(self, x: Array, sequence_ids: Array, seeds: Array | None) -> Array:
        attended = self.attention(x, sequence_ids, _fold_in(seeds, 0))
        attended = dropout(attended, self.dropout_rate, _fold_in(seeds, 1))
        x = constrain(self.attention_norm(x + attended), HIDDEN)
        hidden = feed_forward(
            x,
            self.intermediate.kernel[...],
            self.intermediate.bias[...],
            self.output.kernel[...],
            self.output.bias[...],
            activation=self.activation,
            implementation=self.feed_forward,
        )
        hidden = dropout(hidden, self.dropout_rate, _fold_in(seeds, 2))
        return constrain(self.output_norm(x + hidden), HIDDEN)


def rematerialise(layer: Callable, remat: str) -> Callable:
    """A layer that keeps less for its backward pass, and computes again what it needs there.

    - "none": keeps what the derivatives above ask for.
    - "dots": keeps the matrix products of the projections; norms, activations and attention are
      computed again.
    - "full": keeps the layer's input; the whole layer is computed again, a third more arithmetic.
    """
    if remat == "none":
        return layer
    policy = None if remat == "full" else jax.checkpoint_policies.dots_with_no_batch_dims_saveable
    return jax.checkpoint(layer, policy=policy)


class Encoder(nnx.Module):
    """The stack of layers, its parameters stacked on a leading axis of `num_hidden_layers`.

    Scanned (one layer compiled once) or unrolled, by `config.scan_layers`; the parameters, and
    so the checkpoints, are the same.
    """

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
        keys = jax.random.split(rngs.params(), config.num_hidden_layers)
        graph, _ = nnx.split(EncoderLayer(config, rngs=nnx.Rngs(0)))

        def parameters(key):
            return nnx.split(EncoderLayer(config, rngs=nnx.Rngs(key)))[1]

        self.layers = nnx.merge(graph, jax.vmap(parameters)(keys))
        self.num_layers = config.num_hidden_layers
        self.scan_layers = config.scan_layers
        self.remat = config.remat

    def __call__(self, x: Array, sequence_ids: Array, seeds: Array | None) -> Array:
        graph, stacked = nnx.split(self.layers)

        def layer(x, inputs):
            parameters, index = inputs
            return nnx.merge(graph, parameters)(x, sequence_ids, _fold_in(seeds, index + 1)), None

        layer = rematerialise(layer, self.remat)
        inputs = (stacked, jnp.arange(self.num_layers))
        x, _ = loops.scan(loops.LAYERS, layer, x, inputs, unroll=not self.scan_layers)
        return x


class Bert(nnx.Module):
    """Embeddings and encoder: token ids to one vector a token."""

    def __init__(self, config: ModelConfig, *, rngs: nnx.Rngs):
        self.embeddings = Embeddings(config, rngs=rngs)
        self.encoder = Encoder(config, rngs=rngs)

    def __call__(
        self,
        input_ids: Array,
        sequence_ids: Array,
        token_type_ids: Array | None = None,
        seeds: Array | None = None,
        *,
        words: Array | None = None,
    ) -> Array:
        """Encodes packed rows.

        Args:
          input_ids: int [B, L].
          sequence_ids: int [B, L]; 1, 2, … for the row's sequences, 0 for padding.
          token_type_ids: int [B, L], 0 or 1 (the A and B of a pair); None: all 0.
          seeds: of dropout, uint32 [B, 2], one a row; None: no dropout.
          words: `embeddings.word_embeddings.copies(B)`, where an output layer uses them too.

        Returns:
          [B, L, H] in `config.dtype`; what stands at padding is meaningless.
        """
        if token_type_ids is None:
            token_type_ids = jnp.zeros_like(input_ids)
        x = self.embeddings(input_ids, sequence_ids, token_type_ids, seeds, words)
        return self.encoder(x, sequence_ids, seeds)


def _fold_in(seeds: Array | None, number: int | Array) -> Array | None:
    return None if seeds is None else fold_in(seeds, number)
