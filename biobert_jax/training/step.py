"""The training step: one update, a pure function of (state, batch), compiled once."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.sharding import Mesh

from biobert_jax.model.heads import WeightedSum
from biobert_jax.training.sharding import replicated

# (params, batch, key) to the losses to be added up, and sums to report divided by their weight.
Losses = Callable[[Any, dict[str, Array], Array], dict[str, WeightedSum]]


class TrainState(NamedTuple):
    """All that an update changes; `step` is the number of updates done, int32."""

    step: Array
    params: Any
    opt_state: Any


def create_state(params: Any, optimizer: optax.GradientTransformation, mesh: Mesh) -> TrainState:
    """The state before the first update, on the mesh."""
    everywhere = replicated(mesh)
    opt_state = jax.jit(optimizer.init, out_shardings=everywhere)(params)
    return TrainState(jax.device_put(jnp.zeros((), jnp.int32), everywhere), params, opt_state)


def make_train_step(
    losses: Losses,
    optimizer: optax.GradientTransformation,
    schedule: optax.Schedule,
    mesh: Mesh,
    seed: int,
) -> Callable[[TrainState, dict[str, Array]], tuple[TrainState, dict[str, Array]]]:
    """Compiles the update. The state given to it is donated.

    Args:
      losses: returns `WeightedSum`s over the global batch. Those named "*_loss" are divided by
        their weights and added to the loss; the others are only reported.
      seed: of the randomness (masks, dropout), which is a function of (seed, step).

    Returns:
      A function to the next state and float32 metrics: `loss`, each sum's mean, `grad_norm`
      (before clipping) and `learning_rate`.
    """

    def total(params, batch, key):
        means = {name: value.mean() for name, value in losses(params, batch, key).items()}
        return sum(mean for name, mean in means.items() if name.endswith("_loss")), means

    def update(state: TrainState, batch):
        key = jax.random.fold_in(jax.random.key(seed), state.step)
        (loss, means), grads = jax.value_and_grad(total, has_aux=True)(state.params, batch, key)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        metrics = {
            "loss": loss,
            **means,
            "grad_norm": optax.global_norm(grads),
            "learning_rate": schedule(state.step),
        }
        return TrainState(state.step + 1, params, opt_state), metrics

    everywhere = replicated(mesh)
    return jax.jit(update, donate_argnums=0, out_shardings=(everywhere, everywhere))
