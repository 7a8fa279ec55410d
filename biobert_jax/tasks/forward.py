"""A task's model over packed rows: its graph, its losses for the training step, its outputs."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jax.sharding import Mesh

from biobert_jax.config import ModelConfig
from biobert_jax.model.dropout import row_seeds
from biobert_jax.model.heads import WeightedSum
from biobert_jax.tasks.task import Setting, Task
from biobert_jax.training.sharding import device_batch, replicated


def model_of(
    task: Task, config: ModelConfig, setting: Setting, seed: int
) -> tuple[Any, Callable[[], dict[str, Any]]]:
    """The model's graph, and what makes its fresh parameters (to be traced) from `seed`."""

    def build(rngs):
        return task.build(config, setting, rngs)

    graph = nnx.split(nnx.eval_shape(lambda: build(nnx.Rngs(0))))[0]
    return graph, lambda: nnx.to_pure_dict(nnx.split(build(nnx.Rngs(jax.random.key(seed))))[1])


def task_inputs(batch: Mapping[str, Array], key: Array) -> dict[str, Array]:
    """What `task_losses` takes of a batch: whole numbers as int32, with the seeds of dropout."""
    inputs = {
        name: array.astype(jnp.int32 if jnp.issubdtype(array.dtype, jnp.integer) else jnp.float32)
        for name, array in batch.items()
    }
    return inputs | {"seeds": row_seeds(key, len(inputs["input_ids"]))}


def task_losses(
    task: Task, setting: Setting, graph: Any, params: Any, inputs: Mapping[str, Array]
) -> dict[str, WeightedSum]:
    """The task's losses of a batch."""
    return task.losses(nnx.merge(graph, params), inputs, setting)


def outputs_of(task: Task, graph: Any, mesh: Mesh | None = None) -> Callable[..., Array]:
    """The compiled function from parameters and a batch's inputs to the task's outputs.

    Args:
      mesh: with one, batches are spread over it, and every process gets all outputs; None: the
        default device.
    """
    shardings = {} if mesh is None else {"out_shardings": replicated(mesh)}

    @functools.partial(jax.jit, **shardings)
    def outputs(params, inputs):
        return task.outputs(nnx.merge(graph, params), inputs)

    return outputs


def run_rows(
    outputs: Callable[..., Array],
    params: Any,
    arrays: Mapping[str, np.ndarray],
    batch_sizes: Sequence[int],
    mesh: Mesh | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray | None:
    """The outputs of all rows, [N, …]; None where there is no row.

    The one way from rows to predictions: evaluation while training, test scoring, `evaluate` and
    `predict` all take it.

    Args:
      outputs: of `outputs_of`, with the same `mesh`.
      arrays: [N, …] each: what `Encoded.arrays` gives without targets.
      batch_sizes: numbers of rows to run at a time, over all processes; each is compiled when it
        is first needed.
      progress: told how many rows are done, and of how many.
    """
    num_rows = len(arrays["input_ids"])
    chunks = []
    for start, size in cut_batches(num_rows, batch_sizes):
        batch = {}
        for name, array in arrays.items():
            part = array[start : start + size]
            batch[name] = np.pad(part, [(0, size - len(part))] + [(0, 0)] * (part.ndim - 1))
        chunks.append(np.asarray(_run(outputs, params, batch, size, mesh)))
        progress(min(start + size, num_rows), num_rows)
    return np.concatenate(chunks)[:num_rows] if chunks else None


def _run(outputs, params, batch: Mapping[str, np.ndarray], size: int, mesh: Mesh | None) -> Array:
    if mesh is None:
        return outputs(params, batch)
    own = size // jax.process_count()
    mine = slice(jax.process_index() * own, (jax.process_index() + 1) * own)
    with jax.set_mesh(mesh):
        local = {name: array[mine] for name, array in batch.items()}
        return outputs(params, device_batch(mesh, local))


def cut_batches(num_rows: int, sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Cuts rows into batches of the given sizes: yields (first row, size); only the last is padded.

    The rest of the rows is filled up to a size that holds it if that adds at most half of it, and
    otherwise cut into smaller batches.
    """
    start = 0
    while (left := num_rows - start) > 0:
        above = min((size for size in sizes if size >= left), default=max(sizes))
        below = max((size for size in sizes if size <= left), default=above)
        size = above if above <= 1.5 * left else below
        yield start, size
        start += size
