"""Learning rate schedules: pure functions of the update's number and the number of updates.

No schedule knows of rows, batch sizes or phases: where these change, the rate goes on.
"""

import jax.numpy as jnp
import optax

from biobert_jax.config import OptimizerConfig
from biobert_jax.errors import UserError


def learning_rate(config: OptimizerConfig, num_steps: int) -> optax.Schedule:
    """The rate of update t = 0, 1, …: a linear warm-up from 0, then what `config.schedule` names.

    With a warm-up of w steps, T = `num_steps`, peak rate `learning_rate` and end rate
    `end_fraction` times that, which holds from T on:

    - "polynomial": from the peak to the end by (1 - t / T) ^ power, as upstream's
      `optimization.py`: not re-based at the end of the warm-up, so that the rate drops there from
      nearly 1 to 1 - w / T of its peak.
    - "cosine": half a cosine from the peak at w to the end at T.
    - "wsd": the peak until the last `decay_fraction` of T, then a straight line to the end (Hu et
      al. 2024, MiniCPM, section 4). Before the decay the rate does not depend on T: a checkpoint
      from there can go on in a longer run as if it had been one.
    - "constant": the peak.

    The first update has rate 0 where there is a warm-up, as upstream.

    Returns:
      A function from an int step to a float32 rate.

    Raises:
      UserError: settings that leave no room for one another.
    """
    warmup = warmup_steps(config, num_steps)
    peak, end = config.learning_rate, config.learning_rate * config.end_fraction
    if config.schedule == "polynomial":
        return _upstream(config, num_steps, warmup)
    if config.schedule == "cosine":
        after = optax.cosine_decay_schedule(peak, num_steps - warmup, config.end_fraction)
    elif config.schedule == "wsd":
        decay = _decay_steps(config, num_steps, warmup)
        after = optax.linear_schedule(peak, end, decay, num_steps - warmup - decay)
    else:
        if config.end_fraction:
            raise UserError(
                f"optimizer.end_fraction is {config.end_fraction}, but optimizer.schedule "
                "'constant' does not decay: leave it 0, or choose 'cosine', 'polynomial' or 'wsd'"
            )
        after = optax.constant_schedule(peak)
    if warmup:
        after = optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), after], [warmup])
    # optax's line ends a rounding error below 0 where the compiler divides by multiplying.
    return lambda step: jnp.maximum(jnp.asarray(after(jnp.asarray(step)), jnp.float32), 0.0)


def warmup_steps(config: OptimizerConfig, num_steps: int) -> int:
    """Updates of the warm-up: `warmup_steps` or, where that is 0, `warmup_fraction` of all.

    Raises:
      UserError: it is negative, or leaves no update after it.
    """
    warmup = config.warmup_steps or round(config.warmup_fraction * num_steps)
    if warmup < 0:
        raise UserError(f"optimizer.warmup_steps is {warmup}: it must be at least 0")
    if warmup >= max(num_steps, 1):
        given = f"warmup_steps {warmup}"
        if not config.warmup_steps:
            given = f"warmup_fraction {config.warmup_fraction} ({warmup} steps)"
        raise UserError(
            f"optimizer.{given} is not below the run's {num_steps} steps: lower it, or train longer"
        )
    return warmup


def _upstream(config: OptimizerConfig, num_steps: int, warmup: int) -> optax.Schedule:
    end = config.end_fraction

    def schedule(step):
        step = jnp.asarray(step, jnp.float32)
        left = jnp.clip(1.0 - step / num_steps, 0.0, 1.0) ** config.power
        # Compiled, step / num_steps is a product that may fall short of 1; the root shows it.
        left = end + (1.0 - end) * jnp.where(step < num_steps, left, 0.0)
        return config.learning_rate * jnp.where(step < warmup, step / max(warmup, 1), left)

    return schedule


def _decay_steps(config: OptimizerConfig, num_steps: int, warmup: int) -> int:
    decay = round(config.decay_fraction * num_steps)
    if decay < 1:
        raise UserError(
            f"optimizer.decay_fraction {config.decay_fraction} of the run's {num_steps} steps is "
            "no step: raise it, or choose optimizer.schedule 'constant'"
        )
    if warmup + decay > num_steps:
        raise UserError(
            f"optimizer.schedule 'wsd' has {warmup} steps of warm-up and {decay} of decay, "
            f"more than the run's {num_steps}: lower warmup_steps or decay_fraction"
        )
    return decay
