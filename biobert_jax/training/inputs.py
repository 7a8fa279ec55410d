"""From a batch of a data set's rows to what the pre-training losses take, on the device.

Made of the whole global batch, before it is dealt into micro-batches: so what a row's masks and
dropout are does not depend on how the batch is dealt.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh

from biobert_jax.config import MaskingConfig
from biobert_jax.corpus.dataset.records import RecordFormat
from biobert_jax.model.dropout import row_seeds
from biobert_jax.model.masking import MaskedRows, SpecialIds, mask_rows
from biobert_jax.training.sharding import row_sharding


class PretrainingInputs(NamedTuple):
    """Masked rows, and what tells their sequences apart; what `pretraining_losses` takes.

    Attributes:
      masked: B rows of L positions and P predictions.
      sequence_ids: int32 [B, L]; 1, 2, … for a row's sequences, 0 for padding.
      token_type_ids: int32 [B, L], 0 or 1; None: all 0.
      next_sentence_labels: int32 [B, K], one a sequence: 0 really follows, 1 random, -1 no such
        sequence; None: rows without sentence pairs.
      dropout_seeds: uint32 [B, 2], a row's randomness; None: no dropout (evaluation).
    """

    masked: MaskedRows
    sequence_ids: Array
    token_type_ids: Array | None = None
    next_sentence_labels: Array | None = None
    dropout_seeds: Array | None = None


# The array that is 0 at padding, by record format.
MASK_NAMES = {"packed": "sequence_ids", "bert": "input_mask"}
# (batch, key of the masks) to inputs.
MakeInputs = Callable[[Mapping[str, Array], Array], PretrainingInputs]


def inputs_of(
    format: RecordFormat,
    special: SpecialIds,
    masking: MaskingConfig,
    continues: np.ndarray | None = None,
) -> MakeInputs:
    """The function that makes inputs of batches of `format`.

    Args:
      continues: bool [V], tokens that go on a word; needed to hide whole words.
    """
    if format.record_format == "bert":
        return bert_inputs
    return functools.partial(packed_inputs, special=special, masking=masking, continues=continues)


def with_dropout(make_inputs: MakeInputs) -> MakeInputs:
    """As `make_inputs`, with the seeds of dropout: for training."""

    def make(batch, key):
        mask_key, dropout_key = jax.random.split(key)
        inputs = make_inputs(batch, mask_key)
        return inputs._replace(dropout_seeds=row_seeds(dropout_key, len(inputs.sequence_ids)))

    return make


def packed_inputs(
    batch: Mapping[str, Array],
    key: Array,
    *,
    special: SpecialIds,
    masking: MaskingConfig,
    continues: np.ndarray | None = None,
) -> PretrainingInputs:
    """Packed rows, masked here: which tokens follows from `key`."""
    batch = _as_int32(batch)
    masked = mask_rows(key, batch["input_ids"], batch["sequence_ids"], special, masking, continues)
    return PretrainingInputs(
        masked,
        batch["sequence_ids"],
        batch.get("token_type_ids"),
        batch.get("next_sentence_labels"),
    )


def bert_inputs(batch: Mapping[str, Array], key: Array | None = None) -> PretrainingInputs:
    """Rows of google's format, which come masked: `key` is not used. A row is one sequence."""
    del key
    weights = batch["masked_lm_weights"]
    batch = _as_int32(batch)
    masked = MaskedRows(
        batch["input_ids"], batch["masked_lm_positions"], batch["masked_lm_ids"], weights
    )
    return PretrainingInputs(
        masked, batch["input_mask"], batch["segment_ids"], batch["next_sentence_labels"]
    )


def abstract_batch(format: RecordFormat, batch_size: int, mesh: Mesh) -> dict[str, Any]:
    """Shapes [B, size], types and shardings of a global batch of so many rows, without arrays."""
    return {
        name: jax.ShapeDtypeStruct(
            (batch_size, feature.size),
            _device_dtype(format, feature.dtype),
            sharding=row_sharding(mesh),
        )
        for name, feature in format.features.items()
    }


def _device_dtype(format: RecordFormat, stored: np.dtype) -> np.dtype:
    """What a feature arrives as: google's integers are widened while they are read."""
    if format.record_format == "bert" and stored.kind in "iu":
        return np.dtype(np.int32)
    return stored


def _as_int32(batch: Mapping[str, Array]) -> dict[str, Array]:
    """Stored types are narrow, and some unsigned."""
    return {name: array.astype(jnp.int32) for name, array in batch.items()}
