"""The space that a folder's disk has, looked at before the work that fills it."""

import os
import shutil
from pathlib import Path

from biobert_jax.errors import UserError
from biobert_jax.units import size


def free_bytes(path: str | os.PathLike) -> int:
    """Bytes free where a folder is or will be."""
    folder = Path(os.path.abspath(path))
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def check_space(
    needed: int, free: int, place: str, remedy: str = "make room, or choose another folder"
) -> None:
    """Compares the bytes that will be written with those that are free.

    Args:
      place: where, for the message: an option with its value, or a folder.

    Raises:
      UserError: they are more.
    """
    if needed > free:
        raise UserError(
            f"{place}: about {size(needed)} of disk are needed and {size(free)} are free there: "
            f"{remedy}"
        )
