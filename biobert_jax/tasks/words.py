"""Sentences of words to packed rows, and scores at their places back to words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from biobert_jax.corpus.text.tokenization import SpecialTokens, Tokenizer
from biobert_jax.tasks.rows import NO_TARGET, Rows, pack
from biobert_jax.tasks.windows import cut_windows


@dataclass(frozen=True)
class WordRows:
    """Packed rows of many sentences of W words in all, in reading order.

    Attributes:
      rows: the windows of all sentences.
      word_rows, word_positions: int64 [W]; where each word's first piece stands in the window
        that labels it.
      word_counts: words of each sentence, so that W is their sum.
    """

    rows: Rows
    word_rows: np.ndarray
    word_positions: np.ndarray
    word_counts: tuple[int, ...]

    def of_words(self, values: Sequence[int]) -> np.ndarray:
        """Values of all words, in order, at their first pieces: int32 [N, L], elsewhere -1."""
        array = np.full(self.rows.input_ids.shape, NO_TARGET, np.int32)
        array[self.word_rows, self.word_positions] = values
        return array

    def by_sentence(self, array: np.ndarray | None) -> list[np.ndarray]:
        """What stands at the words' first pieces, [N, L, …] to [words, …] of each sentence."""
        if array is None:
            return [np.zeros((0, 1), np.float32) for _ in self.word_counts]
        values = array[self.word_rows, self.word_positions]
        return np.split(values, np.cumsum(self.word_counts)[:-1]) if self.word_counts else []


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
) -> WordRows:
    """Packs sentences, cut into windows where they are long, so that no word is lost.

    Args:
      sentences: the pieces of each word of each sentence.
      max_seq_length: the longest window, and L. Of a single word with more than `max_seq_length`
        - 2 pieces the first are taken.
      seed, row_lengths: as `rows.pack` takes them.
    """
    capacity = max_seq_length - 2
    word_counts = tuple(len(sentence) for sentence in sentences)
    sequences: list[list[int]] = []
    owners = np.zeros(sum(word_counts), np.int64)  # the sequence that labels each word
    places = np.zeros(sum(word_counts), np.int64)  # and where in it
    first_word = 0
    for sentence in sentences:
        cut = [list(word[:capacity]) for word in sentence]
        for window in cut_windows([len(word) for word in cut], capacity):
            ids = [special.cls]
            for word in range(window.start, window.end):
                if window.first <= word < window.last:
                    owners[first_word + word] = len(sequences)
                    places[first_word + word] = len(ids)
                ids += cut[word]
            sequences.append([*ids, special.sep])
        first_word += len(sentence)
    rows = pack(sequences, max_seq_length, special, seed=seed, row_lengths=row_lengths)
    return WordRows(rows, *rows.position(owners, places), word_counts)
