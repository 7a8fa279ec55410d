"""Rows that point beyond a table."""

from pathlib import Path

import numpy as np
import pytest

from biobert_jax.corpus.dataset.records import RecordFormat
from biobert_jax.data.source import Block, TrainingData
from biobert_jax.errors import UserError


class Rows(TrainingData):
    """One batch, whatever is asked for."""

    def __init__(self, format, **changes):
        self.batch = {n: np.zeros((4, f.size), f.dtype) for n, f in format.features.items()}
        for name, value in changes.items():
            if value < 0:
                self.batch[name] = self.batch[name].astype(np.int32)
            self.batch[name][2, 1] = value
        block = Block(Path("x"), 4)
        super().__init__(
            **dict.fromkeys(("summary", "vocab_sha256", "sha256"), ""),
            **{"name": "rows", "format": format, "train": [block], "heldout": [block]},
            **{"vocab_path": Path("v"), "special": None},
        )

    def _read(self, streams, rows_each):
        yield self.batch


PACKED = RecordFormat("packed", "mlm_nsp", 8, 30)
GOOGLE = RecordFormat("bert", "mlm_nsp", 8, 30, 3)


@pytest.mark.parametrize(
    "format, name, last",
    [
        (PACKED, "input_ids", 29),
        (PACKED, "token_type_ids", 1),
        (GOOGLE, "input_ids", 29),
        (GOOGLE, "masked_lm_ids", 29),
        (GOOGLE, "masked_lm_positions", 7),
        (GOOGLE, "segment_ids", 1),
    ],
)
def test_an_index_beyond_its_table_is_refused(format, name, last):
    for data in (Rows(format), Rows(format, **{name: last})):
        next(data.train_batches(4, seed=0))
        next(data.heldout_batches(4))
    for value in (last + 1, -1) if format == GOOGLE else (last + 1,):
        data = Rows(format, **{name: value})
        for batches in (data.train_batches(4, seed=0), data.heldout_batches(4)):
            with pytest.raises(UserError, match=f"rows: .*{name} has {value}, not below"):
                next(batches)
