"""Packed rows of many sequences, and the ways from a sequence to its row and back.

Every task packs: a sequence, [CLS] … [SEP] with a segment or two, is put into a row beside others,
and attention keeps them apart (`model.attention`). N rows, L positions, S sequences in all, K the
most that a row holds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from biobert_jax.corpus.text.tokenization import SpecialTokens
from biobert_jax.tasks.windows import best_fit

# Where nothing is to be learnt: integers; NaN where targets are real numbers.
NO_TARGET = -1


@dataclass(frozen=True)
class Rows:
    """Packed rows.

    Attributes:
      input_ids: int32 [N, L].
      sequence_ids: int32 [N, L]; 1, 2, … for the sequences of a row, 0 for padding.
      token_type_ids: int32 [N, L], 1 for second segments; None: no sequence has one.
      places: int64 [S], the row of each sequence, in the order they were given.
      offsets: int64 [S], where it starts there.
      numbers: int64 [S], which of its row's sequences it is, from 0 on.
    """

    input_ids: np.ndarray
    sequence_ids: np.ndarray
    token_type_ids: np.ndarray | None
    places: np.ndarray
    offsets: np.ndarray
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def sequences_a_row(self) -> int:
        """K."""
        return int(self.numbers.max(initial=-1)) + 1

    @property
    def fill(self) -> float:
        """The share of positions that hold a token."""
        return np.count_nonzero(self.sequence_ids) / max(1, self.sequence_ids.size)

    def inputs(self) -> dict[str, np.ndarray]:
        """What the encoder takes."""
        inputs = {"input_ids": self.input_ids, "sequence_ids": self.sequence_ids}
        if self.token_type_ids is not None:
            inputs["token_type_ids"] = self.token_type_ids
        return inputs

    def starts(self) -> np.ndarray:
        """Where each sequence's [CLS] stands, int32 [N, K]; 0 for those that a row has not."""
        return self.of_sequences(self.offsets.astype(np.int32), fill=0)

    def of_sequences(self, values: np.ndarray, fill: Any = NO_TARGET) -> np.ndarray:
        """Values a sequence, [S, …], in their rows: [N, K, …], `fill` where there is none."""
        values = np.asarray(values)
        rows = np.full((len(self), self.sequences_a_row, *values.shape[1:]), fill, values.dtype)
        rows[self.places, self.numbers] = values
        return rows

    def by_sequence(self, rows: np.ndarray) -> np.ndarray:
        """The inverse of `of_sequences`: [N, K, …] to [S, …]."""
        return rows[self.places, self.numbers]

    def position(self, sequences: np.ndarray, positions: np.ndarray) -> tuple[Any, Any]:
        """Index (row, column) of positions in their sequences: `array[rows.position(s, p)]`."""
        return self.places[sequences], self.offsets[sequences] + positions


@dataclass(frozen=True)
class Encoded:
    """Examples as arrays.

    Attributes:
      rows: S packed sequences: a window of a sentence, a pair, a question with a window.
      inputs: arrays a row [N, …] that the model takes beside the rows' own.
      targets: arrays a row [N, …] that are learnt; empty without them. What is `NO_TARGET`, or
        NaN, weighs nothing.
      index: the task's own way from sequences back to examples.
      notes: what the user should be told of the examples, such as how many were cut.
    """

    rows: Rows
    inputs: Mapping[str, np.ndarray]
    targets: Mapping[str, np.ndarray]
    index: Any = None
    notes: tuple[str, ...] = ()

    def arrays(self, *, with_targets: bool) -> dict[str, np.ndarray]:
        """All that a batch is cut from."""
        targets = self.targets if with_targets else {}
        return {**self.rows.inputs(), **self.inputs, **targets}


def pack(
    sequences: Sequence[Sequence[int]],
    max_seq_length: int,
    special: SpecialTokens,
    *,
    second: Sequence[int] = (),
    seed: int | None = None,
    row_lengths: Sequence[int] = (),
) -> Rows:
    """Packs sequences of token ids, [CLS] and [SEP] included, into rows.

    Args:
      sequences: each of 1 to `max_seq_length` ids.
      max_seq_length: L.
      second: where each sequence's second segment begins; its length where it has none; (): none
        has one.
      seed: of the order in which sequences are dealt to rows; None: longest first, which fills
        best.
      row_lengths: shorter L to take where they hold the longest sequence.
    """
    lengths = np.array([len(ids) for ids in sequences], np.int64)
    if seed is None:
        order = np.argsort(-lengths, kind="stable")
    else:
        order = np.random.default_rng(seed).permutation(len(lengths))
    longest = lengths.max(initial=0)
    row_length = min(
        (length for length in row_lengths if longest <= length < max_seq_length),
        default=max_seq_length,
    )
    places = best_fit(lengths, row_length, order)

    num_rows = int(places.max()) + 1 if len(places) else 0
    input_ids = np.full((num_rows, row_length), special.pad, np.int32)
    sequence_ids = np.zeros((num_rows, row_length), np.int32)
    token_type_ids = np.zeros((num_rows, row_length), np.int32) if len(second) else None
    offsets, numbers = np.zeros(len(lengths), np.int64), np.zeros(len(lengths), np.int64)
    filled, count = np.zeros(num_rows, np.int64), np.zeros(num_rows, np.int64)
    for index, ids in enumerate(sequences):
        row, length = places[index], len(ids)
        start = filled[row]
        offsets[index], numbers[index] = start, count[row]
        input_ids[row, start : start + length] = ids
        sequence_ids[row, start : start + length] = count[row] + 1
        if token_type_ids is not None:
            token_type_ids[row, start + second[index] : start + length] = 1
        filled[row] += length
        count[row] += 1
    return Rows(input_ids, sequence_ids, token_type_ids, places, offsets, numbers)
