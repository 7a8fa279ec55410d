"""How the processes of a run find and join each other, or end in one line.

What is given counts; else the cluster is asked (`clusters`). Before JAX joins them, which it does
without a way back, all meet by a roll call and compare versions.
"""

import os
from typing import Any, NamedTuple

import jax
import jaxlib

from biobert_jax import __version__
from biobert_jax.errors import UserError
from biobert_jax.training import clusters
from biobert_jax.training.roll_call import roll_call

# Seconds: after which a process that gave no sign is dead, and the others are ended; and that one
# which ends waits for the others. JAX's own are 100 and 300.
HEARTBEAT_TIMEOUT = 60
SHUTDOWN_TIMEOUT = 60
# Seconds in which all processes must have been started.
JOIN_TIMEOUT = 300


class Meeting(NamedTuple):
    """Where the processes of a run meet, and which this one is; `initialize` has the meanings."""

    coordinator: str
    num_processes: int
    process_id: int
    local_device_ids: list[int] | None = None


def initialize(
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    *,
    detect: str = "off",
    timeout: int = JOIN_TIMEOUT,
) -> None:
    """Joins the processes of a run, before anything else of JAX is used.

    A process that is the only one does nothing. All of several must have the same versions.

    Args:
      coordinator: HOST:PORT of process 0, as every process reaches it.
      num_processes: N, all of them.
      process_id: which of 0 … N - 1 this one is.
      detect: how all three are found out where they are not given: "auto" asks the cluster (TPU
        slices, Slurm, Open MPI, Kubernetes) whether there are others, "on" wants some, "off" wants
        none.
      timeout: seconds to wait for the others.

    Raises:
      UserError: options that do not go together; no cluster found; the others did not come, or
        have other versions.
    """
    meeting = find_meeting(coordinator, num_processes, process_id, detect=detect, timeout=timeout)
    if meeting is None:
        return
    # What compiles the programs that all of them must run, and what decides what they hold.
    versions = {
        "biobert_jax": __version__,
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
    }
    everyone = roll_call(*meeting[:3], versions, timeout=timeout)
    for index, theirs in enumerate(everyone):
        for name, version in everyone[0].items():
            if theirs.get(name) != version:
                raise UserError(
                    f"process {index} has {name} {theirs.get(name)}, process 0 {version}: install "
                    "the same on every host (`biobert doctor` compares them all)"
                )
    join(meeting, timeout=timeout)


def find_meeting(
    coordinator: str | None,
    num_processes: int | None,
    process_id: int | None,
    *,
    detect: str,
    timeout: int = JOIN_TIMEOUT,
) -> Meeting | None:
    """Where to meet the others, by what is given or the cluster says; None: there are none.

    Raises:
      UserError: see `initialize`.
    """
    given = {
        "--coordinator": coordinator,
        "--num_processes": num_processes,
        "--process_id": process_id,
    }
    missing = [name for name, value in given.items() if value is None]
    if timeout < 1:
        raise UserError(f"--join_timeout {timeout}: give a number above 0")
    if len(missing) < len(given):
        if detect == "on":
            raise UserError(f"--distributed finds out {', '.join(given)}: give it alone, or them")
        _check_address(given, missing)
        return Meeting(coordinator, num_processes, process_id)
    if detect == "off":
        refuse_part_of_slice()
        return None
    cluster = clusters.find()
    if cluster is not None:
        return Meeting(cluster.coordinator(timeout), *cluster[1:4])
    if detect == "on":
        raise UserError(
            "--distributed: no cluster that started several processes is to be found: give "
            "--coordinator HOST:PORT --num_processes N --process_id I"
        )
    return None


def join(meeting: Meeting, *, timeout: int = JOIN_TIMEOUT) -> None:
    """Joins processes that have met.

    Raises:
      UserError: JAX cannot join them.
    """
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # It would take SIGTERM away from `training.signals`, whose votes need no service.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            *meeting,
            cluster_detection_method="deactivate",
            initialization_timeout=timeout,
            heartbeat_timeout_seconds=HEARTBEAT_TIMEOUT,
            shutdown_timeout_seconds=SHUTDOWN_TIMEOUT,
        )
    except (ValueError, TypeError, RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"process {meeting.process_id} of {meeting.num_processes} could not join at "
            f"{meeting.coordinator} ({reason}): look whether that address is free and reached"
        ) from error


def refuse_part_of_slice() -> None:
    """Refuses to compute on one host of several of a TPU slice, where libtpu waits for the rest.

    Raises:
      UserError: this is such a host, and JAX would use its TPU.
    """
    if os.environ.get("JAX_PLATFORMS", "tpu").startswith("cpu"):
        return
    if (cluster := clusters.find_slice()) is not None:
        raise UserError(
            f"this is one of {cluster.num_processes} hosts of a TPU slice, whose chips work "
            "together only: start the command on all of them, or with JAX_PLATFORMS=cpu here"
        )


def refuse_several() -> None:
    """Refuses what works in one process where the cluster has started several.

    Raises:
      UserError: it has; on a TPU slice JAX_PLATFORMS=cpu is enough to be let through.
    """
    refuse_part_of_slice()
    if clusters.find_slice() is None and (cluster := clusters.find()) is not None:
        raise UserError(
            f"{cluster.name} started {cluster.num_processes} processes, and this command works in "
            "one: start it once, or give --distributed=off where each has its own work"
        )


def _check_address(given: dict[str, Any], missing: list[str]) -> None:
    if missing:
        raise UserError(
            f"{', '.join(missing)} not given: several processes need {', '.join(given)}"
        )
    coordinator, number, index = given.values()
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit():
        raise UserError(f"--coordinator {coordinator}: give HOST:PORT, as in 10.0.0.1:1234")
    if not 0 <= index < number:
        raise UserError(f"--process_id {index}: it must be one of 0 to {number - 1}")
