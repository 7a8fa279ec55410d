"""Entities beyond exact matches: seqeval's strict mode, and four measures of spans.

Of spans, as SemEval 2013's task 9 has them (but that no half points are given):

- exact: the same start, end and type.
- within_1: start and end each at most one character off, the same type: tokenizers differ so.
- partial: some overlap, whatever the type.
- type_only: some overlap, the same type.

A gold and a predicted span make at most one pair.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from biobert_jax.scoring.classification import prf
from biobert_jax.scoring.conlleval import chunks


class Span(NamedTuple):
    """An entity: half-open offsets in one unit, and a type."""

    start: int
    end: int
    type: str


MATCHES: dict[str, Callable[[Span, Span], bool]] = {
    "exact": lambda a, b: a == b,
    "within_1": lambda a, b: (
        abs(a.start - b.start) <= 1 and abs(a.end - b.end) <= 1 and a.type == b.type
    ),
    "partial": lambda a, b: a.start < b.end and b.start < a.end,
    "type_only": lambda a, b: a.start < b.end and b.start < a.end and a.type == b.type,
}


def spans_of(words: Sequence[str], labels: Sequence[str]) -> list[Span]:
    """The entities of a sentence as offsets into its words joined by single spaces."""
    starts = [0]
    for word in words:
        starts.append(starts[-1] + len(word) + 1)
    return [Span(starts[c.start], starts[c.end] - 1, c.type) for c in chunks(labels)]


def matched(gold: Sequence[Span], predicted: Sequence[Span], kind: str) -> int:
    """The most pairs that a measure allows (bipartite matching; one of `MATCHES`)."""
    fits = MATCHES[kind]
    if kind == "exact":
        return sum((Counter(gold) & Counter(predicted)).values())
    owner: dict[int, int] = {}

    def place(number: int, seen: set[int]) -> bool:
        for other, span in enumerate(predicted):
            if other not in seen and fits(gold[number], span):
                seen.add(other)
                if other not in owner or place(owner[other], seen):
                    owner[other] = number
                    return True
        return False

    return sum(place(number, set()) for number in range(len(gold)))


def score_spans(
    gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]]
) -> dict[str, dict[str, Any]]:
    """Precision, recall and F1 of each measure, over all documents or sentences together."""
    num_gold, num_predicted = sum(map(len, gold)), sum(map(len, predicted))
    scores = {}
    for kind in MATCHES:
        correct = sum(matched(*pair, kind) for pair in zip(gold, predicted, strict=True))
        values = prf(num_gold, num_predicted, correct)
        scores[kind] = dict(zip(("precision", "recall", "f1"), values, strict=True))
        scores[kind] |= {
            "num_gold": num_gold,
            "num_predicted": num_predicted,
            "num_correct": correct,
        }
    return scores


def error_kinds(
    gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]]
) -> dict[str, int]:
    """How gold and predicted entities differ, each counted once.

    correct; type: the same words, another type; boundary: an overlap, the same type; both: an
    overlap, another type; missed: a gold one that nothing overlaps; spurious: a predicted one that
    overlaps nothing, or what others were counted for.
    """
    kinds = dict.fromkeys(("correct", "type", "boundary", "both", "missed", "spurious"), 0)
    tests: tuple[tuple[str, Callable[[Span, Span], bool]], ...] = (
        ("correct", MATCHES["exact"]),
        ("type", lambda a, b: a[:2] == b[:2]),
        ("boundary", MATCHES["type_only"]),
        ("both", MATCHES["partial"]),
    )
    for wanted, found in zip(gold, predicted, strict=True):
        wanted, found = list(wanted), list(found)
        for kind, fits in tests:
            for span in list(wanted):
                other = next((other for other in found if fits(span, other)), None)
                if other is not None:
                    wanted.remove(span)
                    found.remove(other)
                    kinds[kind] += 1
        kinds["missed"] += len(wanted)
        kinds["spurious"] += len(found)
    return kinds


def type_confusion(
    gold: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]]
) -> dict[str, Any]:
    """Of entities whose offsets are equal, which gold type was predicted as which.

    Returns:
      {"labels", "counts"}: the types of both sides, sorted, and a row a gold type with the number
      of each predicted one.
    """
    types = sorted({span.type for side in (gold, predicted) for own in side for span in own})
    place = {name: index for index, name in enumerate(types)}
    counts = [[0] * len(types) for _ in types]
    for wanted, found in zip(gold, predicted, strict=True):
        named = {span[:2]: span.type for span in found}
        for span in wanted:
            if span[:2] in named:
                counts[place[span.type]][place[named[span[:2]]]] += 1
    return {"labels": types, "counts": counts}


def strict_chunks(labels: Sequence[str]) -> list[Span]:
    """Entities that are spelt rightly in IOB2: B, then I of the same type (seqeval's strict mode).

    An I that no B begins is no entity. With labels E, L, S or U, in IOBES: S alone, or B, I, E.
    """
    tags = [label.partition("-")[::2] for label in labels]
    closes = any(tag in ("E", "L", "S", "U") for tag, _ in tags)
    found, start = [], None
    for place, (tag, type_) in enumerate([*tags, ("O", "")]):
        goes_on = start is not None and tag in ("I", "E", "L") and type_ == tags[start][1]
        if start is not None and not goes_on:
            if not closes:
                found.append(Span(start, place, tags[start][1]))
            start = None
        if tag in ("S", "U"):
            found.append(Span(place, place + 1, type_))
        elif tag == "B":
            start = place
        elif goes_on and tag in ("E", "L"):
            found.append(Span(start, place + 1, type_))
            start = None
    return found


def score_strict(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]
) -> dict[str, float]:
    """Precision, recall and F1 of entities by `strict_chunks`, micro-averaged."""
    sums = [0, 0, 0]
    for one, other in zip(gold, predicted, strict=True):
        right, given = set(strict_chunks(one)), set(strict_chunks(other))
        for index, count in enumerate((len(right), len(given), len(right & given))):
            sums[index] += count
    return dict(zip(("precision", "recall", "f1"), prf(*sums), strict=True))
