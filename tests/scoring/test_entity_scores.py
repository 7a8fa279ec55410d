"""Strict entities against seqeval; spans by hand and by property."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.v1 import precision_recall_fscore_support
from seqeval.scheme import IOB2, IOBES

from biobert_jax.scoring import entities
from biobert_jax.scoring.entities import Span

IOB2_LABELS = ("O", "B-x", "I-x", "B-y", "I-y")
IOBES_LABELS = (*IOB2_LABELS, "E-x", "S-x", "E-y", "S-y")


@pytest.mark.parametrize(("names", "scheme"), [(IOB2_LABELS, IOB2), (IOBES_LABELS, IOBES)])
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_strict_scores_are_seqevals(names, scheme, data):
    pair = st.tuples(st.sampled_from(names), st.sampled_from(names))
    sentences = data.draw(st.lists(st.lists(pair, min_size=1, max_size=12), min_size=1))
    gold, predicted = (
        [[pair[side] for pair in sentence] for sentence in sentences] for side in (0, 1)
    )
    if scheme is IOBES and not all(
        any(label[0] in "ES" for label in labels) for labels in (*gold, *predicted)
    ):
        return  # a sentence of B, I and O alone is read as IOB2 here
    expected = precision_recall_fscore_support(
        gold, predicted, scheme=scheme, average="micro", zero_division=0
    )
    found = entities.score_strict(gold, predicted)
    assert [found[n] for n in ("precision", "recall", "f1")] == pytest.approx(expected[:3])


def test_spans_count_by_four_measures():
    gold = [[Span(0, 5, "a"), Span(10, 15, "b"), Span(20, 25, "a")]]
    predicted = [[Span(0, 5, "a"), Span(11, 15, "b"), Span(22, 30, "b"), Span(40, 41, "a")]]
    found = entities.score_spans(gold, predicted)
    counts = {kind: values["num_correct"] for kind, values in found.items()}
    assert counts == {"exact": 1, "within_1": 2, "partial": 3, "type_only": 2}
    assert found["partial"]["precision"] == 0.75 and found["partial"]["recall"] == 1


def test_a_span_makes_one_pair_and_pairs_are_the_most():
    gold = [Span(0, 10, "a"), Span(10, 20, "a")]
    assert entities.matched(gold, [Span(0, 20, "a")], "partial") == 1
    # The first could take either; only one of them leaves the second its own.
    assert entities.matched(gold, [Span(5, 15, "a"), Span(0, 4, "a")], "partial") == 2


def test_offsets_are_those_of_the_words_joined():
    words, labels = ("deep", "vein", "clots"), ("B-x", "I-x", "O")
    [span] = entities.spans_of(words, labels)
    assert " ".join(words)[span.start : span.end] == "deep vein"


def test_types_are_confused_where_offsets_are_equal():
    gold = [[Span(0, 5, "a"), Span(6, 9, "b")], [Span(0, 5, "a"), Span(7, 8, "c")]]
    predicted = [[Span(0, 5, "b"), Span(6, 8, "b")], [Span(0, 5, "a"), Span(7, 8, "c")]]
    assert entities.type_confusion(gold, predicted) == {
        "labels": ["a", "b", "c"],
        "counts": [[1, 1, 0], [0, 0, 0], [0, 0, 1]],
    }
    assert entities.type_confusion([[]], [[]]) == {"labels": [], "counts": []}


@given(st.data())
def test_confused_types_are_the_errors_of_type(data):
    labels = st.lists(st.lists(st.sampled_from(IOB2_LABELS), min_size=3, max_size=3), min_size=1)
    gold = data.draw(labels)
    predicted = [data.draw(st.permutations(own)) for own in gold]
    sides = [[entities.spans_of("xyz", own) for own in side] for side in (gold, predicted)]
    counts = entities.type_confusion(*sides)["counts"]
    kinds = entities.error_kinds(*sides)
    right = sum(row[place] for place, row in enumerate(counts))
    assert right == kinds["correct"]
    assert sum(map(sum, counts)) - right == kinds["type"]
