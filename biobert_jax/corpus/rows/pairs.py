"""A/B sentence pairs with next-sentence labels, as BERT was trained on.

The algorithm is upstream's (google-research/bert, create_pretraining_data.py:
`create_instances_from_document` and `truncate_seq_pair`), draw for draw. Upstream holds all
documents in memory and draws random B texts from them all; here documents come as a stream, and
the random text comes from the same block of it, so that memory is bounded.
"""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

# Documents that random B texts are drawn from. 1024 abstracts are 1 MB, 1024 articles 30 MB.
BLOCK_DOCUMENTS = 1024
# `[CLS] A [SEP] B [SEP]`
NUM_SPECIAL_TOKENS = 3


@dataclass(frozen=True, eq=False, slots=True)
class Pair:
    """Two texts, and whether the second was drawn at random; `len` counts the special tokens too.

    Attributes:
      tokens_a, tokens_b: int32 ids without special tokens, neither empty.
      is_random_next: upstream's label 1; False (label 0) where B follows A in its document.
    """

    tokens_a: np.ndarray
    tokens_b: np.ndarray
    is_random_next: bool

    def __len__(self) -> int:
        """Positions that `[CLS] A [SEP] B [SEP]` takes."""
        return len(self.tokens_a) + len(self.tokens_b) + NUM_SPECIAL_TOKENS


class SentenceTokens(NamedTuple):
    """A document of n sentences: its ids int32 in one piece, and n + 1 offsets that bound them.

    No sentence is empty. A document that was not split has the one offset 0.
    """

    ids: np.ndarray
    bounds: list[int]

    @property
    def num_sentences(self) -> int:
        return len(self.bounds) - 1

    def slice(self, first: int, last: int) -> np.ndarray:
        """Sentences first, …, last - 1, as a view."""
        return self.ids[self.bounds[first] : self.bounds[last]]


def make_pairs(
    documents: Iterable[SentenceTokens],
    max_seq_length: int,
    *,
    seed: int,
    stream: tuple[int, ...],
    short_seq_prob: float = 0.1,
    dupe_factor: int = 1,
    block_documents: int = BLOCK_DOCUMENTS,
) -> Iterator[Pair]:
    """Makes the sentence pairs of a stream of documents.

    Each document is gone through in chunks of sentences that reach a target length, usually all
    that fits. A chunk is split at a random sentence into A and B; half of the time, and where it
    has one sentence only, B is a random other document's text instead, and the sentences that it
    replaces begin the next chunk. A pair too long is cut a token at a time, at the front or the
    back of its longer text; what is cut off is lost, as upstream.

    As upstream, another document than A's is sought ten times. A block of one document has none:
    its random B is then a text of the same document, and may even be the true next one. The last
    block takes up the documents that are too few for one of their own, so this happens where the
    whole stream is one document.

    Args:
      documents: ids without special tokens, by sentence; those without any are passed over.
      max_seq_length: longest pair, its three special tokens included; at least 5.
      seed, stream: numbers from 0 on that decide the draws: those of block n are made by
        `random.Random` seeded from (seed, *stream, n). `stream` tells tasks and splits apart.
      short_seq_prob: share of documents that get a shorter target length, drawn uniformly.
      dupe_factor: times that each block is gone through, with other draws each time.
      block_documents: documents a block; twice as many may be in memory.

    Yields:
      `Pair`s; a function of the arguments alone. Their arrays are views of the documents'.
    """
    max_num_tokens = max_seq_length - NUM_SPECIAL_TOKENS
    if max_num_tokens < 2:
        raise ValueError(f"max_seq_length {max_seq_length} leaves no room for a pair: give 5 up")
    if dupe_factor < 1 or block_documents < 1:
        raise ValueError(f"{dupe_factor=} and {block_documents=} must be at least 1")
    for number, texts in enumerate(_blocks(documents, block_documents)):
        # A string is hashed by SHA-512, the same in every process; a tuple would not be taken.
        rng = random.Random(" ".join(map(str, (seed, *stream, number))))
        for _ in range(dupe_factor):
            for index in range(len(texts)):
                yield from _document_pairs(texts, index, max_num_tokens, short_seq_prob, rng)


def join_pair(pair: Pair, cls: int, sep: int) -> tuple[np.ndarray, np.ndarray]:
    """`[CLS] A [SEP] B [SEP]` as input_ids int32 [n] and token_type_ids int8 [n]; n = len(pair).

    Type 0 is `[CLS] A [SEP]`, type 1 is `B [SEP]`.
    """
    first_b = len(pair.tokens_a) + 2
    input_ids = np.empty(len(pair), np.int32)
    input_ids[0] = cls
    input_ids[1 : first_b - 1] = pair.tokens_a
    input_ids[first_b - 1] = sep
    input_ids[first_b:-1] = pair.tokens_b
    input_ids[-1] = sep
    token_type_ids = np.zeros(len(pair), np.int8)
    token_type_ids[first_b:] = 1
    return input_ids, token_type_ids


def _blocks(documents: Iterable[SentenceTokens], size: int) -> Iterator[list[SentenceTokens]]:
    """Blocks of `size` documents; the last has up to 2 * size - 1, so that it is not tiny."""
    block: list[SentenceTokens] = []
    for document in documents:
        if document.num_sentences < 1:
            continue
        block.append(document)
        if len(block) == 2 * size:
            yield block[:size]
            del block[:size]
    if block:
        yield block


def _document_pairs(
    texts: list[SentenceTokens],
    index: int,
    max_num_tokens: int,
    short_seq_prob: float,
    rng: random.Random,
) -> Iterator[Pair]:
    text = texts[index]
    # Mostly full sequences; some shorter ones, since fine-tuning sees such.
    target_length = max_num_tokens
    if rng.random() < short_seq_prob:
        target_length = rng.randint(2, max_num_tokens)

    start = 0
    while start < text.num_sentences:
        end = start + 1
        while end < text.num_sentences and (text.bounds[end] - text.bounds[start] < target_length):
            end += 1
        a_end = start + 1
        if end - start >= 2:
            a_end = start + rng.randint(1, end - start - 1)
        tokens_a = text.slice(start, a_end)
        is_random_next = end - start == 1 or rng.random() < 0.5
        if is_random_next:
            tokens_b = _random_text(texts, index, target_length - len(tokens_a), rng)
            start = a_end
        else:
            tokens_b = text.slice(a_end, end)
            start = end
        yield Pair(*_truncate(tokens_a, tokens_b, max_num_tokens, rng), is_random_next)


def _random_text(
    texts: list[SentenceTokens], index: int, target_length: int, rng: random.Random
) -> np.ndarray:
    """Sentences of another document than `index` until `target_length` is reached."""
    for _ in range(10):
        other = rng.randint(0, len(texts) - 1)
        if other != index:
            break
    text = texts[other]
    first = rng.randint(0, text.num_sentences - 1)
    last = first + 1
    while last < text.num_sentences and text.bounds[last] - text.bounds[first] < target_length:
        last += 1
    return text.slice(first, last)


def _truncate(
    tokens_a: np.ndarray, tokens_b: np.ndarray, max_num_tokens: int, rng: random.Random
) -> tuple[np.ndarray, np.ndarray]:
    """Cuts the longer text (B on a tie), at either end, until both together fit."""
    a_first, a_last = 0, len(tokens_a)
    b_first, b_last = 0, len(tokens_b)
    for _ in range(a_last + b_last - max_num_tokens):
        at_front = rng.random() < 0.5
        if a_last - a_first > b_last - b_first:
            a_first, a_last = (a_first + 1, a_last) if at_front else (a_first, a_last - 1)
        else:
            b_first, b_last = (b_first + 1, b_last) if at_front else (b_first, b_last - 1)
    return tokens_a[a_first:a_last], tokens_b[b_first:b_last]
