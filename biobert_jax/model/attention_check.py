"""One look, before a run, at whether fast attention gives on these devices what the reference does.

Kernels are tested interpreted, on a CPU. A chip, a driver or a compiler that makes something else
of one would train a worse model for weeks without a word.
"""

import jax
import jax.numpy as jnp
import numpy as np

from biobert_jax.config import ModelConfig
from biobert_jax.errors import UserError
from biobert_jax.model.attention import attention, choose

# Of the largest value. Outputs and gradients in bfloat16 carry errors of about 0.01 of theirs.
TOLERANCE = {"float32": 0.02, "bfloat16": 0.05}


def check_attention(config: ModelConfig, length: int) -> float:
    """Compares outputs and gradients on a packed row with those of "xla", on one local device.

    Args:
      length: positions of a row.

    Returns:
      The largest difference, as a share of the largest value; 0 where "xla" itself is in use.

    Raises:
      UserError: they differ, or one sequence's gradient reaches another; it names the way out.
    """
    heads, size = config.num_attention_heads, config.hidden_size // config.num_attention_heads
    dropping = config.attention_probs_dropout_prob > 0
    name = choose(config.attention, dropping, length, config.hidden_size, size)
    if name == "xla":
        return 0.0
    rng = np.random.default_rng(0)
    shape = (2, length, heads, size)
    query, key, value, weight = (rng.normal(size=shape).astype(np.float32) for _ in range(4))
    # Sequences of uneven lengths, and padding behind the last.
    sequence_ids = np.zeros((2, length), np.int32)
    sequence_ids[0, : length // 3], sequence_ids[0, length // 3 : -5] = 1, 2
    sequence_ids[1, :7], sequence_ids[1, 7:] = 1, 2
    # The loss is that of the second sequences alone.
    weight *= (sequence_ids == 2)[..., None, None]

    def run(implementation):
        def loss(*inputs):
            inputs = [x.astype(config.dtype) for x in inputs]
            context = attention(*inputs, jnp.array(sequence_ids), implementation=implementation)
            context = context.astype(jnp.float32) * (sequence_ids == 2)[..., None, None]
            return jnp.sum(context * weight), context

        with jax.default_device(jax.local_devices()[0]):
            found = jax.jit(jax.grad(loss, argnums=(0, 1, 2), has_aux=True))(query, key, value)
        return [np.asarray(x, np.float32) for x in jax.tree.leaves(found)]

    found, expected = run(name), run("xla")
    worst = max(
        float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(found, expected, strict=True)
    )
    leaks = any((gradient[sequence_ids != 2] != 0).any() for gradient in found[:3])
    if leaks or not worst < TOLERANCE[config.dtype]:
        what = "lets sequences of a row see each other" if leaks else f"differs by {worst:.1%}"
        raise UserError(
            f"model.attention {name!r} on {jax.local_devices()[0].device_kind} {what} from the "
            "reference: set model.attention to 'xla', and report it"
        )
    return worst
