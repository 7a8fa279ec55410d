"""Files that a verb writes, looked at before its work begins."""

import os
from collections.abc import Iterable
from pathlib import Path

from biobert_jax.errors import UserError
from biobert_jax.files import try_to_write


def check_output(option: str, path: str | os.PathLike, inputs: Iterable[str | os.PathLike]) -> None:
    """Refuses a file that cannot be written, or that is one of those the verb reads.

    Args:
      option: as the user gave it ("--output"), for the message.
      inputs: files that the verb reads; those that are not there are passed over.

    Raises:
      UserError: it is so.
    """
    for name in inputs:
        if is_same_file(path, name):
            raise UserError(
                f"{option} {path} is an input, which it would replace: choose another name"
            )
    try:
        try_to_write(path)
    except OSError as error:
        raise UserError(f"{option} {path}: cannot be written ({error.strerror})") from error


def is_same_file(path: str | os.PathLike, other: str | os.PathLike) -> bool:
    """Whether two paths name one file, by whatever names or links; it need not exist."""
    try:
        return os.path.samefile(path, other)
    except OSError:
        return Path(os.path.realpath(path)) == Path(os.path.realpath(other))
