"""Names of accelerators: how many chips and hosts they are, and which image runs on them."""

import re
from dataclasses import dataclass

from .errors import ScriptError


@dataclass(frozen=True)
class Generation:
    """How one generation of TPUs is named and built."""

    prefix: str  # of the accelerator type
    runtime_version: str  # the image, Ubuntu 22.04
    cores_per_chip: int  # 2 where the type counts cores, 1 where it counts chips
    whole_hosts: tuple[int, ...]  # numbers of chips that are one host


GENERATIONS = {
    "v4": Generation("v4", "tpu-ubuntu2204-base", 2, (4,)),
    "v5e": Generation("v5litepod", "v2-alpha-tpuv5-lite", 1, (1, 4, 8)),
    "v5p": Generation("v5p", "v2-alpha-tpuv5", 2, (4,)),
    "v6e": Generation("v6e", "v2-alpha-tpuv6e", 1, (1, 4, 8)),
}
# What a host of a slice of several has, in all four generations.
CHIPS_PER_HOST = 4


@dataclass(frozen=True)
class Accelerator:
    """One slice."""

    type: str  # as gcloud takes it, v5litepod-16
    generation: str  # v5e
    chips: int
    hosts: int
    runtime_version: str


def accelerator(name: str) -> Accelerator:
    """Reads `v5litepod-16`, or `v5e-16` for the same.

    Raises:
      ScriptError: a generation that is not known, or a number that no slice has.
    """
    match = re.fullmatch(r"(v\w+)-([1-9]\d*)", name)
    prefixes = {g.prefix: key for key, g in GENERATIONS.items()} | {key: key for key in GENERATIONS}
    if match is None or match[1] not in prefixes:
        known = ", ".join(f"{generation.prefix}-N" for generation in GENERATIONS.values())
        raise ScriptError(f"tpu.accelerator_type: {name!r} is none of {known}")
    key = prefixes[match[1]]
    generation, number = GENERATIONS[key], int(match[2])
    chips, rest = divmod(number, generation.cores_per_chip)
    if rest or (chips not in generation.whole_hosts and chips % CHIPS_PER_HOST):
        counted = "cores, two a chip" if generation.cores_per_chip == 2 else "chips"
        whole = " or ".join(map(str, generation.whole_hosts))
        raise ScriptError(
            f"tpu.accelerator_type: no slice is a {name}: {generation.prefix}-N counts {counted}, "
            f"and a slice has {whole} chips, or a multiple of {CHIPS_PER_HOST}"
        )
    hosts = 1 if chips in generation.whole_hosts else chips // CHIPS_PER_HOST
    return Accelerator(
        f"{generation.prefix}-{number}", key, chips, hosts, generation.runtime_version
    )
