"""Opens a folder of rows by what is in it."""

import os

from biobert_jax import storage
from biobert_jax.corpus.dataset import export, manifest
from biobert_jax.data.arrays import ArrayData
from biobert_jax.data.source import TrainingData
from biobert_jax.data.staging import STAGING_GB
from biobert_jax.data.tfrecords import PreparedData
from biobert_jax.errors import UserError


def open_prepared(directory: str | os.PathLike, *, staging_gb: float = STAGING_GB) -> TrainingData:
    """The data set of `biobert prepare` (TFRecords) or of `biobert export` (arrays) in a folder.

    Shards of one in a bucket are brought to this machine's disk as they are needed, arrays before
    anything else.

    Args:
      staging_gb: 10^9 bytes of disk that what is brought may take at a time.

    Raises:
      UserError: the folder holds neither; or see `PreparedData` and `ArrayData`.
    """
    names = _names(directory) if directory else set()
    if export.NAME in names:
        return ArrayData(directory, staging_gb=staging_gb)
    # Which says that no folder was given, or that a preparation was not finished.
    if not directory or {manifest.NAME, ".work"} & names:
        return PreparedData(directory, staging_gb=staging_gb)
    raise UserError(
        f"{directory}: neither a prepared data set ({manifest.NAME}) nor arrays ({export.NAME}) "
        "here: give a folder that `biobert prepare` or `biobert export` wrote"
    )


def _names(directory: str | os.PathLike) -> set[str]:
    """The files and folders in a folder; none where there is no such folder."""
    if storage.is_remote(directory):
        prefix = os.fspath(directory).rstrip("/") + "/"
        found = storage.list_folder(directory)
        return {one.path.removeprefix(prefix).partition("/")[0] for one in found}
    return set(os.listdir(directory)) if os.path.isdir(directory) else set()
