"""What JAX shows on a host: its devices and their memory, and whether its kernels compute right."""

import dataclasses
import math
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax

from biobert_jax.aot.program import DEFAULT_VOCAB_SIZE
from biobert_jax.aot.topology import parse_topology
from biobert_jax.config import ModelConfig, PretrainConfig
from biobert_jax.config_finetuning import FinetuneConfig
from biobert_jax.environment import has_tpu
from biobert_jax.errors import UserError
from biobert_jax.model import kernel_checks
from biobert_jax.model.partitioning import FSDP, TENSOR
from biobert_jax.training.flops import chip_of, encoder_parameters, num_chips
from biobert_jax.training.sharding import check_batch, make_mesh
from biobert_jax.units import size

# Bytes a parameter, in float32: parameter, gradient and two moments; a checkpoint has no gradient.
_STATE, _SAVED = 16, 12
# Accelerator types of Cloud TPU whose number counts cores, two a chip.
_CORES = ("v2", "v3", "v4", "v5p")


class Expected(NamedTuple):
    """What a user says there should be, or the machine's own description.

    Attributes:
      source: who says so.
      chip: as `flops.Chip.name`; "": any.
      chips: in all.
    """

    source: str
    chip: str
    chips: int

    def differences(self, facts: Mapping[str, Any]) -> list[str]:
        """What is otherwise, in words; see `facts`."""
        words = []
        if facts["chips"] != self.chips:
            words.append(
                f"{self.source} has {self.chips} chips: start all of its hosts, or look which is "
                "missing"
            )
        if self.chip and facts["chip"] != self.chip:
            words.append(f"{self.source} is of {self.chip}, these are {facts['kind']}")
        return words


def expected(topology: str | None, slices: int = 1) -> Expected | None:
    """What the devices are compared with: --topology, or what a TPU VM says of itself.

    Args:
      topology: as v5e:16x16, or a number of devices; None: not said.

    Raises:
      UserError: there is no such topology.
    """
    if topology is not None:
        if topology.isdigit():
            return Expected(f"--topology {topology}", "", int(topology))
        generation, dimensions = parse_topology(topology)
        chips = math.prod(dimensions) * slices
        return Expected(f"--topology {topology}", f"TPU {generation}", chips)
    generation, _, number = os.environ.get("TPU_ACCELERATOR_TYPE", "").rpartition("-")
    if not (has_tpu() and number.isdigit()):
        return None
    chips = int(number) // (2 if generation in _CORES else 1)
    slices = int(os.environ.get("MEGASCALE_NUM_SLICES") or 1)
    return Expected(f"TPU_ACCELERATOR_TYPE {generation}-{number}", "", chips * slices)


def facts() -> dict[str, Any]:
    """What the hosts' devices are compared by; `wrong` is what this host alone can tell."""
    devices = jax.devices()
    chip = chip_of(devices[0].device_kind)
    wrong = []
    if has_tpu() and jax.default_backend() != "tpu":
        wrong.append("this machine has a TPU: pip install 'biobert-jax[tpu]', unset JAX_PLATFORMS")
    if os.path.exists("/dev/nvidiactl") and jax.default_backend() == "cpu":
        wrong.append("this machine has a GPU: pip install 'biobert-jax[cuda]', unset JAX_PLATFORMS")
    return {
        "local": jax.local_device_count(),
        "all": jax.device_count(),
        "chips": num_chips(devices),
        "chip": chip.name if chip else "",
        "kind": devices[0].device_kind,
        "wrong": wrong,
    }


class Needs(NamedTuple):
    """Bytes that a run will take at least; 0 where nothing is known.

    Attributes:
      disk: of its checkpoints, in all.
      device: of its state, a device.
      host: of its checkpoint on the way to the disk and, on CPUs, of its devices' states.
    """

    disk: int = 0
    device: int = 0
    host: int = 0


def needs(config: PretrainConfig) -> Needs:
    """By the parameters of the encoder, float32, as `config` shards them over these devices.

    `biobert compile` says exactly what a step takes beside them.

    Raises:
      UserError: the mesh or the batch does not fit the devices.
    """
    mesh = make_mesh(config.mesh, heads=config.model.num_attention_heads)
    for phase in config.data.phases or [config.data]:
        check_batch(mesh, phase.batch_size, config.train.accumulation_steps)
    model = config.model
    if model.vocab_size == 0:
        model = dataclasses.replace(model, vocab_size=DEFAULT_VOCAB_SIZE)
    parameters = encoder_parameters(model)
    device = _STATE * parameters // (mesh.shape[FSDP] * mesh.shape[TENSOR])
    host = _SAVED * parameters // jax.process_count()
    if jax.default_backend() == "cpu":
        host += device * jax.local_device_count()
    # The one that is being written stands beside those that are kept.
    disk = _SAVED * parameters * (config.train.keep_checkpoints + 1)
    return Needs(disk, device, host)


def device_memory(needed: int) -> str:
    """What each local device has left against a run's need.

    Raises:
      UserError: one has less.
    """
    free = []
    for device in jax.local_devices():
        stats = device.memory_stats() or {}
        if "bytes_limit" in stats:
            free.append(stats["bytes_limit"] - stats.get("bytes_in_use", 0))
    if not free:
        return "these devices use the host's"
    if needed > min(free):
        raise UserError(
            f"{size(min(free))} free on a device and about {size(needed)} needed by the state "
            "alone: mesh.layout=fsdp, more devices or a smaller model"
        )
    return f"{size(min(free))} free a device" + (f", {size(needed)} of state" if needed else "")


def kernels(config: PretrainConfig | FinetuneConfig | None) -> str:
    """Compares the kernels that a run would choose with the reference, on one local device.

    Raises:
      UserError: they differ; see `kernel_checks`.
    """
    model, length = ModelConfig(), 128
    if isinstance(config, FinetuneConfig):
        own, length = config.model, config.data.max_seq_length
        names = {field.name for field in dataclasses.fields(model)}
        shared = {k: v for k, v in dataclasses.asdict(own).items() if k in names}
        model = dataclasses.replace(model, **shared)
    elif config is not None:
        model, length = config.model, min(512, config.model.max_position_embeddings)
    differences = {
        "attention": kernel_checks.check_attention(model, length),
        "feed-forward": kernel_checks.check_feed_forward(model),
    }
    return ", ".join(
        f"{name} is the reference"
        if value == 0
        else f"{name} within {value:.1%} of the reference's largest value"
        for name, value in differences.items()
    )
