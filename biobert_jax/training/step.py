"""The training step: one update, a pure function of (state, batch), compiled once."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.sharding import Mesh

from biobert_jax.model import loops
from biobert_jax.model.heads import WeightedSum
from biobert_jax.model.partitioning import ROWS, constrain
from biobert_jax.training.ahead import CompiledAhead
from biobert_jax.training.compiler_options import compiler_options

# (batch, key) to what the losses take: arrays whose first axis are the batch's rows.
MakeInputs = Callable[[dict[str, Array], Array], Any]
# (params, inputs) to the losses to be added up, and sums to report divided by their weight.
Losses = Callable[[Any, Any], dict[str, WeightedSum]]


class TrainState(NamedTuple):
    """All that an update changes.

    Attributes:
      step: batches that were trained on, int32.
      params: nested dict, float32.
      opt_state: the optimizer's.
      skipped: batches whose update was not finite and was left out, int32; the schedule and the
        optimizer have not seen them.
      skipped_in_a_row: of these, the last ones without an update between, int32.
    """

    step: Array
    params: Any
    opt_state: Any
    skipped: Array
    skipped_in_a_row: Array


def make_train_step(
    make_inputs: MakeInputs,
    losses: Losses,
    optimizer: optax.GradientTransformation,
    schedule: optax.Schedule,
    mesh: Mesh,
    seed: int,
    *,
    like: TrainState,
    accumulation_steps: int = 1,
    gradient_dtype: str = "float32",
    overlap_reductions: str = "never",
    later: Sequence[dict[str, Array]] = (),
) -> Callable[[TrainState, dict[str, Array]], tuple[TrainState, dict[str, Array]]]:
    """The update, compiled at its first call for each shape of batch, or ahead of it.

    The state given to it is donated. Nothing may move between host and devices unasked: a batch
    that was not placed, or a constant left on the host, is an error.

    Args:
      make_inputs: makes what the losses take of a whole batch, with the batch's key.
      losses: returns `WeightedSum`s. Those named "*_loss" are divided by their weights and added
        to the loss; the others are only reported. Weights depend on the inputs alone.
      schedule: only reported; the optimizer has its own.
      seed: of the randomness (masks, dropout), which is a function of (seed, step).
      like: a state, of arrays or abstract ones, whose shardings the next state keeps.
      accumulation_steps: A, micro-batches that a batch is dealt into, one after another. Their
        gradients are those of the whole batch: sums are divided by its weights.
      gradient_dtype: what the parameters are cast to before they are differentiated, and so what
        gradients are summed over the devices in.
      overlap_reductions: see `compiler_options`.
      later: abstract batches of other shapes that will come, compiled in the background.

    Returns:
      A function to the next state and float32 metrics: `loss`, each sum's mean, `grad_norm`
      (before clipping), `learning_rate`, `skipped_steps` and `skipped_in_a_row`.
    """
    step = jit_train_step(
        make_inputs,
        losses,
        optimizer,
        schedule,
        seed,
        like=like,
        accumulation_steps=accumulation_steps,
        gradient_dtype=gradient_dtype,
        overlap_reductions=overlap_reductions,
    )
    abstract_like = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), like
    )
    ahead = CompiledAhead(step, mesh, abstract_like, later)

    @functools.wraps(step)
    def guarded(state, batch):
        with jax.set_mesh(mesh), jax.transfer_guard("disallow"):
            return ahead(state, batch)

    return guarded


def jit_train_step(
    make_inputs: MakeInputs,
    losses: Losses,
    optimizer: optax.GradientTransformation,
    schedule: optax.Schedule,
    seed: int,
    *,
    like: TrainState,
    accumulation_steps: int = 1,
    gradient_dtype: str = "float32",
    overlap_reductions: str = "never",
) -> Any:
    """As `make_train_step`, to be called, or lowered, under `jax.set_mesh`."""

    def update(state: TrainState, batch):
        key = jax.random.fold_in(jax.random.key(seed), state.step)
        inputs = make_inputs(batch, key)
        cast = jax.tree.map(lambda x: x.astype(gradient_dtype), state.params)
        sums, grads = gradients(losses, cast, inputs, accumulation_steps)
        grads = jax.tree.map(lambda x: x.astype(jnp.float32), grads)
        means = {name: value.mean() for name, value in sums.items()}
        loss = _total(means)

        # Global values: every device comes to the same verdict.
        grad_norm = optax.global_norm(grads)
        finite = jnp.isfinite(loss) & jnp.isfinite(grad_norm)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params, opt_state = jax.tree.map(
            lambda new, old: jnp.where(finite, new, old),
            (optax.apply_updates(state.params, updates), opt_state),
            (state.params, state.opt_state),
        )
        skipped = state.skipped + ~finite
        in_a_row = jnp.where(finite, 0, state.skipped_in_a_row + 1)
        metrics = {
            "loss": loss,
            **means,
            "grad_norm": grad_norm,
            "learning_rate": schedule(state.step - state.skipped),
            "skipped_steps": skipped,
            "skipped_in_a_row": in_a_row,
        }
        metrics = {name: value.astype(jnp.float32) for name, value in metrics.items()}
        return TrainState(state.step + 1, params, opt_state, skipped, in_a_row), metrics

    shardings = jax.tree.map(lambda x: x.sharding, like)
    [kind] = {device.device_kind for device in like.step.sharding.device_set}
    return jax.jit(
        update,
        donate_argnums=0,
        out_shardings=(shardings, like.step.sharding),
        compiler_options=compiler_options(kind, overlap_reductions) or None,
    )


def gradients(
    losses: Losses, params: Any, inputs: Any, accumulation_steps: int = 1
) -> tuple[dict[str, WeightedSum], Any]:
    """The sums of a batch, and the gradient of the sum of its losses' means.

    Micro-batch a of A takes rows a, A + a, … so that each device finds its rows at home. Its
    gradient is accumulated in float32.
    """
    if accumulation_steps == 1:

        def total(params):
            sums = losses(params, inputs)
            return _total({name: value.mean() for name, value in sums.items()}), sums

        (_, sums), grads = jax.value_and_grad(total, has_aux=True)(params)
        return sums, grads

    def deal(x):
        x = x.reshape(x.shape[0] // accumulation_steps, accumulation_steps, *x.shape[1:])
        return x.swapaxes(0, 1)

    # Of this pass only the weights are used, which no parameter has a part in: the compiler
    # drops the rest.
    weights = {name: value.weight for name, value in losses(params, inputs).items()}

    def accumulate(carry, micro):
        def total(params):
            sums = losses(params, jax.tree.map(lambda x: constrain(x, ROWS), micro))
            return _total(
                {name: WeightedSum(s.total, weights[name]).mean() for name, s in sums.items()}
            ), {name: value.total for name, value in sums.items()}

        (_, totals), grads = jax.value_and_grad(total, has_aux=True)(params)
        return jax.tree.map(jnp.add, carry, (totals, _as_float32(grads))), None

    zeros = (
        {name: jnp.float32(0) for name in weights},
        _as_float32(jax.tree.map(jnp.zeros_like, params)),
    )
    (totals, grads), _ = loops.scan(
        loops.MICRO_BATCHES, accumulate, zeros, jax.tree.map(deal, inputs)
    )
    return {name: WeightedSum(totals[name], weights[name]) for name in weights}, grads


def _total(means: dict[str, Array]) -> Array:
    return sum(mean for name, mean in means.items() if name.endswith("_loss"))


def _as_float32(tree: Any) -> Any:
    return jax.tree.map(lambda x: x.astype(jnp.float32), tree)
