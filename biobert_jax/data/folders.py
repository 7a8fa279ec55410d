"""Opens a folder of rows by what is in it."""

import os
from pathlib import Path

from biobert_jax.corpus.dataset import export, manifest
from biobert_jax.data.arrays import ArrayData
from biobert_jax.data.source import TrainingData
from biobert_jax.data.tfrecords import PreparedData
from biobert_jax.errors import UserError


def open_prepared(directory: str | os.PathLike) -> TrainingData:
    """The data set of `biobert prepare` (TFRecords) or of `biobert export` (arrays) in a folder.

    Raises:
      UserError: the folder holds neither; or see `PreparedData` and `ArrayData`.
    """
    folder = Path(directory)
    if directory and (folder / export.NAME).is_file():
        return ArrayData(directory)
    # Which says that no folder was given, or that a preparation was not finished.
    if not directory or (folder / manifest.NAME).is_file() or (folder / ".work").is_dir():
        return PreparedData(directory)
    raise UserError(
        f"{directory}: neither a prepared data set ({manifest.NAME}) nor arrays ({export.NAME}) "
        "here: give a folder that `biobert prepare` or `biobert export` wrote"
    )
