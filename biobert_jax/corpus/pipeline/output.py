"""The output folder: what is finished there, who is at work in it, and the step that publishes."""

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import re
import socket
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from etils import epath

from biobert_jax import json_fields, storage
from biobert_jax.corpus.dataset.manifest import (
    INPUTS,
    NAME,
    Manifest,
    check_shards,
    read_manifest,
)
from biobert_jax.corpus.dataset.report import render_report
from biobert_jax.corpus.dataset.tfds import tfds_metadata
from biobert_jax.corpus.pipeline.arguments import PrepareArguments, fingerprint, work_claim
from biobert_jax.corpus.pipeline.finish import MAX_INPUTS_NAMED
from biobert_jax.corpus.pipeline.tasks import file_states
from biobert_jax.corpus.text.tokenization import Tokenizer
from biobert_jax.errors import UserError
from biobert_jax.files import try_lock, write_bytes_atomically

Notice = Callable[[str], None]
WORK = ".work"
# In `.work/`: the hash of the arguments that it belongs to, and the lock of who is at work there.
CLAIM = "fingerprint"
# Of the form of what tasks leave there.
WORK_VERSION = 2
LOCK = "lock"
# What `prepare` writes: files of these names are its own to replace.
OWN_SHARD = re.compile(r"(train|heldout)-\d{5,}-of-\d{5,}\.tfrecord")


def input_record(
    paths: Sequence[str], states: Sequence[tuple[int, int]], claim: str, failed: dict[str, str]
) -> dict[str, Any]:
    """What `inputs.json` holds: the input files' sizes and times of change.

    They stand beside the manifest and not in it, so that a set made of the same content elsewhere
    has the same manifest, byte for byte.

    Args:
      states: see `tasks.file_states`.
      claim: see `arguments.work_claim`.

    Returns:
      claim. sha256: of all names, sizes and times. files: of each file, of very many of those alone
      that are in `failed`, [size, time].
    """
    known = dict(zip(paths, map(list, states), strict=True))
    named = paths if len(paths) <= MAX_INPUTS_NAMED else _bad_files(paths, failed)
    return {
        "claim": claim,
        "sha256": hashlib.sha256(json.dumps(known).encode()).hexdigest(),
        "files": {path: known[path] for path in named},
    }


def finished_before(
    arguments: PrepareArguments,
    tokenizer: Tokenizer,
    output: str | os.PathLike,
    notice: Notice = lambda line: None,
) -> Manifest | None:
    """The manifest of a set that is finished there, whole, and made of the inputs as they are now.

    None where there is none, or where one must be made anew: a file is missing or cut, or an
    input that could not be read has changed since; `notice` is told which.

    Raises:
      UserError: another set, other files, or inputs that have changed.
    """
    folder = storage.etils_path(output)
    is_local = "://" not in os.fspath(folder)
    if not (folder / NAME).exists():
        others = folder.is_dir() and any(path.name != WORK for path in folder.iterdir())
        if others and not (folder / WORK).exists():
            raise UserError(f"--output {output} holds other files: choose an empty folder")
        return None
    manifest = read_manifest(folder)
    paths = arguments.inputs
    now = input_record(paths, file_states(paths), work_claim(arguments, tokenizer), manifest.failed)
    then = _read_record(folder / INPUTS)
    is_same = (
        then["claim"] == now["claim"]
        if then
        else manifest.fingerprint == fingerprint(arguments, tokenizer)
    )
    if not is_same:
        raise UserError(
            f"--output {output} holds another data set (other inputs or arguments, or of another "
            "version): choose another folder, or remove it"
        )
    if then and then["sha256"] != now["sha256"]:
        changed = [p for p, state in now["files"].items() if then["files"].get(p) != state]
        mended = set(changed) & set(_bad_files(paths, manifest.failed))
        if not mended:
            what = changed[0] if changed else f"one of {len(paths):,} input files"
            raise UserError(
                f"--output {output}: {what} has changed since this data set was made: remove the "
                "folder to prepare it anew, or choose another"
            )
        notice(f"{output}: {sorted(mended)[0]} has changed and is tried again")
        return None
    if is_local:
        problems = check_shards(Path(folder), manifest, hashes=False)
    else:
        present = {path.name for path in folder.iterdir()}
        names = [shard.name for shard in manifest.shards]
        problems = [f"{folder / name}: missing" for name in names if name not in present]
    if problems:
        notice(f"{problems[0]}: prepared anew")
        return None
    _remove_leftovers(folder)
    return manifest


def _bad_files(paths: Sequence[str], failed: dict[str, str]) -> list[str]:
    """The inputs that could not be read, or not all of whose members or lines could.

    These are named `archive/member` and `file:line`.
    """
    bad = set()
    for name in failed:
        bad.add(name)
        bad.update(name[:place] for place, letter in enumerate(name) if letter in "/:")
    return [path for path in paths if path in bad]


def _read_record(path: epath.Path) -> dict[str, Any] | None:
    """What `inputs.json` says; None where it is missing or damaged: sizes must do then."""
    with contextlib.suppress(ValueError, FileNotFoundError):
        record = json_fields.read_object(path)
        kinds = {
            "claim": json_fields.TEXT,
            "sha256": json_fields.SHA256,
            "files": json_fields.OBJECT,
        }
        json_fields.check_fields(record, kinds)
        return record
    return None


def _remove_leftovers(folder: epath.Path) -> None:
    """Removes the working folder of a run that died at its very end, unless one is at work."""
    work = folder / WORK
    if work.exists():
        with contextlib.suppress(UserError, OSError), locked(folder):
            work.rmtree()


@contextlib.contextmanager
def claimed(output: str | os.PathLike, claim: str) -> Iterator[epath.Path]:
    """The folder to work in, taken for this run alone, and for these arguments alone.

    Raises:
      UserError: another run is at work there, or one with other arguments is unfinished.
    """
    folder = storage.etils_path(output)
    work = folder / WORK
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output {output}: cannot be made ({error.strerror})") from error
    try:
        with locked(folder):
            path, claim = work / CLAIM, claim_text(claim)
            if path.exists():
                refuse_other_work(path.read_text(), claim, output)
            _write(path, claim)
            yield work
    except OSError as error:
        # A full disk is said to be that of `output`: what fails is a write, which names no file.
        if error.errno in (errno.ENOSPC, errno.EDQUOT) and not error.filename:
            error.filename = str(output)
        raise


def claim_text(claim: str) -> str:
    """What `.work/fingerprint` holds of a run; `claim`: see `arguments.work_claim`."""
    return f"{claim} {WORK_VERSION}"


def refuse_other_work(found: str, claim: str, output: str | os.PathLike) -> None:
    """Raises a UserError where the claim found in `output` is not a run's own."""
    if found != claim:
        raise UserError(
            f"--output {output} holds an unfinished run with other inputs or arguments, or of "
            f"another version: finish that, choose another folder, or remove "
            f"{storage.etils_path(output) / WORK}"
        )


@contextlib.contextmanager
def locked(folder: epath.Path) -> Iterator[None]:
    """Holds the lock of the folder's `.work`.

    On a local disk it ends with its process, however that ends. In an object store it is an
    object, which a run that was killed leaves behind, and which does not keep apart two runs that
    begin in the same moment.

    Raises:
      UserError: another run holds it.
    """
    path = folder / WORK / LOCK
    if "://" in os.fspath(folder):
        if path.exists():
            raise UserError(
                f"--output {folder}: another `biobert prepare` is at work there, or was killed "
                f"({path.read_text()}): if none is running, remove {path}"
            )
        path.write_text(f"process {os.getpid()} of {socket.gethostname()}")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
        return
    with open(path, "w") as lock:
        if not try_lock(lock):
            raise UserError(f"--output {folder}: another `biobert prepare` is at work there")
        yield


def publish(
    manifest: Manifest, vocab: bytes, inputs: dict[str, Any], output: str | os.PathLike
) -> Manifest:
    """Moves the files into place and, last, writes the manifest that makes them a data set.

    Of what stands in the folder only what has the name of a shard of ours is removed.

    Args:
      inputs: see `input_record`.

    Returns:
      The manifest, with the hashes of the files that describe the set.
    """
    folder = storage.etils_path(output)
    work = folder / WORK
    # From here until the new one is written, no manifest speaks of these files.
    (folder / NAME).unlink(missing_ok=True)
    names = {shard.name for shard in manifest.shards}
    # What a run that died here had moved, of files that have changed since.
    for path in list(folder.iterdir()):
        if path.name not in names and OWN_SHARD.fullmatch(path.name):
            path.unlink()
    for name in names:
        if (work / name).exists():  # else a run that died here has moved it already
            (work / name).replace(folder / name)

    def put(name: str, content: bytes | str) -> None:
        _write(work / name, content)
        (work / name).replace(folder / name)

    put(manifest.tokenizer["file"], vocab)
    files = tfds_metadata(manifest)
    if "://" not in os.fspath(folder):  # the report looks into the shards
        files |= render_report(manifest, Path(folder))
    for name, text in files.items():
        put(name, text)
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    manifest = dataclasses.replace(manifest, files=dict(sorted(hashes.items())))
    put(INPUTS, json.dumps(inputs, indent=1) + "\n")
    put(NAME, manifest.to_json())
    with contextlib.suppress(OSError):
        work.rmtree()
    return manifest


def _write(path: epath.Path, content: bytes | str) -> None:
    """Writes a file, on a local disk whole or not at all."""
    if isinstance(content, str):
        content = content.encode("utf-8")
    if "://" in os.fspath(path):
        path.write_bytes(content)
    else:
        write_bytes_atomically(path, content)
