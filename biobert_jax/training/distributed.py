"""Several processes: their start, and what they must decide as one.

Process 0 decides what depends on files and clocks, and tells the others; what any of them may
come to know, a signal or a failure, is put to the vote at every step.
"""

import functools
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from biobert_jax.errors import UserError

# Seconds: after which a process that gave no sign is dead, and the others are ended; and that one
# which ends waits for the others. JAX's own are 100 and 300.
HEARTBEAT_TIMEOUT = 60
SHUTDOWN_TIMEOUT = 60


def initialize(
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    *,
    auto: bool = False,
    timeout: int = 300,
) -> None:
    """Joins the processes of a run, before anything else of JAX is used.

    Given nothing, does nothing: the run has one process.

    Args:
      coordinator: HOST:PORT of process 0, as every process reaches it.
      num_processes: N, all of them.
      process_id: which of 0 … N - 1 this one is.
      auto: finds all three out (TPU pods, Slurm, Open MPI, Kubernetes).
      timeout: seconds to wait for the others.

    Raises:
      UserError: options that do not go together; no cluster found; the others did not come.
    """
    given = {
        "--coordinator": coordinator,
        "--num_processes": num_processes,
        "--process_id": process_id,
    }
    missing = [name for name, value in given.items() if value is None]
    if not auto and len(missing) == len(given):
        return
    if auto and len(missing) < len(given):
        raise UserError(f"--distributed finds out {', '.join(given)}: give it alone, or them")
    if not auto:
        _check_address(given, missing)

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    # It would take SIGTERM away from `training.signals`, whose votes need no service.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            cluster_detection_method=None if auto else "deactivate",
            initialization_timeout=timeout,
            heartbeat_timeout_seconds=HEARTBEAT_TIMEOUT,
            shutdown_timeout_seconds=SHUTDOWN_TIMEOUT,
        )
    except (ValueError, TypeError, RuntimeError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        if auto:
            raise UserError(
                f"--distributed: no cluster to be found ({reason}): give --coordinator HOST:PORT "
                "--num_processes N --process_id I"
            ) from error
        raise UserError(
            f"--coordinator {coordinator}: process {process_id} of {num_processes} could not join "
            f"({reason}): start all of them, and look whether that address is free and reached"
        ) from error


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


def is_first() -> bool:
    """True on process 0, which alone writes what is not an array."""
    return jax.process_index() == 0


def decide(choose: Callable[[], Any]) -> Any:
    """What `choose` returns on process 0, a JSON value, on every process.

    Raises:
      UserError: on every process, if `choose` raised it. Any other error of process 0 is its own,
        and a UserError on the others.
    """
    if jax.process_count() == 1:
        return choose()
    answer, own = {}, None
    if is_first():
        try:
            answer = {"value": choose()}
        except UserError as error:
            answer = {"error": str(error)}
        except Exception as error:
            own, answer = error, {"error": f"process 0: {type(error).__name__}: {error}"}
    answer = json.loads(_broadcast(json.dumps(answer).encode()))
    if own is not None:
        raise own
    if "error" in answer:
        raise UserError(answer["error"])
    return answer["value"]


def check_same(sha256: str, what: str) -> None:
    """Refuses what is not the same on every process, by its hash.

    Raises:
      UserError: on every process, naming the first that has something else than process 0.
    """
    if jax.process_count() == 1:
        return
    own = np.frombuffer(bytes.fromhex(sha256), np.uint8)
    everyone = np.asarray(multihost_utils.process_allgather(own))
    others = np.flatnonzero((everyone != everyone[0]).any(axis=1))
    if len(others):
        raise UserError(
            f"{what} are not those of process 0 on process {others[0]}: give all the same files"
        )


def _broadcast(content: bytes) -> bytes:
    size = int(multihost_utils.broadcast_one_to_all(np.int32(len(content))))
    buffer = np.zeros(size, np.uint8)
    if is_first():
        buffer[:] = np.frombuffer(content, np.uint8)
    return np.asarray(multihost_utils.broadcast_one_to_all(buffer)).astype(np.uint8).tobytes()


class Vote(NamedTuple):
    """What a process says at a step, or all have said.

    Attributes:
      rows, tokens: checksum and number of the tokens of its rows; added up modulo 2^32.
      stop: number of the signal that came; 0: none. The largest counts.
      save: 1 where a checkpoint is due; the largest.
      failed: 1 where it cannot go on; the largest.
    """

    rows: int = 0
    tokens: int = 0
    stop: int = 0
    save: int = 0
    failed: int = 0


def cast(vote: Vote) -> Any:
    """Puts a vote to all processes, each of which must cast one; returns what `count` takes.

    The device adds them up between two steps, so that nobody waits.
    """
    if jax.process_count() == 1:
        return vote
    rows = np.zeros((jax.local_device_count(), len(Vote._fields)), np.uint32)
    rows[0] = vote
    sharding, add_up = _ballot_box()
    return add_up(jax.make_array_from_process_local_data(sharding, rows))


def count(ballot: Any) -> Vote:
    """The sum of all votes; waits for the step before the one that was cast at."""
    if isinstance(ballot, Vote):
        return ballot
    return Vote(*np.asarray(ballot.addressable_data(0)).tolist())


@functools.cache
def _ballot_box() -> tuple[NamedSharding, Callable[[jax.Array], jax.Array]]:
    mesh = Mesh(np.array(jax.devices()), ("devices",))
    summed = Vote._fields.index("tokens") + 1

    def add_up(rows):
        return jnp.concatenate([rows[:, :summed].sum(0, jnp.uint32), rows[:, summed:].max(0)])

    everywhere = NamedSharding(mesh, PartitionSpec())
    return NamedSharding(mesh, PartitionSpec("devices")), jax.jit(add_up, out_shardings=everywhere)
