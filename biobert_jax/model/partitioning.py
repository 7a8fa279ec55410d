"""Where each kind of array lies on the mesh: all PartitionSpecs are here.

The mesh has three axes: `data` (rows), `fsdp` (rows, and parameters dealt out) and `tensor`
(heads, the feed-forward width, the vocabulary). An axis of size 1 changes nothing, so one table
serves every layout. XLA inserts the collectives that follow from it.
"""

from collections.abc import Sequence
from typing import Any

import jax
from jax import Array
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

DATA, FSDP, TENSOR = AXES = ("data", "fsdp", "tensor")

# Batches, and everything else with a row a batch's row.
ROWS = P((DATA, FSDP))
# Activations [B, L, H], and those whose last axis is dealt over `tensor`: [B, L, I], [B, P, V].
HIDDEN = P((DATA, FSDP), None, None)
WIDE = P((DATA, FSDP), None, TENSOR)
# A bias of such an axis, one a row.
ROW_COLUMNS = P((DATA, FSDP), TENSOR)
# Attention's inputs and output [B, L, heads, head size].
HEADS = P((DATA, FSDP), None, TENSOR, None)
REPLICATED = P()

# A table that every group of devices with rows of its own has a copy of: [groups, V, H].
GROUP_TABLES = P((DATA, FSDP), TENSOR, None)

# Parameters by the end of their paths; the first that fits counts. Layers are stacked on a leading
# axis, which is not dealt out. What is not named (LayerNorms, biases of H) is small: replicated.
PARAMETERS: tuple[tuple[tuple[str, ...], P], ...] = (
    (("word_embeddings", "embedding"), P(TENSOR, FSDP)),
    (("position_embeddings", "embedding"), P(None, FSDP)),
    (("layers", "attention", "output", "kernel"), P(None, TENSOR, FSDP)),
    (("layers", "attention", "*", "kernel"), P(None, FSDP, TENSOR)),
    (("layers", "attention", "output", "bias"), P()),
    (("layers", "attention", "*", "bias"), P(None, TENSOR)),
    (("layers", "intermediate", "kernel"), P(None, FSDP, TENSOR)),
    (("layers", "intermediate", "bias"), P(None, TENSOR)),
    (("layers", "output", "kernel"), P(None, TENSOR, FSDP)),
    (("mlm", "bias"), P(TENSOR)),
    (("pooler", "kernel"), P(FSDP, None)),
    (("mlm", "transform", "kernel"), P(FSDP, None)),
)


def parameter_spec(path: Sequence[str], shape: Sequence[int], mesh: Mesh) -> P:
    """The spec of a parameter, or of an optimizer's array of the same path and shape.

    An axis of the array that the mesh's axes do not divide is not dealt out: BERT's vocabulary of
    28,996 over 8 devices.
    """
    for pattern, spec in PARAMETERS:
        end = path[-len(pattern) :]
        if len(end) == len(pattern) and all(
            want in ("*", name) for want, name in zip(pattern, end, strict=True)
        ):
            return P(
                *(
                    name if name is None or size % mesh.shape[name] == 0 else None
                    for name, size in zip(spec, shape, strict=False)
                )
            )
    return REPLICATED


def tree_specs(tree: Any, params: Any, mesh: Mesh) -> Any:
    """Specs for a tree that holds arrays of the parameters' paths and shapes, such as moments.

    Args:
      tree: anything whose leaves have shapes: the parameters themselves, an optimizer's state.
      params: nested dict of the parameters, or their shapes.
    """
    shapes = {
        _names(path): leaf.shape for path, leaf in jax.tree_util.tree_leaves_with_path(params)
    }

    def spec(path, leaf):
        names = _names(path)
        for start in range(len(names)):
            if shapes.get(names[start:]) == leaf.shape:
                return parameter_spec(names[start:], leaf.shape, mesh)
        return REPLICATED

    return jax.tree_util.tree_map_with_path(spec, tree)


def constrain(x: Array, spec: P) -> Array:
    """Pins an intermediate array to `spec` of the mesh in use (`jax.set_mesh`); none: as it is."""
    if jax.sharding.get_abstract_mesh().empty:
        return x
    return jax.lax.with_sharding_constraint(x, spec)


def row_groups(num_rows: int) -> int:
    """Groups of devices that the rows of a batch are dealt to; 1 where they cannot be."""
    mesh = jax.sharding.get_abstract_mesh()
    groups = 1 if mesh.empty else mesh.shape[DATA] * mesh.shape[FSDP]
    return groups if num_rows % groups == 0 else 1


def _names(path: Sequence[Any]) -> tuple[str, ...]:
    return tuple(str(getattr(key, "key", getattr(key, "name", key))) for key in path)
