"""Sentence pairs as upstream makes them; their packing; their static masks."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biobert_jax.corpus.rows.masked_pairs import mask_pair, max_predictions_for
from biobert_jax.corpus.rows.pair_packing import NO_LABEL, max_pairs, pack_pairs
from biobert_jax.corpus.rows.pairs import Pair, SentenceTokens, make_pairs
from biobert_jax.corpus.text.tokenization import SpecialTokens

SPECIAL = SpecialTokens(pad=0, unk=100, cls=101, sep=102, mask=103)
VOCAB_SIZE = 20_000
# Odd ids continue a word.
CONTINUATION = np.arange(VOCAB_SIZE) % 2 == 1


def document(sentences):
    """Sentence lengths to a document; every token of all documents is another number."""
    return SentenceTokens(
        np.concatenate([np.array(s, np.int32) for s in sentences]),
        [0, *np.cumsum([len(s) for s in sentences]).tolist()],
    )


def numbered(lengths):
    """Documents from lists of sentence lengths, with running token numbers."""
    tokens = iter(range(200, VOCAB_SIZE))
    return [[[next(tokens) for _ in range(n)] for n in sentences] for sentences in lengths]


LENGTHS = st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=12), min_size=1, max_size=8)


def upstream(documents, max_seq_length, short_seq_prob, rng):
    """create_pretraining_data.py's create_instances_from_document, with lists, draw for draw."""
    most = max_seq_length - 3
    for index, sentences in enumerate(documents):
        target = rng.randint(2, most) if rng.random() < short_seq_prob else most
        chunk, size, i = [], 0, 0
        while i < len(sentences):
            chunk.append(sentences[i])
            size += len(sentences[i])
            if i == len(sentences) - 1 or size >= target:
                a_end = rng.randint(1, len(chunk) - 1) if len(chunk) >= 2 else 1
                a = [t for s in chunk[:a_end] for t in s]
                b = []
                is_random = len(chunk) == 1 or rng.random() < 0.5
                if is_random:
                    for _ in range(10):
                        other = rng.randint(0, len(documents) - 1)
                        if other != index:
                            break
                    start = rng.randint(0, len(documents[other]) - 1)
                    for sentence in documents[other][start:]:
                        b += sentence
                        if len(b) >= target - len(a):
                            break
                    i -= len(chunk) - a_end
                else:
                    b = [t for s in chunk[a_end:] for t in s]
                while len(a) + len(b) > most:
                    longer = a if len(a) > len(b) else b
                    if rng.random() < 0.5:
                        del longer[0]
                    else:
                        longer.pop()
                yield a, b, is_random
                chunk, size = [], 0
            i += 1


@settings(max_examples=150, deadline=None)
@given(LENGTHS, st.integers(8, 80), st.sampled_from([0.0, 0.1, 0.9]), st.integers(0, 5))
def test_pairs_are_upstreams_draw_for_draw(lengths, max_seq_length, short, seed):
    documents = numbered(lengths)
    pairs = make_pairs(
        map(document, documents), max_seq_length, seed=seed, stream=(4, 1), short_seq_prob=short
    )
    found = [(p.tokens_a.tolist(), p.tokens_b.tolist(), p.is_random_next) for p in pairs]
    rng = random.Random(f"{seed} 4 1 0")
    assert found == list(upstream(documents, max_seq_length, short, rng))


def test_blocks_bound_what_is_held_and_repeats_draw_anew():
    documents = [document(d) for d in numbered([[7, 9, 4, 11]] * 50)]
    taken = []

    def watched():
        for number, doc in enumerate(documents):
            taken.append(number)
            yield doc

    pairs = make_pairs(
        watched(), 24, seed=0, stream=(), dupe_factor=3, block_documents=8, short_seq_prob=0
    )
    first = next(pairs)
    assert len(taken) == 16
    labels = [first.is_random_next, *(pair.is_random_next for pair in pairs)]
    assert len(taken) == 50
    assert 0.35 < np.mean(labels) < 0.85  # half, and every chunk of one sentence
    once = list(make_pairs(documents, 24, seed=0, stream=(), block_documents=8, short_seq_prob=0))
    assert len(labels) > 2.5 * len(once)


PAIRS = st.lists(
    st.tuples(st.integers(1, 20), st.integers(1, 20), st.booleans()), min_size=1, max_size=60
)


@settings(max_examples=100, deadline=None)
@given(PAIRS, st.integers(43, 130), st.integers(1, 16))
def test_every_pair_stands_whole_in_one_row(sizes, max_seq_length, pool_size):
    tokens = iter(range(200, VOCAB_SIZE))
    pairs = [
        Pair(
            np.array([next(tokens) for _ in range(a)], np.int32),
            np.array([next(tokens) for _ in range(b)], np.int32),
            label,
        )
        for a, b, label in sizes
    ]
    found = []
    for row in pack_pairs(iter(pairs), max_seq_length, special=SPECIAL, pool_size=pool_size):
        count = row.sequence_ids.max()
        assert len(row.next_sentence_labels) == max_pairs(max_seq_length) >= count
        assert (row.next_sentence_labels[count:] == NO_LABEL).all()
        assert (row.input_ids[row.sequence_ids == 0] == SPECIAL.pad).all()
        for number in range(1, count + 1):
            here = row.sequence_ids == number
            ids, types = row.input_ids[here].tolist(), row.token_type_ids[here]
            assert np.flatnonzero(here)[-1] - np.flatnonzero(here)[0] + 1 == len(ids)
            middle = ids.index(SPECIAL.sep)
            assert ids[0] == SPECIAL.cls and ids[-1] == SPECIAL.sep and types[0] == 0
            assert (types[: middle + 1] == 0).all() and (types[middle + 1 :] == 1).all()
            label = row.next_sentence_labels[number - 1]
            found.append((ids[1:middle], ids[middle + 1 : -1], bool(label)))
    expected = [(p.tokens_a.tolist(), p.tokens_b.tolist(), p.is_random_next) for p in pairs]
    assert sorted(found) == sorted(expected)


def masked(pair, seed=0, **options):
    return mask_pair(
        pair,
        np.random.default_rng(seed),
        special=SPECIAL,
        vocab_size=VOCAB_SIZE,
        **{"max_seq_length": 128, "max_predictions": 20, **options},
    )


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 25), st.integers(0, 9), st.booleans())
def test_masks_of_a_pair(a, b, max_predictions, seed, whole_words):
    pair = Pair(np.arange(200, 200 + a), np.arange(400, 400 + b), True)
    row = masked(
        pair,
        seed,
        max_predictions=max_predictions,
        continuation=CONTINUATION if whole_words else None,
    )
    length = len(pair)
    original = np.concatenate([[101], pair.tokens_a, [102], pair.tokens_b, [102]])
    count = int(row.masked_lm_weights.sum())
    wanted = min(max_predictions, max(1, round(0.15 * length)))
    assert count <= wanted and (whole_words or count == wanted)
    positions, labels = row.masked_lm_positions[:count], row.masked_lm_ids[:count]
    assert (np.diff(positions) > 0).all() and (row.masked_lm_weights[count:] == 0).all()
    np.testing.assert_array_equal(original[positions], labels)
    assert not np.isin(labels, [101, 102]).any()
    untouched = np.setdiff1d(np.arange(length), positions)
    np.testing.assert_array_equal(row.input_ids[untouched], original[untouched])
    np.testing.assert_array_equal(row.input_mask, np.arange(128) < length)
    np.testing.assert_array_equal(
        row.segment_ids == 1, (np.arange(128) > a + 1) & (row.input_mask > 0)
    )
    assert row.next_sentence_labels.tolist() == [1]
    if whole_words:
        # A continuation is hidden with what stands before it, [CLS] and [SEP] passed over.
        tokens = np.flatnonzero(~np.isin(original, [101, 102]))
        hidden = np.isin(tokens, positions)
        glued = CONTINUATION[original[tokens[1:]]]
        assert (hidden[1:][glued] == hidden[:-1][glued]).all()


def test_eighty_ten_ten_over_the_whole_vocabulary():
    pair = Pair(np.arange(1000, 1060), np.arange(2000, 2060), False)
    kinds = {"mask": 0, "kept": 0, "random": 0}
    drawn = []
    for seed in range(600):
        row = masked(pair, seed, max_predictions=18)  # 0.15 of 123: none is padding
        for position, label in zip(row.masked_lm_positions, row.masked_lm_ids, strict=True):
            new = row.input_ids[position]
            kinds["mask" if new == 103 else "kept" if new == label else "random"] += 1
            if new not in (103, label):
                drawn.append(new)
    total = sum(kinds.values())
    shares = [kinds[k] / total for k in ("mask", "kept", "random")]
    np.testing.assert_allclose(shares, [0.8, 0.1, 0.1], atol=0.02)
    assert 0.4 < np.mean(drawn) / VOCAB_SIZE < 0.6 and min(drawn) < 500


@pytest.mark.parametrize(
    "length, share, expected",
    [(128, 0.15, 20), (512, 0.15, 77), (4, 0.15, 1), (100, 0.15, 15), (100, 0.07, 7), (9, 0, 1)],
)
def test_predictions_as_in_upstreams_commands(length, share, expected):
    assert max_predictions_for(length, share) == expected
