"""Several processes: what they must decide as one; `joining` has their start.

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


def gather(value: Any) -> list[Any]:
    """What each process gives, a JSON value, in their order; on every process."""
    if jax.process_count() == 1:
        return [value]
    content = np.frombuffer(json.dumps(value).encode(), np.uint8)
    sizes = np.asarray(multihost_utils.process_allgather(np.int32(len(content))))
    rows = np.zeros(int(sizes.max()), np.uint8)
    rows[: len(content)] = content
    everyone = np.asarray(multihost_utils.process_allgather(rows)).astype(np.uint8)
    return [json.loads(row[:n].tobytes()) for row, n in zip(everyone, sizes, strict=True)]


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
