"""TPU topologies by name, as libtpu describes them without a TPU."""

import difflib
import importlib.util
import math
import os
import re
from dataclasses import dataclass

import jax

from biobert_jax.errors import UserError
from biobert_jax.training.flops import CHIPS, Chip, num_chips

# Without a TPU, libtpu asks the cloud's metadata server for minutes what machine this is, locks
# /tmp/libtpu_lockfile against a second process, and warns of what it does not know.
ENVIRONMENT = {
    "TPU_SKIP_MDS_QUERY": "1",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-8",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_WORKER_ID": "0",
    "TPU_MIN_LOG_LEVEL": "3",
    "TPU_STDERR_LOG_LEVEL": "3",
}
# Two cores of a chip that work as one device, as on a real one; libtpu lists them apart otherwise.
_ONE_DEVICE_A_CHIP = {"v4": {"chip_config_name": "megacore"}}
_FLAT = ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
_CUBES = ("2x2x1", "2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8", "8x8x16")
KNOWN = {"v4": _CUBES, "v5e": _FLAT, "v5p": _CUBES, "v6e": _FLAT}


@dataclass(frozen=True)
class Topology:
    """Chips to compile for.

    Attributes:
      name: as it was given, v5e:16x16.
      slices: how many such there are, joined by a data centre's network.
      chip: what each can do.
      devices: what JAX takes for its devices; they can be compiled for, nothing more.
    """

    name: str
    slices: int
    chip: Chip
    devices: tuple[jax.Device, ...]

    @property
    def num_chips(self) -> int:
        """Chips in all slices."""
        return num_chips(self.devices)


def describe(name: str, slices: int = 1) -> Topology:
    """The devices of a topology such as v5e:16x16 or v4:4x4x8.

    To be called before JAX has looked for devices: the process is left without a TPU.

    Raises:
      UserError: libtpu is not installed, or there is no such topology.
    """
    generation, dimensions = parse_topology(name)
    if slices < 1:
        raise UserError(f"--slices is {slices}: it must be at least 1")
    if importlib.util.find_spec("libtpu") is None:
        raise UserError(
            "compile needs libtpu, which is not installed (no TPU is needed): "
            "pip install 'biobert-jax[tpu]'"
        )
    for variable, value in ENVIRONMENT.items():
        os.environ.setdefault(variable, value)
    # Else anything that asks for a device would look for a TPU here.
    jax.config.update("jax_platforms", "cpu")
    # What was compiled for chips that are not there can be put into a cache, but not taken out.
    jax.config.update("jax_enable_compilation_cache", False)
    from jax.experimental import topologies

    options = dict(_ONE_DEVICE_A_CHIP.get(generation, {}))
    padded = (*dimensions, 1, 1)[:3]
    if math.prod(padded) < 4:
        options["chips_per_host_bounds"] = padded
    if slices > 1:
        options["num_slices"] = slices
    try:
        devices = topologies.get_topology_desc(name, "tpu", **options).devices
    except jax.errors.JaxRuntimeError as error:
        raise UserError(
            f"--topology {name}: libtpu refuses it ({str(error).splitlines()[0]}): {_nearest(name)}"
        ) from error
    return Topology(name, slices, CHIPS[generation], tuple(devices))


def parse_topology(name: str) -> tuple[str, tuple[int, ...]]:
    """Generation and dimensions of v5e:16x16; needs no libtpu.

    Raises:
      UserError: there is no such topology; the nearest is named.
    """
    match = re.fullmatch(r"(\w+):(\d+(?:x\d+){1,2})", name)
    if not match or match[1] not in KNOWN:
        raise UserError(f"--topology {name}: {_nearest(name)}")
    dimensions = tuple(int(part) for part in match[2].split("x"))
    flat = KNOWN[match[1]] is _FLAT
    odd = any(x % 2 for x in dimensions[:2]) and math.prod(dimensions) > 1
    if len(dimensions) != (2 if flat else 3) or min(dimensions) < 1 or odd:
        raise UserError(f"--topology {name}: {_nearest(name)}")
    return match[1], dimensions


def _nearest(name: str) -> str:
    """What to say instead of a name that is none."""
    generation, _, shape = name.partition(":")
    if generation not in KNOWN:
        near = difflib.get_close_matches(generation, KNOWN, n=1, cutoff=0.1) or ["v5e"]
        example = f"{near[0]}:{KNOWN[near[0]][-1]}"
        return f"no such TPU; did you mean {example}? known: {', '.join(KNOWN)}"
    wanted = math.prod(int(x) for x in re.findall(r"\d+", shape))  # 1 where there is no number
    near = min(
        KNOWN[generation],
        key=lambda known: abs(math.log(max(wanted, 1) / math.prod(map(int, known.split("x"))))),
    )
    return f"did you mean {generation}:{near}? known: {', '.join(KNOWN[generation])}"
