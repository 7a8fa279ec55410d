"""The device mesh, and arrays on it. What lies where is said in `model/partitioning.py`."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AxisType, Mesh, NamedSharding

from biobert_jax.config import MeshConfig
from biobert_jax.errors import UserError
from biobert_jax.model.partitioning import AXES, DATA, FSDP, REPLICATED, ROWS, tree_specs

# Devices that parameters are dealt over at most where the config does not say. Over 16,
# BERT-large's state takes 0.3 GB a device; over 256, its matrices' pieces are four rows each, which
# XLA then puts together by sums of whole matrices instead of gathering them.
_FSDP = 16


def make_mesh(
    config: MeshConfig, devices: Sequence[jax.Device] | None = None, *, heads: int | None = None
) -> Mesh:
    """A mesh of all devices, or of `devices`, in the layout of the config.

    The data axis is the outermost, and alone spans TPU slices: what crosses the network between
    them is one sum of gradients a step.

    Args:
      heads: attention heads, which a tensor axis deals out; None: not checked.

    Raises:
      UserError: the devices cannot be dealt out so.
    """
    devices = jax.devices() if devices is None else list(devices)
    slices = config.slices or len({getattr(device, "slice_index", 0) for device in devices})
    tensor = config.tensor if config.layout == "fsdp+tp" else 1
    each = len(devices) // slices
    if len(devices) % slices or each % tensor:
        raise UserError(
            f"mesh: {len(devices)} devices in {slices} slice(s) cannot be dealt out with "
            f"mesh.tensor {tensor}: change mesh.tensor or mesh.layout"
        )
    if heads is not None and heads % tensor:
        raise UserError(
            f"mesh.tensor {tensor} does not divide model.num_attention_heads {heads}: change it"
        )
    fsdp = 1 if config.layout == "dp" else config.fsdp or _fsdp(each // tensor)
    if each % (fsdp * tensor):
        raise UserError(
            f"mesh.fsdp {fsdp} times mesh.tensor {tensor} does not divide the {each} devices of a "
            "slice: change one of them"
        )
    shape = (each // (fsdp * tensor), fsdp, tensor)
    if slices > 1 and len({getattr(device, "slice_index", 0) for device in devices}) > 1:
        grid = mesh_utils.create_hybrid_device_mesh(
            shape, (slices, 1, 1), devices, allow_split_physical_axes=True
        )
    elif slices > 1:  # devices without slices of their own stand for them in order
        grid = np.array(devices).reshape(slices * shape[0], *shape[1:])
    else:
        grid = mesh_utils.create_device_mesh(shape, devices, allow_split_physical_axes=True)
    # Rows are dealt to the hosts in order: so each host's devices stand together, in its order.
    rows = grid.reshape(-1, tensor)
    order = sorted(range(len(rows)), key=lambda row: _host_of(rows[row, 0]))
    grid = rows[order].reshape(grid.shape)
    hosts = np.vectorize(lambda device: device.process_index)(grid).reshape(-1, tensor)
    if (hosts != hosts[:, :1]).any():
        # Each host reads rows of its own, and devices along the tensor axis share theirs.
        raise UserError(
            f"mesh.tensor {tensor}: it would span hosts, which have {jax.local_device_count()} "
            "devices each: lower it"
        )
    return Mesh(grid, AXES, axis_types=(AxisType.Auto,) * len(AXES))


def _fsdp(devices: int) -> int:
    """Of so many devices, those that share parameters where the config does not say."""
    return max(size for size in range(1, _FSDP + 1) if devices % size == 0)


def _host_of(device: jax.Device) -> tuple[int, int]:
    return getattr(device, "slice_index", 0), device.process_index


def check_batch(
    mesh: Mesh, batch_size: int, accumulation_steps: int = 1, *, key: str = "data.batch_size"
) -> None:
    """Refuses a batch that cannot be dealt evenly to the devices and micro-batches.

    Args:
      key: what sets `batch_size`, for the message.

    Raises:
      UserError: it names the nearest number that would do.
    """
    unit = mesh.shape[DATA] * mesh.shape[FSDP] * accumulation_steps
    if batch_size % unit:
        more = f" times {accumulation_steps} micro-batches" if accumulation_steps > 1 else ""
        nearest = max(1, round(batch_size / unit)) * unit
        raise UserError(
            f"{key} {batch_size} is not a multiple of {unit} "
            f"({unit // accumulation_steps} device group(s){more}): {nearest} is"
        )


def row_sharding(mesh: Mesh) -> NamedSharding:
    """Of arrays whose first axis are the rows of a batch."""
    return NamedSharding(mesh, ROWS)


def replicated(mesh: Mesh) -> NamedSharding:
    """Every device holds the whole array."""
    return NamedSharding(mesh, REPLICATED)


def tree_shardings(mesh: Mesh, tree: Any, params: Any) -> Any:
    """The shardings of a tree that holds arrays like `params`: see `partitioning.tree_specs`."""
    return jax.tree.map(
        lambda spec: NamedSharding(mesh, spec),
        tree_specs(tree, params, mesh),
        is_leaf=lambda x: isinstance(x, type(REPLICATED)),
    )


def abstract(tree: Any, shardings: Any) -> Any:
    """Shapes, types and shardings without arrays: what is restored into, or compiled for."""
    return jax.tree.map(
        lambda x, sharding: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
        tree,
        shardings,
    )


def device_batch(mesh: Mesh, batch: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
    """This host's rows to arrays over all devices, split by rows."""
    sharding = row_sharding(mesh)
    return {
        name: jax.make_array_from_process_local_data(sharding, rows) for name, rows in batch.items()
    }


def place(mesh: Mesh, params: Any) -> Any:
    """Parameters in host memory to their places: a device is sent its own part only.

    Those that are on devices already stay as they are.
    """

    def put(x, sharding):
        if isinstance(x, jax.Array):
            return x
        return jax.make_array_from_callback(x.shape, sharding, lambda index: x[index])

    return jax.tree.map(put, params, tree_shardings(mesh, params, params))
