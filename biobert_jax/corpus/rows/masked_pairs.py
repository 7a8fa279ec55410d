"""Sentence pairs masked once and for all, as google's `create_pretraining_data.py` writes them.

Source: google-research/bert, create_pretraining_data.py: `create_masked_lm_predictions`.
"""

import math
from typing import NamedTuple

import numpy as np

from biobert_jax.corpus.rows.pairs import Pair, join_pair
from biobert_jax.corpus.text.tokenization import SpecialTokens


class MaskedPairRow(NamedTuple):
    """A row that holds one pair with hidden tokens. L positions, P predictions; 0 is padding.

    The names and meanings are those of upstream's records; `segment_ids` are token types there.

    Attributes:
      input_ids: int32 [L]: `[CLS] A [SEP] B [SEP]`, some tokens replaced.
      input_mask: int8 [L]; 1 where a token stands.
      segment_ids: int8 [L]; 0 for `[CLS] A [SEP]`, 1 for `B [SEP]`.
      masked_lm_positions: int32 [P], rising.
      masked_lm_ids: int32 [P], the true ids there.
      masked_lm_weights: float32 [P]; 1 for a prediction.
      next_sentence_labels: int8 [1]; 1 where B is random.
    """

    input_ids: np.ndarray
    input_mask: np.ndarray
    segment_ids: np.ndarray
    masked_lm_positions: np.ndarray
    masked_lm_ids: np.ndarray
    masked_lm_weights: np.ndarray
    next_sentence_labels: np.ndarray


def max_predictions_for(max_seq_length: int, masked_lm_prob: float) -> int:
    """`max_predictions_per_seq` as in upstream's commands: 20 at 128 positions, 77 at 512.

    That is the length times the share, rounded up. `run_pretraining.py` reads records of exactly
    as many as it is told, and 20 is its default.
    """
    # Not 8 for 0.07 of 100, which floating point takes for a little more than 7.
    return max(1, math.ceil(round(max_seq_length * masked_lm_prob, 9)))


def mask_pair(
    pair: Pair,
    rng: np.random.Generator,
    *,
    special: SpecialTokens,
    vocab_size: int,
    max_seq_length: int,
    max_predictions: int,
    masked_lm_prob: float = 0.15,
    continuation: np.ndarray | None = None,
) -> MaskedPairRow:
    """Hides a share of a pair's tokens, once and for all.

    A pair of n positions gets min(max_predictions, max(1, round(masked_lm_prob * n))) predictions
    at random tokens other than [CLS] and [SEP]. Of these 80 % become [MASK], 10 % stay, and 10 %
    become a token drawn uniformly from the whole vocabulary, special tokens included.

    Args:
      pair: the pair.
      rng: numpy's, since Python's takes 0.3 ms to shuffle 500 positions.
      special: the vocabulary's special ids.
      vocab_size: size of the vocabulary.
      max_seq_length: L, at least the pair's length.
      max_predictions: P; upstream's is 20 at 128 positions, and 77 or 80 at 512.
      masked_lm_prob: share of the positions to predict, [CLS] and [SEP] counted in.
      continuation: bool [vocab_size]; if given, whole words are hidden or nothing of them. A
        word that would exceed the number of predictions is passed over, so that there may be
        fewer. As upstream, pieces at the front of a cut B belong to A's last word.
    """
    input_ids, segment_ids = join_pair(pair, special.cls, special.sep)
    count = min(max_predictions, max(1, round(len(input_ids) * masked_lm_prob)))
    candidates = np.flatnonzero((input_ids != special.cls) & (input_ids != special.sep))
    if continuation is None:
        chosen = candidates[rng.permutation(len(candidates))[:count]]
    else:
        chosen = _choose_words(candidates, continuation[input_ids[candidates]], count, rng)
    positions = np.sort(chosen)
    labels = input_ids[positions]

    kind = rng.random(len(chosen))
    random_ids = rng.integers(0, vocab_size, len(chosen))
    input_ids[chosen] = np.where(
        kind < 0.8, special.mask, np.where(kind < 0.9, input_ids[chosen], random_ids)
    )
    length, predictions = len(input_ids), len(positions)
    row = MaskedPairRow(
        np.zeros(max_seq_length, np.int32),
        np.zeros(max_seq_length, np.int8),
        np.zeros(max_seq_length, np.int8),
        np.zeros(max_predictions, np.int32),
        np.zeros(max_predictions, np.int32),
        np.zeros(max_predictions, np.float32),
        np.array([pair.is_random_next], np.int8),
    )
    row.input_ids[:length] = input_ids
    row.input_mask[:length] = 1
    row.segment_ids[:length] = segment_ids
    row.masked_lm_positions[:predictions] = positions
    row.masked_lm_ids[:predictions] = labels
    row.masked_lm_weights[:predictions] = 1.0
    return row


def _choose_words(
    candidates: np.ndarray, continues: np.ndarray, count: int, rng: np.random.Generator
) -> np.ndarray:
    """Positions of whole words in random order, at most `count` positions.

    Args:
      candidates: int [c], positions in order.
      continues: bool [c]; the piece there belongs to the word of the candidate before.
    """
    starts = ~continues
    starts[:1] = True
    bounds = [*np.flatnonzero(starts).tolist(), len(candidates)]
    chosen: list[int] = []
    for word in rng.permutation(len(bounds) - 1).tolist():
        if len(chosen) == count:
            break
        if len(chosen) + bounds[word + 1] - bounds[word] <= count:
            chosen.extend(range(bounds[word], bounds[word + 1]))
    return candidates[chosen]
