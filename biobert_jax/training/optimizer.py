"""Update rules and schedules as optax chains (upstream `optimization.py`)."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from biobert_jax.config import OptimizerConfig
from biobert_jax.errors import UserError


class BertAdamState(NamedTuple):
    """First and second moments, as the parameters."""

    mu: Any
    nu: Any


def scale_by_bert_adam(b1: float, b2: float, eps: float) -> optax.GradientTransformation:
    """Adam as upstream wrote it: no bias correction, epsilon outside the root."""

    def init(params):
        return BertAdamState(optax.tree.zeros_like(params), optax.tree.zeros_like(params))

    def update(grads, state, params=None):
        del params
        mu = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mu, grads)
        nu = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * jnp.square(g), state.nu, grads)
        updates = jax.tree.map(lambda m, v: m / (jnp.sqrt(v) + eps), mu, nu)
        return updates, BertAdamState(mu, nu)

    return optax.GradientTransformation(init, update)


def learning_rate(config: OptimizerConfig, num_steps: int) -> optax.Schedule:
    """Upstream's schedule: lr * t / warmup for t < warmup, then lr * (1 - t / total) ^ power.

    The decay is not re-based at the end of the warm-up, so that the rate drops a little there.
    The first update (t = 0) has rate 0 where there is a warm-up.
    """
    warmup = config.warmup_steps or round(config.warmup_fraction * num_steps)
    if warmup >= max(num_steps, 1):
        raise UserError(
            f"optimizer.warmup_steps {warmup} is not below train.num_steps {num_steps}: "
            "lower it, or train longer"
        )

    def schedule(step):
        step = jnp.asarray(step, jnp.float32)
        left = jnp.clip(1.0 - step / num_steps, 0.0, 1.0) ** config.power
        return config.learning_rate * jnp.where(step < warmup, step / max(warmup, 1), left)

    return schedule


def decay_mask(params: Any, frozen: tuple[str, ...] = ()) -> Any:
    """True for kernels and embeddings; False for biases, LayerNorms and the modules `frozen`.

    A head that an objective does not train gets no gradient; decaying it would wear it away.
    """

    def decays(path, _):
        names = [key.key for key in path]
        return names[-1] in ("kernel", "embedding") and names[0] not in frozen

    return jax.tree_util.tree_map_with_path(decays, params)


def make_optimizer(
    config: OptimizerConfig, num_steps: int, *, frozen: tuple[str, ...] = ()
) -> optax.GradientTransformation:
    """Clip by global norm, Adam, decoupled weight decay, schedule: one chain.

    Upstream clips the gradient of each TPU shard before the sum; this clips the global gradient.
    """
    if config.name == "bert_adamw":
        adam = scale_by_bert_adam(config.b1, config.b2, config.eps)
    else:
        adam = optax.scale_by_adam(config.b1, config.b2, config.eps)
    return optax.chain(
        optax.clip_by_global_norm(config.clip_norm) if config.clip_norm else optax.identity(),
        adam,
        optax.add_decayed_weights(
            config.weight_decay, mask=lambda params: decay_mask(params, frozen)
        ),
        optax.scale_by_learning_rate(learning_rate(config, num_steps)),
    )
