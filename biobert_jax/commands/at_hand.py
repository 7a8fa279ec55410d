"""A verb's files in buckets, at hand on this machine while it runs.

Inputs are copied before the verb begins, outputs are made here and sent when it has ended well;
either lies in TMPDIR, and is removed whatever happens. Every message calls them by their names in
the bucket.
"""

import argparse
import contextlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from biobert_jax import storage
from biobert_jax.checkpoints.remote import local_checkpoint
from biobert_jax.errors import UserError
from biobert_jax.storage import copies

# What a verb does with the paths of an option.
READ = "read"  # a file or a folder
CHECKPOINT = "checkpoint"
WRITE = "write"  # a file, or a folder into which files are written
CREATE = "create"  # a file or a folder that must not be there yet
# Of a folder that was made, what says that it is whole.
_LAST = ("arrays.json", "manifest.json", "config.json")


@contextlib.contextmanager
def at_hand(args: argparse.Namespace, kinds: Mapping[str, str]) -> Iterator[None]:
    """Within the block the options' paths are local ones.

    Args:
      kinds: one of the above by the option's `dest`.

    Raises:
      UserError: a path to be read is not there, one to be created is; no right to write.
    """
    _refuse_inputs_as_outputs(args, kinds)
    sent: list[tuple[Path, str]] = []
    with contextlib.ExitStack() as stack:
        for dest, kind in kinds.items():
            local = {path: _local(stack, dest, kind, path, sent) for path in _paths(args, dest)}
            value = getattr(args, dest, None)
            if isinstance(value, list):
                setattr(args, dest, [local.get(path, path) for path in value])
            elif local:
                setattr(args, dest, local[value])
        yield
        for place, path in sent:
            _send(place, path)


def _local(
    stack: contextlib.ExitStack, dest: str, kind: str, path: str, sent: list[tuple[Path, str]]
) -> str:
    if kind in (WRITE, CREATE):
        if kind == CREATE and (storage.exists(path) or storage.list_folder(path)):
            raise UserError(f"--{dest} {path} exists: choose another name, or remove it")
        storage.try_to_write(path)
        place = copies.place_for(path)
        sent.append((place, path))
    elif kind == CHECKPOINT:
        return str(stack.enter_context(local_checkpoint(path)))
    else:
        place = copies.bring(path)
    stack.callback(copies.forget, place)
    return str(place)


def _send(place: Path, path: str) -> None:
    """Sends what was made, and last of all what was asked for."""
    beside = path.rstrip("/").rpartition("/")[0]
    for other in place.parent.iterdir():
        if other != place:
            storage.upload(other, f"{beside}/{other.name}")
    if place.is_dir():
        last = [name for name in _LAST if (place / name).exists()]
        storage.upload_folder(place, path, last=last)
    elif place.exists():
        storage.upload(place, path)


def _refuse_inputs_as_outputs(args: argparse.Namespace, kinds: Mapping[str, str]) -> None:
    """As `check_output` does of local files, which sees no more than copies of these."""
    written = [dest for dest, kind in kinds.items() if kind in (WRITE, CREATE)]
    named = {
        path for dest in (*kinds, "input") if dest not in written for path in _paths(args, dest)
    }
    for dest in written:
        for path in _paths(args, dest):
            if path in named:
                raise UserError(
                    f"--{dest} {path} is an input or another output, which it would replace: "
                    "choose another name"
                )
            named.add(path)


def _paths(args: argparse.Namespace, dest: str) -> list[str]:
    value = getattr(args, dest, None)
    given = value if isinstance(value, list) else [value]
    return [path for path in given if isinstance(path, str) and storage.is_remote(path)]


@contextlib.contextmanager
def naming(words: list[str]) -> Iterator[None]:
    """Within the block what is printed calls copies by their names in the bucket.

    Args:
      words: the command line's, which have buckets or have not.
    """
    if not any(storage.SCHEME in word for word in words):
        yield
        return
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(_Renaming, before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


class _Renaming:
    """A stream that passes everything on, and renames what is written."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(copies.renamed(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
