"""The device mesh, and where each kind of array lies on it: all PartitionSpecs are here."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from biobert_jax.config import MeshConfig
from biobert_jax.errors import UserError

AXES = ("data", "fsdp", "tensor")
ROWS = PartitionSpec(("data", "fsdp"))
REPLICATED = PartitionSpec()


def make_mesh(config: MeshConfig, batch_size: int) -> Mesh:
    """A mesh of all devices.

    Raises:
      UserError: the batch cannot be dealt evenly to the devices; several hosts.
    """
    assert config.layout == "dp", config.layout  # the config admits no other yet
    if jax.process_count() > 1:
        raise UserError("runs over several hosts are not supported in this version: use one")
    devices = jax.device_count()
    if batch_size % devices:
        raise UserError(
            f"data.batch_size {batch_size} is not a multiple of the {devices} devices: change it"
        )
    return jax.make_mesh((devices, 1, 1), AXES, axis_types=(AxisType.Auto,) * 3)


def replicated(mesh: Mesh) -> NamedSharding:
    """Every device holds the whole array: parameters and optimizer state in layout "dp"."""
    return NamedSharding(mesh, REPLICATED)


def device_batch(mesh: Mesh, batch: Mapping[str, np.ndarray]) -> dict[str, jax.Array]:
    """This host's rows to arrays over all devices, split by rows."""
    sharding = NamedSharding(mesh, ROWS)
    return {
        name: jax.make_array_from_process_local_data(sharding, rows) for name, rows in batch.items()
    }


def place(mesh: Mesh, tree: Any) -> Any:
    """Host arrays to arrays on every device."""
    return jax.device_put(tree, replicated(mesh))
