"""The sums of a checkpoint's files, each taken by the process that wrote the file.

Every process reads back what it wrote, from where it lies now, so that no process reads all of a
large checkpoint. Process 0 gathers the sums.
"""

import json
import re
import time

import jax

from biobert_jax.checkpoints import manifest
from biobert_jax.storage import anywhere
from biobert_jax.storage.anywhere import AnyPath

# Orbax has the arrays of process 3 in `params/ocdbt.process_3/`, and their description in
# `params/array_metadatas/process_3`.
_OWNER = re.compile(r"/(?:ocdbt\.)?process_(\d+)(?:/|$)")
_FAILED = "failed"  # no file's name: those have a slash, or are ours
# Seconds in which the others are expected to have read back what they wrote; JAX ends the run long
# before, where one of them has died.
_TIMEOUT = 1800


def tell(path: AnyPath) -> None:
    """Leaves the sums of this process's files for process 0."""
    own = jax.process_index()
    anywhere.write_bytes(_notes(path) / f"{own}.json", json.dumps(_sums(path, own)).encode())


def tell_failure(path: AnyPath, error: Exception) -> None:
    """Leaves word that this process could not save its part."""
    note = {_FAILED: f"process {jax.process_index()}: {' '.join(str(error).split())}"}
    place = _notes(path) / f"{jax.process_index()}.json"
    anywhere.write_bytes(place, json.dumps(note).encode())


def gather(path: AnyPath) -> dict[str, str]:
    """The SHA-256 of all of a checkpoint's files, on process 0; the others' notes are removed.

    Raises:
      OSError: a process has left none, or failed; files are there that nobody has summed.
    """
    gathered = _sums(path, 0)
    for process in range(1, jax.process_count()):
        note = json.loads(_wait_for(_notes(path) / f"{process}.json"))
        if _FAILED in note:
            raise OSError(note[_FAILED])
        gathered |= note
    if unknown := set(manifest.files_of(path)) ^ set(gathered):
        raise OSError(f"{path / min(unknown)}: no process has summed it, or it has gone")
    forget(path)
    return gathered


def forget(path: AnyPath) -> None:
    """Removes what processes of an earlier save of the same step have left."""
    anywhere.remove_folder(_notes(path))


def _notes(path: AnyPath) -> AnyPath:
    """Beside the checkpoint, whose files are its manifest's alone; what is left is cleared away
    with the unfinished ones.
    """
    return path.with_name(f"{path.name}.sums")


def _sums(path: AnyPath, process: int) -> dict[str, str]:
    names = [name for name in manifest.files_of(path) if _owner(name) == process]
    return {name: anywhere.file_sha256(path / name) for name in names}


def _owner(name: str) -> int:
    """The process that sums a file; what nobody's name is on is process 0's."""
    found = _OWNER.search(name)
    owner = int(found[1]) if found else 0
    return owner if owner < jax.process_count() else 0


def _wait_for(note: AnyPath) -> bytes:
    end, pause = time.monotonic() + _TIMEOUT, 0.05
    while not anywhere.exists(note):
        if time.monotonic() > end:
            raise TimeoutError(f"{note}: not there after {_TIMEOUT} s")
        time.sleep(pause)
        pause = min(2 * pause, 2.0)
    return anywhere.read_bytes(note)
