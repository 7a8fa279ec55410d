"""A checkpoint in a bucket, as files of this machine: the one that a path stands for, no other."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from biobert_jax import storage
from biobert_jax.errors import UserError
from biobert_jax.storage import copies

# What says which checkpoint of a folder is meant, and what is in it, is smaller than this.
_SMALL_BYTES = 1 << 20


@contextlib.contextmanager
def local_checkpoint(path: str | os.PathLike) -> Iterator[Path]:
    """What `find_checkpoint` takes, of this machine; a workdir's other checkpoints stay away.

    All small files are brought, and the large ones of the checkpoint that these say is meant; of
    the others there are empty files of the same size.

    Raises:
      UserError: there is no checkpoint.
      StorageError: it cannot be read.
    """
    if not storage.is_remote(path):
        yield Path(path)
        return
    from biobert_jax.checkpoints.load import find_checkpoint

    path = os.fspath(path).rstrip("/")
    # A TF1 checkpoint is given by what its files' names begin with.
    folder, within = (path, "") if storage.list_folder(path) else path.rsplit("/", 1)
    found = storage.list_folder(folder)
    if not found:
        raise UserError(f"{path}: no such checkpoint")
    place = copies.place_for(folder)
    large = [one for one in found if one.size > _SMALL_BYTES]
    try:
        names = {one.path.removeprefix(f"{folder}/") for one in large}
        storage.download_folder(folder, place, wanted=lambda name: name not in names)
        for one in large:
            local = place / one.path.removeprefix(f"{folder}/")
            local.parent.mkdir(parents=True, exist_ok=True)
            with open(local, "wb") as stream:
                stream.truncate(one.size)
        chosen, form = find_checkpoint(place / within)
        home = chosen.parent if form == "tf1" else chosen
        for one in large:
            local = place / one.path.removeprefix(f"{folder}/")
            if local.is_relative_to(home):
                storage.download(one.path, local)
        yield place / within
    finally:
        # The small ones serve as long as the process lives: a vocabulary is asked for later.
        for one in large:
            (place / one.path.removeprefix(f"{folder}/")).unlink(missing_ok=True)
