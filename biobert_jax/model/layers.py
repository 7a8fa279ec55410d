"""The encoder's small parts, with derivatives that keep little in memory.

What a backward pass needs of a LayerNorm or an activation is cheap to compute from its input. Left
to themselves, their derivatives keep float32 intermediates of the size of the activations, and a
training step is bound by memory.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from biobert_jax.config import ModelConfig
from biobert_jax.model.partitioning import GROUP_TABLES, constrain, row_groups


def _keeping_its_input(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """An elementwise function whose derivative is computed from its input alone."""

    @jax.custom_vjp
    def wrapped(x):
        return function(x)

    def forward(x):
        return function(x), x

    def backward(x, cotangent):
        # The barrier keeps the compiler from finding the same expressions in the forward pass,
        # and keeping them after all.
        return jax.vjp(function, jax.lax.optimization_barrier(x))[1](cotangent)

    wrapped.defvjp(forward, backward)
    return wrapped


def gelu_by_erf(x: Array) -> Array:
    """x * Phi(x) of float32, good to about 1e-7.

    jax.nn.gelu's erfc is exact to the last bit far below 0, and a branch that a TPU's compiler
    cannot fuse with a product, nor a Pallas kernel hold.
    """
    return 0.5 * x * (1.0 + jax.lax.erf(x * np.float32(np.sqrt(0.5))))


def _gelu(x: Array) -> Array:
    if x.dtype == jnp.float32:
        return jax.nn.gelu(x, approximate=False)
    return gelu_by_erf(x.astype(jnp.float32)).astype(x.dtype)  # bfloat16 cannot tell


ACTIVATIONS = {
    "gelu": _keeping_its_input(_gelu),
    "gelu_tanh": _keeping_its_input(functools.partial(jax.nn.gelu, approximate=True)),
    "relu": jax.nn.relu,
}


class Dense(nnx.Linear):
    """A linear layer over the last axis, computed as one matrix product.

    With all other axes flattened, the gradient of the kernel is a plain product too; left in
    three dimensions it took twice as long on a CPU.
    """

    def __call__(self, x: Array) -> Array:
        """[..., features_in] to [..., features_out]."""
        flat = super().__call__(x.reshape(-1, x.shape[-1]))
        return flat.reshape(*x.shape[:-1], -1)


def dense(config: ModelConfig, features_in: int, features_out: int, *, rngs: nnx.Rngs) -> Dense:
    """A linear layer with BERT's initialisation: truncated normal kernel, zero bias."""
    return Dense(
        features_in,
        features_out,
        kernel_init=nnx.initializers.truncated_normal(config.initializer_range),
        dtype=jnp.dtype(config.dtype),
        rngs=rngs,
    )


class LayerNorm(nnx.LayerNorm):
    """LayerNorm over the last axis, statistics in float32; see `normalise`."""

    def __call__(self, x: Array) -> Array:
        """[..., H] to the same, in the type of activations."""
        return normalise(x.astype(self.dtype), self.scale[...], self.bias[...], self.epsilon)


def layer_norm(config: ModelConfig, *, rngs: nnx.Rngs) -> LayerNorm:
    """LayerNorm over H."""
    return LayerNorm(
        config.hidden_size,
        epsilon=config.layer_norm_eps,
        dtype=jnp.dtype(config.dtype),
        rngs=rngs,
    )


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def normalise(x: Array, scale: Array, bias: Array, epsilon: float) -> Array:
    """(x - mean) / sqrt(variance + epsilon) * scale + bias over the last axis."""
    return _normalise_forward(x, scale, bias, epsilon)[0]


def _normalise_forward(x, scale, bias, epsilon):
    mean, inverse = _statistics(x, epsilon)
    normed = (x.astype(jnp.float32) - mean) * inverse
    y = normed * scale.astype(jnp.float32) + bias.astype(jnp.float32)
    return y.astype(x.dtype), (x, scale, bias, mean, inverse)


def _normalise_backward(epsilon, residuals, cotangent):
    del epsilon
    x, scale, bias, mean, inverse = residuals
    cotangent = cotangent.astype(jnp.float32)
    normed = (x.astype(jnp.float32) - mean) * inverse
    rows = tuple(range(x.ndim - 1))
    d_scale = jnp.sum(cotangent * normed, axis=rows).astype(scale.dtype)
    d_bias = jnp.sum(cotangent, axis=rows).astype(bias.dtype)
    d_normed = cotangent * scale.astype(jnp.float32)
    along = jnp.mean(d_normed * normed, axis=-1, keepdims=True)
    d_x = inverse * (d_normed - jnp.mean(d_normed, axis=-1, keepdims=True) - normed * along)
    return d_x.astype(x.dtype), d_scale, d_bias


normalise.defvjp(_normalise_forward, _normalise_backward)


def _statistics(x: Array, epsilon: float) -> tuple[Array, Array]:
    """Mean and 1 / standard deviation, float32 [..., 1].

    Float32 activations take two passes for the variance: BERT's epsilon of 1e-12 forgives nothing.
    bfloat16 ones are rounded more coarsely than the difference of two float32 sums, which one pass
    gives: a pass over the activations less.
    """
    wide = x.astype(jnp.float32)
    mean = jnp.mean(wide, axis=-1, keepdims=True)
    if x.dtype == jnp.float32:
        variance = jnp.mean(jnp.square(wide - mean), axis=-1, keepdims=True)
    else:
        squares = jnp.mean(jnp.square(wide), axis=-1, keepdims=True)
        variance = jnp.maximum(squares - jnp.square(mean), 0.0)
    return mean, jax.lax.rsqrt(variance + epsilon)


@jax.custom_vjp
def look_up(table: Array, ids: Array) -> Array:
    """Rows `ids` of `table` [N, H], giving [*ids.shape, H]; its gradient is summed in float32.

    A bfloat16 table's gradient, summed in its own type, would lose what a frequent token adds
    after its first few hundred occurrences.
    """
    return jnp.take(table, ids, axis=0, mode="clip")


def _look_up_forward(table, ids):
    return look_up(table, ids), (table, ids)


def _look_up_backward(residuals, cotangent):
    table, ids = residuals
    cotangent = cotangent.reshape(-1, table.shape[1]).astype(jnp.float32)
    ids = ids.reshape(-1)
    if len(table) <= 16:  # so many additions to so few places are a product
        places = (ids[:, None] == jnp.arange(len(table))).astype(jnp.float32)
        gradient = jnp.einsum("nt,nh->th", places, cotangent, precision="highest")
    else:
        gradient = jnp.zeros(table.shape, jnp.float32).at[ids].add(cotangent, mode="clip")
    return gradient.astype(table.dtype), None


look_up.defvjp(_look_up_forward, _look_up_backward)


class Embed(nnx.Embed):
    """A table of embeddings, looked up by `look_up`."""

    def __call__(self, ids: Array) -> Array:
        """int [...] to [..., H], in the type of activations."""
        return look_up(self.embedding[...].astype(self.dtype), ids)

    def copies(self, num_rows: int) -> Array:
        """The table once for each group of devices that `num_rows` are dealt to, [groups, V, H].

        It takes no memory: every group has its own. What a table is used for, here and in an
        output layer, then adds to one gradient on each device, which is summed over the devices
        once; uses of the table itself are each summed over the devices.
        """
        table = self.embedding[...].astype(self.dtype)
        groups = row_groups(num_rows)
        copies = jnp.broadcast_to(table, (groups, *table.shape))
        return constrain(copies, GROUP_TABLES) if groups > 1 else copies


def look_up_copies(copies: Array, ids: Array) -> Array:
    """`look_up` of ids [B, L] in a table's `copies`, [B, L, H]."""
    groups = len(copies)
    if groups == 1:
        return look_up(copies[0], ids)
    found = jax.vmap(look_up)(copies, ids.reshape(groups, -1, ids.shape[1]))
    return found.reshape(*ids.shape, -1)
