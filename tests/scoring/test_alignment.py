"""Sentences found by their words: in any order, repeated, cut; the official conlleval results."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biobert_jax.errors import UserError
from biobert_jax.scoring.alignment import align, joined

SENTENCES = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=6).map(tuple))


# No word twice, so that no piece can be another's.
DISTINCT = st.lists(st.integers(1, 6), max_size=8).map(
    lambda sizes: [
        tuple(f"{number}.{place}" for place in range(size)) for number, size in enumerate(sizes)
    ]
)


@settings(max_examples=200, deadline=None)
@given(SENTENCES | DISTINCT, st.randoms(use_true_random=False), st.data())
def test_every_sentence_is_found_in_pieces_too(gold, order, data):
    predicted = []
    for number, words in enumerate(gold):
        cut = data.draw(st.integers(0, len(words)))
        labelled = [(word, f"{number}:{place}") for place, word in enumerate(words)]
        predicted += [piece for piece in (labelled[:cut], labelled[cut:]) if piece]
    order.shuffle(predicted)
    words = [tuple(word for word, _ in piece) for piece in predicted]
    try:
        aligned = align(gold, words)
    except UserError:
        # Where words repeat, pieces may be taken for others', so that what is left does not fit.
        every = [word for piece in words for word in piece]
        assert len(set(every)) < len(every)
        return
    labels = joined([[label for _, label in piece] for piece in predicted], aligned)
    assert [len(own) for own in labels] == [len(words) for words in gold]
    assert len({number for part in aligned.parts for number in part}) == sum(
        map(len, aligned.parts)
    )


def test_longer_pieces_come_first():
    gold = [("c", "a", "a", "a"), ("a", "c"), ("a", "c")]
    predicted = [("c",), ("a", "c"), ("a",), ("a", "a"), ("c", "a")]
    assert align(gold, predicted).parts == [(4, 3), (1,), (2, 0)]


def test_pieces_behind_each_other_come_first():
    gold = [("a", "b"), ("a", "c")]
    predicted = [("a",), ("c",), ("a",), ("b",)]
    assert align(gold, predicted).parts == [(2, 3), (0, 1)]


def test_what_is_not_there_is_named():
    with pytest.raises(UserError, match=r"sentence 2 \(c d …\) is not among"):
        align([("a",), ("c", "d")], [("a",), ("c",), ("e",)])


def test_shuffled_sentences_with_repeats():
    gold = [("x", str(i % 5)) for i in range(40)]
    order = list(range(40))
    random.Random(0).shuffle(order)
    aligned = align(gold, [gold[i] for i in order])
    assert (aligned.num_joined, aligned.num_unused) == (0, 0)
