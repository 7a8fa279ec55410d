"""Classes against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from biobert_jax.errors import UserError
from biobert_jax.scoring import classification

LABELS = ("a", "b", "c", "d")
PAIRS = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1)
SETS = st.sets(st.sampled_from(LABELS))


@settings(max_examples=100, deadline=None)
@given(PAIRS, st.sampled_from(["micro", "macro"]), st.sets(st.sampled_from(LABELS), max_size=3))
def test_single_labels_are_scikit_learns(pairs, average, excluded):
    gold, predicted = zip(*pairs, strict=True)
    found = classification.score(gold, predicted, LABELS, excluded=excluded, average=average)
    taken = [label for label in LABELS if label not in excluded]
    expected = metrics.precision_recall_fscore_support(
        gold, predicted, labels=taken, average=average, zero_division=0
    )
    assert [found[n] for n in ("precision", "recall", "f1")] == pytest.approx(expected[:3])
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(gold, predicted))
    matrix = metrics.confusion_matrix(gold, predicted, labels=LABELS)
    assert found["confusion"] == {"labels": list(LABELS), "counts": matrix.tolist()}
    for label, (tn, fp, _, _) in zip(
        LABELS,
        (m.ravel() for m in metrics.multilabel_confusion_matrix(gold, predicted, labels=LABELS)),
        strict=True,
    ):
        share = tn / (tn + fp) if tn + fp else 0
        assert found["by_label"][label]["specificity"] == pytest.approx(share)


@settings(max_examples=50, deadline=None)
@given(PAIRS)
def test_a_binary_average_is_one_labels(pairs):
    gold, predicted = zip(*pairs, strict=True)
    found = classification.score(gold, predicted, LABELS, positive="b", average="binary")
    expected = metrics.precision_recall_fscore_support(
        np.array(gold) == "b", np.array(predicted) == "b", average="binary", zero_division=0
    )
    assert [found[n] for n in ("precision", "recall", "f1")] == pytest.approx(expected[:3])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(SETS, SETS), min_size=1), st.sampled_from(["micro", "macro"]))
def test_several_labels_are_scikit_learns(pairs, average):
    gold, predicted = zip(*pairs, strict=True)
    found = classification.score_multi_label(gold, predicted, LABELS, average=average)
    one, other = ([[x in s for x in LABELS] for s in side] for side in (gold, predicted))
    expected = metrics.precision_recall_fscore_support(one, other, average=average, zero_division=0)
    assert [found[n] for n in ("precision", "recall", "f1")] == pytest.approx(expected[:3])
    assert found["exact_match"] == pytest.approx(metrics.accuracy_score(one, other))
    by_example = metrics.f1_score(one, other, average="samples", zero_division=1)
    assert found["example_f1"] == pytest.approx(by_example)


def test_the_positive_label_where_none_is_named():
    assert classification.positive_of(["0", "1"]) == "1"
    assert classification.positive_of(["no", "yes"]) == "yes"


def test_what_is_no_label_is_refused():
    with pytest.raises(UserError, match="no label 'aa': did you mean 'a'"):
        classification.score(["a"], ["b"], LABELS, excluded=["aa"])
    with pytest.raises(UserError, match="1 labels but 2 predictions"):
        classification.score(["a"], ["b", "b"], LABELS)
