"""Evaluation on held-out rows, with masks that never change."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from biobert_jax.training.inputs import MakeInputs
from biobert_jax.training.objective import pretraining_losses
from biobert_jax.training.phases import Phase
from biobert_jax.training.sharding import device_batch, replicated
from biobert_jax.training.step import TrainState


def heldout_evaluation(
    phase: Phase, graph: Any, mesh: Mesh, make_inputs: MakeInputs, max_batches: int
) -> Callable[[TrainState], dict[str, float]] | None:
    """A function from a state to `heldout_*` metrics; None where there are no held-out rows.

    Args:
      max_batches: held-out batches it takes at most.
    """
    if not phase.data.heldout:
        return None

    @functools.partial(jax.jit, out_shardings=replicated(mesh))
    def sums(params, batch, index):
        key = jax.random.fold_in(jax.random.key(0), index)
        return pretraining_losses(graph, params, make_inputs(batch, key))

    def evaluate(state: TrainState) -> dict[str, float]:
        # Every host reads all held-out rows and contributes its own part of each batch.
        size = phase.batch_size // jax.process_count()
        mine = slice(jax.process_index() * size, (jax.process_index() + 1) * size)
        totals: dict[str, np.ndarray] = {}
        for index, batch in enumerate(phase.data.heldout_batches(phase.batch_size)):
            if index == max_batches:
                break
            for name, value in _fetch(sums, mesh, state, batch, mine, index).items():
                totals[name] = totals.get(name, 0) + np.array(value, np.float64)
        return {f"heldout_{name}": float(t / max(w, 1e-5)) for name, (t, w) in totals.items()}

    return evaluate


def _fetch(sums, mesh: Mesh, state: TrainState, batch: Mapping, mine: slice, index: int):
    local = {name: rows[mine] for name, rows in batch.items()}
    with jax.set_mesh(mesh):
        return jax.device_get(sums(state.params, device_batch(mesh, local), index))
