"""Precision, recall and F1 of classes: binary, micro, macro, each label's own; confusion.

As scikit-learn's `precision_recall_fscore_support` and `confusion_matrix`, with a ratio whose
denominator is zero taken for 0.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from biobert_jax.errors import UserError, nearest

AVERAGES = ("micro", "macro", "binary")


@dataclass(frozen=True)
class Counts:
    """Of C labels, int64 [C] each: how often annotated, predicted, both, and examples in all."""

    labels: tuple[str, ...]
    gold: np.ndarray
    predicted: np.ndarray
    correct: np.ndarray
    total: int


def score(
    gold: Sequence[str],
    predicted: Sequence[str],
    labels: Sequence[str],
    *,
    excluded: Collection[str] = (),
    positive: str = "",
    average: str = "micro",
) -> dict[str, Any]:
    """Scores of classes that exclude each other.

    Args:
      gold, predicted: a label an example.
      labels: in the order of the confusion matrix; what occurs beside them is added.
      excluded: labels that no average counts, such as ChemProt's `false`.
      positive: whose scores a binary average takes; "": "1", or else the last label.
      average: of `precision`, `recall` and `f1`; the others stand beside them.

    Returns:
      precision, recall, f1, accuracy, micro_f1, macro_f1; by_label, with specificity; confusion,
      rows of which are gold.

    Raises:
      UserError: numbers differ, or an excluded or positive label is none of the labels.
    """
    if len(gold) != len(predicted):
        raise UserError(f"{len(gold)} labels but {len(predicted)} predictions")
    labels = with_unseen(labels, [*gold, *predicted])
    for name in (*excluded, *([positive] if positive else ())):
        check_label(name, labels)
    index = {label: number for number, label in enumerate(labels)}
    confusion = np.zeros((len(labels), len(labels)), np.int64)
    for one, other in zip(gold, predicted, strict=True):
        confusion[index[one], index[other]] += 1
    counts = Counts(
        labels, confusion.sum(1), confusion.sum(0), confusion.diagonal().copy(), len(gold)
    )
    scores = averages(counts, excluded=excluded, positive=positive, average=average)
    scores["accuracy"] = ratio(int(counts.correct.sum()), len(gold))
    return scores | {
        "by_label": by_label(counts),
        "confusion": {"labels": list(labels), "counts": confusion.tolist()},
    }


def score_multi_label(
    gold: Sequence[Collection[str]],
    predicted: Sequence[Collection[str]],
    labels: Sequence[str],
    *,
    excluded: Collection[str] = (),
    average: str = "micro",
) -> dict[str, Any]:
    """Scores of classes that do not exclude each other.

    Returns:
      precision, recall, f1, micro_f1, macro_f1; exact_match, the share of examples with all labels
      right; example_f1, the mean of the examples' own F1 (1 where both are empty); by_label.

    Raises:
      UserError: as `score`.
    """
    if len(gold) != len(predicted):
        raise UserError(f"{len(gold)} label sets but {len(predicted)} predictions")
    labels = with_unseen(labels, [label for s in (*gold, *predicted) for label in s])
    for name in excluded:
        check_label(name, labels)
    index = {label: number for number, label in enumerate(labels)}
    hits = np.zeros((3, len(labels)), np.int64)
    exact, example_f1 = 0, 0.0
    for one, other in zip(map(set, gold), map(set, predicted), strict=True):
        both = one & other
        for row, found in enumerate((one, other, both)):
            for label in found:
                hits[row, index[label]] += 1
        exact += one == other
        example_f1 += 2 * len(both) / (len(one) + len(other)) if one or other else 1.0
    counts = Counts(labels, *hits, len(gold))
    return averages(counts, excluded=excluded, average=average) | {
        "exact_match": ratio(exact, len(gold)),
        "example_f1": ratio(example_f1, len(gold)),
        "by_label": by_label(counts),
    }


def averages(
    counts: Counts, *, excluded: Collection[str] = (), positive: str = "", average: str = "micro"
) -> dict[str, float]:
    """precision, recall, f1 by `average`, and micro and macro F1 by their names."""
    taken = [i for i, label in enumerate(counts.labels) if label not in set(excluded)]
    gold, predicted, correct = (
        array[taken] for array in (counts.gold, counts.predicted, counts.correct)
    )
    each = [prf(*(int(x) for x in three)) for three in zip(gold, predicted, correct, strict=True)]
    micro = prf(int(gold.sum()), int(predicted.sum()), int(correct.sum()))
    macro = tuple(float(np.mean([one[i] for one in each])) if each else 0.0 for i in range(3))
    if average == "binary":
        name = positive or positive_of(counts.labels)
        place = counts.labels.index(name)
        chosen = prf(*(int(x[place]) for x in (counts.gold, counts.predicted, counts.correct)))
    else:
        chosen = micro if average == "micro" else macro
    return {
        **dict(zip(("precision", "recall", "f1"), chosen, strict=True)),
        "micro_f1": micro[2],
        "macro_f1": macro[2],
    }


def by_label(counts: Counts) -> dict[str, dict[str, Any]]:
    """Each label's own scores and counts."""
    rows = {}
    for i, label in enumerate(counts.labels):
        gold, predicted, correct = (
            int(x[i]) for x in (counts.gold, counts.predicted, counts.correct)
        )
        precision, recall, f1 = prf(gold, predicted, correct)
        others = counts.total - gold
        rows[label] = {
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "specificity": ratio(others - (predicted - correct), others),
            "num_gold": gold,
            "num_predicted": predicted,
            "num_correct": correct,
        }
    return rows


def prf(gold: int, predicted: int, correct: int) -> tuple[float, float, float]:
    """Precision, recall, F1 of counts."""
    return ratio(correct, predicted), ratio(correct, gold), ratio(2 * correct, gold + predicted)


def ratio(numerator: float, denominator: float) -> float:
    """0 where the denominator is."""
    return numerator / denominator if denominator else 0.0


def positive_of(labels: Sequence[str]) -> str:
    """The label that a binary average counts where none is named: "1", or else the last."""
    return "1" if "1" in labels else labels[-1]


def with_unseen(labels: Sequence[str], found: Iterable[str]) -> tuple[str, ...]:
    """The labels, and behind them, sorted, what occurs and is none of them."""
    return (*labels, *sorted(set(found) - set(labels)))


def check_label(name: str, labels: Sequence[str]) -> None:
    """Refuses a label that there is not, naming the nearest."""
    if name not in labels:
        near = nearest(name, labels)
        hint = f"did you mean {near!r}? " if near else ""
        raise UserError(f"no label {name!r}: {hint}known: {', '.join(labels)}")
