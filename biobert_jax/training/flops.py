"""Arithmetic of a training step, and the peaks of the chips that it is held against."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from biobert_jax.config import ModelConfig

_GIB = 2**30


@dataclass(frozen=True)
class Chip:
    """An accelerator's limits, as its maker states them.

    Attributes:
      name: what people call it.
      peak_flops: bfloat16 FLOP/s, dense.
      hbm_bytes: of memory; what a program can have is a little less.
      hbm_bandwidth: bytes a second.
    """

    name: str
    peak_flops: float
    hbm_bytes: int
    hbm_bandwidth: float


CHIPS = {
    "a100": Chip("A100", 312e12, 80 * _GIB, 2039e9),
    "h100": Chip("H100", 989e12, 80 * _GIB, 3350e9),
    "h200": Chip("H200", 989e12, 141 * 10**9, 4800e9),
    "v4": Chip("TPU v4", 275e12, 32 * _GIB, 1200e9),
    "v5e": Chip("TPU v5e", 197e12, 16 * _GIB, 819e9),
    "v5p": Chip("TPU v5p", 459e12, 95 * _GIB, 2765e9),
    "v6e": Chip("TPU v6e", 918e12, 32 * _GIB, 1640e9),
}

# What a JAX device calls itself. Whole names: slower cards share their beginnings (H100 PCIe,
# H200 NVL, the partitions of MIG).
_KINDS = {
    "NVIDIA A100-SXM4-80GB": "a100",
    "NVIDIA H100 80GB HBM3": "h100",
    "NVIDIA H200": "h200",
    "TPU v4": "v4",
    "TPU v5 lite": "v5e",
    "TPU v5e": "v5e",
    "TPU v5": "v5p",
    "TPU v5p": "v5p",
    "TPU v6 lite": "v6e",
    "TPU v6e": "v6e",
}


def chip_of(device_kind: str) -> Chip | None:
    """The chip of a `jax.Device.device_kind`; None for a CPU and for those not in the table."""
    name = _KINDS.get(device_kind)
    return CHIPS[name] if name else None


def num_chips(devices: Iterable[Any]) -> int:
    """Chips among `jax.Device`s: a TPU v4 topology lists cores, two a chip.

    Devices at the same coordinates of the same slice are one chip; those without coordinates
    (GPUs, CPUs) are a chip each.
    """
    places = set()
    for device in devices:
        coords = getattr(device, "coords", None)
        if coords is None:
            places.add((device.id,))
        else:
            places.add((getattr(device, "slice_index", 0), *coords))
    return len(places)


def training_flops(
    model: ModelConfig, *, tokens: float, squared_lengths: float, predictions: float
) -> float:
    """FLOPs that training on some rows needs: 3 x the forward pass, nothing computed again.

        3 * [2*S*L*(4*H^2 + 2*H*I) + 4*L*S2*H + 2*M*(H^2 + H*V)]

    with L layers of H, feed-forward I, vocabulary V. Padding, look-ups, softmax and norms, the
    pooler and the next-sentence or label classifiers count nothing; nor does attention between
    the sequences of a row, whatever the kernel computes there.

    Args:
      tokens: S, positions that are not padding.
      squared_lengths: S2, the sum of the squares of the sequences' lengths; S^2 of one sequence.
      predictions: M, positions whose token is predicted; 0 without a masked LM.
    """
    hidden, layers = model.hidden_size, model.num_hidden_layers
    projections = 2 * tokens * layers * 4 * hidden**2
    attention = 4 * layers * squared_lengths * hidden
    output = 2 * predictions * (hidden**2 + hidden * model.vocab_size)
    return 3.0 * (projections + attention + output) + feed_forward_flops(model, tokens)


def feed_forward_flops(model: ModelConfig, tokens: float) -> float:
    """The feed-forward pairs' part of `training_flops`."""
    pair = 2 * model.hidden_size * model.intermediate_size
    return 3.0 * 2 * tokens * model.num_hidden_layers * pair


def encoder_parameters(model: ModelConfig) -> int:
    """Numbers in the encoder: embeddings and layers, without pooler and heads."""
    hidden, wide = model.hidden_size, model.intermediate_size
    tables = model.vocab_size + model.max_position_embeddings + model.type_vocab_size
    layer = 4 * (hidden + 1) * hidden + (hidden + 1) * wide + (wide + 1) * hidden + 4 * hidden
    return tables * hidden + 2 * hidden + model.num_hidden_layers * layer
