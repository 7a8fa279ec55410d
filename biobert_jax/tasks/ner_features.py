"""Sentences of words to packed rows, and scores at their places back to words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from biobert_jax.corpus.text.tokenization import SpecialTokens, Tokenizer
from biobert_jax.tasks.windows import best_fit, cut_windows

NO_LABEL = -1


@dataclass(frozen=True)
class NerRows:
    """Packed rows of many sentences. N rows, L positions, W words in all, in reading order.

    Attributes:
      input_ids: int32 [N, L].
      sequence_ids: int32 [N, L]; 1, 2, … for the windows of a row, 0 for padding.
      word_rows, word_positions: int64 [W]; where each word's first piece stands in the window
        that labels it.
      word_counts: words of each sentence, so that W is their sum.
    """

    input_ids: np.ndarray
    sequence_ids: np.ndarray
    word_rows: np.ndarray
    word_positions: np.ndarray
    word_counts: tuple[int, ...]

    def label_array(self, label_ids: Sequence[int]) -> np.ndarray:
        """Labels of all words, in order, at their first pieces: int32 [N, L], elsewhere -1."""
        labels = np.full(self.input_ids.shape, NO_LABEL, np.int32)
        labels[self.word_rows, self.word_positions] = label_ids
        return labels


def encode_words(tokenizer: Tokenizer, sentences: Sequence[Sequence[str]]) -> list[list[list[int]]]:
    """The pieces of every word of every sentence; a word that is cleaned away is [UNK]."""
    words = [word for sentence in sentences for word in sentence]
    unknown = [tokenizer.special.unk]
    pieces = iter(tokenizer.encode_batch(words))
    return [[next(pieces) or unknown for _ in sentence] for sentence in sentences]


def pack_sentences(
    sentences: Sequence[Sequence[Sequence[int]]],
    max_seq_length: int,
    special: SpecialTokens,
    seed: int | None = None,
    row_lengths: Sequence[int] = (),
) -> NerRows:
    """Packs sentences, cut into windows where they are long, so that no word is lost.

    Args:
      sentences: the pieces of each word of each sentence.
      max_seq_length: the longest window, and L. Of a single word with more than `max_seq_length`
        - 2 pieces the first are taken.
      seed: of the order in which windows are dealt to rows; None: longest first, which fills best.
      row_lengths: shorter L to take where they hold the longest window.
    """
    capacity = max_seq_length - 2
    windows = []  # (sentence, window)
    cut = [[list(word[:capacity]) for word in sentence] for sentence in sentences]
    for number, sentence in enumerate(cut):
        for window in cut_windows([len(word) for word in sentence], capacity):
            windows.append((number, window))
    lengths = np.array(
        [2 + sum(len(word) for word in cut[n][w.start : w.end]) for n, w in windows], np.int64
    )
    if seed is None:
        order = np.argsort(-lengths, kind="stable")
    else:
        order = np.random.default_rng(seed).permutation(len(lengths))
    longest = lengths.max(initial=0)
    row_length = min(
        (length for length in row_lengths if longest <= length < max_seq_length),
        default=max_seq_length,
    )
    rows = best_fit(lengths, row_length, order)

    num_rows = int(rows.max()) + 1 if len(rows) else 0
    input_ids = np.full((num_rows, row_length), special.pad, np.int32)
    sequence_ids = np.zeros((num_rows, row_length), np.int32)
    filled = np.zeros(num_rows, np.int64)
    count = np.zeros(num_rows, np.int64)
    word_counts = tuple(len(sentence) for sentence in sentences)
    offsets = np.concatenate([[0], np.cumsum(word_counts)]).astype(np.int64)
    word_rows = np.zeros(offsets[-1], np.int64)
    word_positions = np.zeros(offsets[-1], np.int64)
    for (number, window), row, length in zip(windows, rows, lengths, strict=True):
        start = filled[row]
        count[row] += 1
        sequence_ids[row, start : start + length] = count[row]
        input_ids[row, start] = special.cls
        position = start + 1
        for word in range(window.start, window.end):
            pieces = cut[number][word]
            input_ids[row, position : position + len(pieces)] = pieces
            if window.first <= word < window.last:
                word_rows[offsets[number] + word] = row
                word_positions[offsets[number] + word] = position
            position += len(pieces)
        input_ids[row, position] = special.sep
        filled[row] += length
    return NerRows(input_ids, sequence_ids, word_rows, word_positions, word_counts)
