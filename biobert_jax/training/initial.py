"""The state that training starts from, made where it belongs on the mesh."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from biobert_jax.checkpoints.load import Checkpoint, fit_params
from biobert_jax.training.sharding import abstract, place, tree_shardings
from biobert_jax.training.step import TrainState


def initial_state(
    create_params: Callable[[], Any],
    checkpoint: Checkpoint | None,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
) -> tuple[TrainState, list[str]]:
    """The state before the first update, and what a user should be told of it.

    Fresh arrays are made on the devices that hold them: neither a device nor a host ever has them
    all. A checkpoint's parameters are in the memory of every host, which sends each device its
    part.

    Args:
      create_params: makes fresh parameters; traced.
      checkpoint: parameters to start from where it has them; None: all are fresh.

    Raises:
      UserError: the checkpoint does not fit.
    """
    shapes = jax.eval_shape(create_params)
    params = jax.jit(create_params, out_shardings=tree_shardings(mesh, shapes, shapes))()
    notes: list[str] = []
    if checkpoint is not None:
        params, notes = fit_params(checkpoint, params)
        params = place(mesh, params)
    shardings = tree_shardings(mesh, jax.eval_shape(optimizer.init, params), params)
    opt_state = jax.jit(optimizer.init, out_shardings=shardings)(params)
    return TrainState(params=params, opt_state=opt_state, **_counts(mesh)), notes


def abstract_state(
    create_params: Callable[[], Any], optimizer: optax.GradientTransformation, mesh: Mesh
) -> TrainState:
    """The shapes, types and shardings of `initial_state`'s state, without arrays."""
    params = jax.eval_shape(create_params)
    count = jax.ShapeDtypeStruct((), jnp.int32)
    state = TrainState(count, params, jax.eval_shape(optimizer.init, params), count, count)
    return abstract(state, tree_shardings(mesh, state, params))


def _counts(mesh: Mesh) -> dict[str, jax.Array]:
    names = [name for name in TrainState._fields if name not in ("params", "opt_state")]

    def zeros():
        return {name: jnp.zeros((), jnp.int32) for name in names}

    shapes = jax.eval_shape(zeros)
    return jax.jit(zeros, out_shardings=tree_shardings(mesh, shapes, {}))()
