"""One look, before a run, at whether fast kernels give on these devices what the reference does.

Kernels are tested interpreted, on a CPU. A chip, a driver or a compiler that makes something else
of one would train a worse model for weeks without a word.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from biobert_jax.config import ModelConfig
from biobert_jax.errors import UserError
from biobert_jax.model.attention import attention, choose
from biobert_jax.model.feed_forward import feed_forward

# Of the largest value. Outputs and gradients in bfloat16 carry errors of about 0.01 of theirs.
TOLERANCE = {"float32": 0.02, "bfloat16": 0.05}


def check_kernels(config: ModelConfig, length: int) -> None:
    """Both checks below, on rows of `length`."""
    check_attention(config, length)
    check_feed_forward(config)


def check_attention(config: ModelConfig, length: int) -> float:
    """Compares outputs and gradients on packed rows with those of "xla", on one local device.

    Args:
      length: positions of a row.

    Returns:
      The largest difference, as a share of the largest value; 0 where "xla" itself is in use.

    Raises:
      UserError: they differ, one sequence's gradient reaches another, or the kernel fails; it
        names the way out.
    """
    heads, size = config.num_attention_heads, config.hidden_size // config.num_attention_heads
    dropping = config.attention_probs_dropout_prob > 0
    name = choose(config.attention, dropping, length, config.hidden_size, size)
    if name == "xla":
        return 0.0
    # Sequences of uneven lengths, and padding behind the last.
    sequence_ids = np.zeros((2, length), np.int32)
    sequence_ids[0, : length // 3], sequence_ids[0, length // 3 : -5] = 1, 2
    sequence_ids[1, :7], sequence_ids[1, 7:] = 1, 2
    # The loss is that of the second sequences alone.
    counted = (sequence_ids == 2)[..., None, None]

    def run(implementation):
        def context(*inputs):
            found = attention(*inputs, jnp.array(sequence_ids), implementation=implementation)
            return found * counted

        shape = (2, length, heads, size)
        return _output_and_gradients(context, [shape] * 3, config.dtype)

    found = _tried("attention", name, run)
    if any((gradient[sequence_ids != 2] != 0).any() for gradient in found[1:]):
        raise _refusal("attention", name, "lets sequences of a row see each other, unlike")
    return _compare("attention", name, found, run("xla"), config.dtype)


def check_feed_forward(config: ModelConfig) -> float:
    """Compares outputs and gradients on two blocks of tokens with those of "xla".

    Returns, Raises:
      As `check_attention`.
    """
    name = config.feed_forward
    if name == "xla":
        return 0.0
    size, inner = config.hidden_size, config.intermediate_size
    shapes = [(2, 512, size), (size, inner), (inner,), (inner, size), (size,)]

    def run(implementation):
        def output(x, wide_kernel, wide_bias, narrow_kernel, narrow_bias):
            return feed_forward(
                x,
                wide_kernel * size**-0.5,
                wide_bias,
                narrow_kernel * inner**-0.5,
                narrow_bias,
                activation=config.hidden_act,
                implementation=implementation,
            )

        return _output_and_gradients(output, shapes, config.dtype)

    found = _tried("feed_forward", name, run)
    return _compare("feed_forward", name, found, run("xla"), config.dtype)


def _output_and_gradients(
    function: Callable[..., Array], shapes: list[tuple[int, ...]], dtype: str
) -> list[np.ndarray]:
    """Of normal inputs of these shapes and a normal cotangent, the same ones every time."""
    rng = np.random.default_rng(0)
    *inputs, weight = (rng.normal(size=s).astype(np.float32) for s in (*shapes, shapes[0]))

    def loss(*inputs):
        output = function(*(x.astype(dtype) for x in inputs)).astype(jnp.float32)
        return jnp.sum(output * weight), output

    with jax.default_device(jax.local_devices()[0]):
        argnums = tuple(range(len(inputs)))
        gradients, output = jax.jit(jax.grad(loss, argnums, has_aux=True))(*inputs)
    return [np.asarray(x, np.float32) for x in (output, *gradients)]


def _tried(part: str, name: str, run: Callable[[str], list[np.ndarray]]) -> list[np.ndarray]:
    """`run(name)`, where a kernel that this device cannot compile or run is a line."""
    try:
        return run(name)
    # What compilers and kernels raise: XLA's errors are RuntimeErrors.
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise _refusal(part, name, f"fails ({first[:200]}), unlike") from error


def _compare(part, name, found, expected, dtype) -> float:
    """The largest of all differences; refuses one over the tolerance, and what is no number."""
    worst = max(
        float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(found, expected, strict=True)
    )
    if not worst < TOLERANCE[dtype]:
        raise _refusal(part, name, f"differs by {worst:.1%} from")
    return worst


def _refusal(part, name, what) -> UserError:
    return UserError(
        f"model.{part} {name!r} on {jax.local_devices()[0].device_kind} {what} the reference: set "
        f"model.{part} to 'xla', and report it"
    )
