"""The feed-forward pair of a layer: H to I, an activation, I to H.

| implementation | runs on | what it is |
|---|---|---|
| xla | everywhere | two matrix products; the reference |
| fused | TPU v5e, v6e | our Pallas kernel: the inner activations pass through memory once |

"fused" is interpreted, slowly, elsewhere: for tests.
"""

import jax
import jax.numpy as jnp
from jax import Array

from biobert_jax.errors import UserError
from biobert_jax.model import fused_feed_forward
from biobert_jax.model.attention_kernels import platform
from biobert_jax.model.layers import ACTIVATIONS
from biobert_jax.model.partitioning import HIDDEN, REPLICATED, TENSOR, WIDE, constrain, row_groups


def feed_forward(
    x: Array,
    wide_kernel: Array,
    wide_bias: Array,
    narrow_kernel: Array,
    narrow_bias: Array,
    *,
    activation: str = "gelu",
    implementation: str = "xla",
) -> Array:
    """activation(x @ wide_kernel + wide_bias) @ narrow_kernel + narrow_bias.

    Args:
      x: [B, L, H].
      wide_kernel, wide_bias: [H, I], [I]; parameters may be of a wider type than `x`.
      narrow_kernel, narrow_bias: [I, H], [H].
      activation: as `config.hidden_act`.
      implementation: one of the module's table.

    Returns:
      [B, L, H], in the type of `x`.

    Raises:
      UserError: shapes or a layout that fused cannot take.
    """
    parameters = [y.astype(x.dtype) for y in (wide_kernel, wide_bias, narrow_kernel, narrow_bias)]
    if implementation == "xla":
        return _xla(x, *parameters, activation)
    _check_fused(x.shape, wide_kernel.shape)

    def run(x, *parameters):
        flat = fused_feed_forward.fused_feed_forward(
            x.reshape(-1, x.shape[-1]), *parameters, activation, platform() != "tpu"
        )
        return flat.reshape(x.shape)

    if jax.sharding.get_abstract_mesh().empty:
        return run(x, *parameters)
    # XLA cannot deal out a kernel itself.
    return jax.shard_map(
        run, in_specs=(HIDDEN, *[REPLICATED] * 4), out_specs=HIDDEN, check_vma=False
    )(x, *parameters)


def _xla(x, wide_kernel, wide_bias, narrow_kernel, narrow_bias, activation):
    wide = x.reshape(-1, x.shape[-1]) @ wide_kernel + wide_bias
    wide = constrain(wide.reshape(*x.shape[:-1], -1), WIDE)

    def narrow(wide):
        hidden = ACTIVATIONS[activation](wide)
        flat = hidden.reshape(-1, hidden.shape[-1]) @ narrow_kernel + narrow_bias
        return flat.reshape(x.shape)

    if x.dtype != jnp.float32:
        # The activation is computed again for the gradient: on a TPU it is part of both products
        # of the backward pass, and not in memory there.
        narrow = jax.checkpoint(narrow)
    return narrow(wide)


def _check_fused(shape: tuple[int, ...], kernel: tuple[int, ...]) -> None:
    """Refuses what the kernel cannot take: a device's tokens, and columns, come in 128s."""
    mesh = jax.sharding.get_abstract_mesh()
    if not mesh.empty and mesh.shape[TENSOR] > 1:
        raise UserError(
            "model.feed_forward 'fused' keeps whole layers on a device, and mesh.layout 'fsdp+tp' "
            "deals them out: set it to 'xla', or mesh.layout to 'fsdp'"
        )
    tokens = shape[0] // row_groups(shape[0]) * shape[1]
    if fused_feed_forward.block_rows(tokens) is None or any(size % 128 for size in kernel):
        raise UserError(
            f"model.feed_forward 'fused' works on 128s, and here are {tokens:,} tokens a device, "
            f"model.hidden_size {kernel[0]} and model.intermediate_size {kernel[1]}: set it to "
            "'xla', or change the rows a device"
        )
