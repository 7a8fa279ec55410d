"""`biobert evaluate --task`: a file of predictions against a file of gold, whoever made them."""

import argparse
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from biobert_jax.commands.prediction_files import (
    holds_documents,
    labels_of,
    read_answers,
    read_documents,
    read_submission,
    values_of,
)
from biobert_jax.errors import UserError
from biobert_jax.scoring import bioasq, classification, conlleval, entities, similarity, squad
from biobert_jax.scoring.alignment import align, joined
from biobert_jax.scoring.significance import Units, intervals, paired
from biobert_jax.scoring.similarity import NO_SHARES

# Labels of these types say no type: as BioBERT's files, and ours, call it.
_UNTYPED = ("", "MISC", "entity")


@dataclass(frozen=True)
class Scored:
    """A predictions file's scores, what they are computed of, and lines to be said."""

    scores: dict[str, Any]
    units: Units
    notes: tuple[str, ...] = ()


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Prints the scores, and returns them as `--json` writes them."""
    score = TASKS[args.task]
    scored = score(args, args.predictions)
    for note in scored.notes:
        print(note, file=sys.stderr)
    content = dict(scored.scores)
    if args.bootstrap:
        content["intervals"] = intervals(scored.units, samples=args.bootstrap)
    if args.against:
        other = score(args, args.against)
        for note in other.notes:
            print(f"{args.against}: {note}", file=sys.stderr)
        samples = args.bootstrap or 1_000
        content["against"] = paired(scored.units, other.units, samples=samples)
    print("\n".join(lines(content)))
    return content


def lines(content: Mapping[str, Any]) -> Iterator[str]:
    """The scores as text: percents with their intervals, counts, then each label's or type's."""
    around = content.get("intervals", {})
    for name, value in content.items():
        if isinstance(value, float):
            low, high = around.get(name, (math.nan, math.nan))
            scale = 1 if name in NO_SHARES else 100
            span = f"   95 %: {scale * low:.4g} to {scale * high:.4g}"
            yield f"{name:<20} {scale * value:8.4f}{'' if math.isnan(low) else span}"
        elif isinstance(value, int):
            yield f"{name:<20} {value:8,}"
    for group in ("strict", "by_type", "by_label", "spans"):
        rows = content.get(group) or {}
        for label, own in {"": rows}.items() if group == "strict" and rows else rows.items():
            name = "seqeval strict" if group == "strict" else label or "entity"
            shown = "  ".join(f"{k} {100 * own[k]:6.2f}" for k in ("precision", "recall", "f1"))
            yield f"{name:>20}: {shown}" + (f"  {own['num_gold']:,}" if "num_gold" in own else "")
    for name, found in content.get("against", {}).items():
        difference = found["difference"] * (1 if name in NO_SHARES else 100)
        yield f"{name:<20} {difference:+8.4f} against the other, p {found['p']:.4f}"


def score_ner(args: argparse.Namespace, path: str) -> Scored:
    """Tagged sentences, or documents with offsets (JSON lines, PubTator)."""
    if holds_documents(path):
        if not holds_documents(args.gold):
            raise UserError(
                f"{args.gold}: tagged words, but {path} has entities by offsets in documents: give "
                "both as JSON lines or PubTator, or both tagged"
            )
        return _score_documents(args, path)
    if holds_documents(args.gold):
        raise UserError(
            f"{path}: tagged words, but {args.gold} has entities by offsets in documents: give "
            "predictions as JSON lines with id and entities (biobert predict), or PubTator"
        )
    from biobert_jax.tasks.files.conll import read_sentences

    gold, predicted = read_sentences(args.gold), read_sentences(path)
    try:
        aligned = align([s.words for s in gold], [s.words for s in predicted])
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    notes = []
    if aligned.num_joined:
        notes.append(f"{aligned.num_joined} sentences stand in pieces there: joined")
    if aligned.num_unused:
        notes.append(f"{aligned.num_unused} sentences there belong to no gold one: left out")
    ours = [list(s.labels) for s in gold]
    theirs = joined([s.labels for s in predicted], aligned)
    ignore = args.ignore_types or _one_side_untyped(ours, theirs, notes)
    if ignore:
        ours, theirs = ([_untyped(labels) for labels in side] for side in (ours, theirs))
    exact = conlleval.score(ours, theirs).to_dict()
    words = [s.words for s in gold]
    found = [
        [entities.spans_of(*pair) for pair in zip(words, side, strict=True)]
        for side in (ours, theirs)
    ]
    scores = exact | {
        "strict": entities.score_strict(ours, theirs),
        "spans": entities.score_spans(*found),
    }
    return Scored(scores, _entity_units(*found), tuple(notes))


def score_classification(args: argparse.Namespace, path: str) -> Scored:
    """Labels, or probabilities, of texts."""
    from biobert_jax.tasks.files.registry import read_examples

    examples = read_examples(args.gold, "classification")
    if not examples or any(example.labels is None for example in examples):
        raise UserError(f"{args.gold}: examples with labels are needed")
    names = args.labels.split(",") if args.labels else ()
    known = tuple(names) or tuple(sorted({x for e in examples for x in e.labels}))
    several = args.average != "binary" and any(len(e.labels) != 1 for e in examples)
    predicted = labels_of(path, [e.id for e in examples], known, several)
    gold = [e.labels for e in examples]
    excluded = args.excluded_labels.split(",") if args.excluded_labels else ()
    if several:
        scores = classification.score_multi_label(
            gold, predicted, known, excluded=excluded, average=args.average
        )
    else:
        options = {"excluded": excluded, "positive": args.positive, "average": args.average}
        one, other = ([x[0] for x in side] for side in (gold, predicted))
        scores = classification.score(one, other, known, **options)
    labels = classification.with_unseen(known, [x for s in (*gold, *predicted) for x in s])
    table = np.zeros((len(gold), 3, len(labels)))
    place = {label: index for index, label in enumerate(labels)}
    for row, (one, other) in enumerate(zip(gold, predicted, strict=True)):
        for kind, found in enumerate((set(one), set(other), set(one) & set(other))):
            table[row, kind, [place[label] for label in found]] = 1

    def measure(rows: np.ndarray) -> dict[str, float]:
        sums = rows.reshape(-1, 3, len(labels)).sum(0).astype(np.int64)
        counts = classification.Counts(labels, *sums, len(rows))
        return classification.averages(
            counts, excluded=excluded, positive=args.positive, average=args.average
        )

    return Scored(scores, Units(table.reshape(len(gold), -1), measure))


def score_squad(args: argparse.Namespace, path: str) -> Scored:
    """Answers by id, against SQuAD's JSON."""
    from biobert_jax.tasks.files.squad import read_squad

    gold = {q.id: [] if q.is_impossible else list(q.answers) for q in read_squad(args.gold)}
    predictions = read_answers(path)
    notes = []
    if unknown := set(predictions) - set(gold):
        notes.append(f"{len(unknown)} ids of no gold question: left out ({sorted(unknown)[0]})")
    if missing := set(gold) - set(predictions):
        notes.append(f"{len(missing)} questions without a prediction: wrong, as officially")
    bad = [id_ for id_, text in predictions.items() if not isinstance(text, str)]
    if bad:
        raise UserError(f"{path}: {bad[0]}: the answer is {predictions[bad[0]]!r}, not a text")
    rows = np.array(list(squad.per_question(gold, predictions).values()), np.float64)
    return Scored(squad.score(gold, predictions), _means(rows, ("exact_match", "f1")), tuple(notes))


def score_bioasq(args: argparse.Namespace, path: str) -> Scored:
    """BioASQ's submission form against its golden file."""
    from biobert_jax.tasks.files.bioasq import questions_of

    asked = {q.id: q for q in questions_of(args.gold, without_passages=True)}
    answers = read_submission(path)
    notes = []
    if unknown := set(answers) - set(asked):
        notes.append(f"{len(unknown)} ids of no gold question: left out ({sorted(unknown)[0]})")
    treated = {asked[id_].kind for id_ in answers if id_ in asked}
    several = len(treated) > 1
    scores: dict[str, Any] = {}
    rows, names = [], []
    for kind in ("factoid", "list", "yesno"):
        gold = {id_: q.answer for id_, q in asked.items() if q.kind == kind and q.answer}
        given = {id_: answers[id_] for id_ in gold if id_ in answers}
        lost = len(gold) - len(given)
        if not given:
            if gold:
                notes.append(f"{kind}: {len(gold)} questions, none answered: left out")
            continue
        if lost and args.unanswered == "wrong":
            notes.append(f"{kind}: {lost} questions without an answer: counted as wrong")
        elif lost:
            notes.append(f"{kind}: {lost} of {len(gold)} questions without an answer: left out")
            gold = {id_: gold[id_] for id_ in given}
        measured = _bioasq_scores(kind, gold, given)
        scores |= {f"{kind}_{name}" if several else name: x for name, x in measured.items()}
        for id_ in gold:
            one = _bioasq_scores(kind, {id_: gold[id_]}, {id_: given[id_]} if id_ in given else {})
            names = names or [n for n, x in one.items() if isinstance(x, float)]
            rows.append([one.get(name, 0.0) for name in names])
    if not scores:
        raise UserError(f"{path}: no question of {args.gold} is answered there")
    return Scored(scores, _means(np.array(rows, np.float64), names), tuple(notes))


def score_similarity(args: argparse.Namespace, path: str) -> Scored:
    """Numbers of pairs."""
    from biobert_jax.tasks.files.registry import read_examples

    examples = read_examples(args.gold, "classification")
    if any(example.value is None for example in examples):
        raise UserError(f"{args.gold}: pairs with numbers are needed")
    gold = [example.value for example in examples]
    found = values_of(path, [example.id for example in examples])
    rows = np.array([gold, found], np.float64).T
    return Scored(similarity.score(gold, found), Units(rows, lambda r: similarity.score(*r.T)))


TASKS: dict[str, Callable[[argparse.Namespace, str], Scored]] = {
    "ner": score_ner,
    "classification": score_classification,
    "squad": score_squad,
    "bioasq": score_bioasq,
    "similarity": score_similarity,
}


def _score_documents(args: argparse.Namespace, path: str) -> Scored:
    gold, predicted = read_documents(args.gold), read_documents(path)
    if missing := [id_ for id_ in gold if id_ not in predicted]:
        raise UserError(f"{path}: no document {missing[0]!r} ({len(missing)} are missing)")
    sides = [[side[id_] for id_ in gold] for side in (gold, predicted)]
    if args.ignore_types:
        sides = [[[s._replace(type="") for s in spans] for spans in side] for side in sides]
    measured = entities.score_spans(*sides)
    notes = ()
    if unknown := set(predicted) - set(gold):
        notes = (f"{len(unknown)} documents of no gold one: left out",)
    return Scored(measured["exact"] | {"spans": measured}, _entity_units(*sides), notes)


def _entity_units(gold: Sequence[Sequence], predicted: Sequence[Sequence]) -> Units:
    rows = np.array(
        [
            (len(one), len(other), entities.matched(one, other, "exact"))
            for one, other in zip(gold, predicted, strict=True)
        ],
        np.float64,
    )

    def measure(rows: np.ndarray) -> dict[str, float]:
        values = classification.prf(*rows.sum(0))
        return dict(zip(("precision", "recall", "f1"), values, strict=True))

    return Units(rows, measure)


def _means(rows: np.ndarray, names: Sequence[str]) -> Units:
    return Units(rows, lambda r: dict(zip(names, r.mean(0).tolist(), strict=True)))


def _one_side_untyped(gold: list[list[str]], predicted: list[list[str]], notes: list[str]) -> bool:
    """Whether types are to be ignored; says so where one side alone has them, or none in common."""
    from biobert_jax.checkpoints.labels import types_of

    sides = [types_of(gold), types_of(predicted)]
    bare = [side <= set(_UNTYPED) for side in sides]
    if any(bare):
        if not all(bare) and all(sides):
            which = "the gold labels" if bare[0] else "the predictions"
            notes.append(f"{which} have no types: types are ignored")
        return True
    if all(sides) and not sides[0] & sides[1]:
        shown = [", ".join(sorted(side)) for side in sides]
        notes.append(
            f"warning: no entity can match: gold has the types {shown[0]}, predictions have "
            f"{shown[1]}: --ignore_types compares words alone"
        )
    return False


def _untyped(labels: Sequence[str]) -> list[str]:
    return [label.partition("-")[0] for label in labels]


def _bioasq_scores(kind: str, gold: Mapping, answers: Mapping) -> dict[str, Any]:
    score = {
        "factoid": bioasq.score_factoid,
        "list": bioasq.score_list,
        "yesno": bioasq.score_yesno,
    }[kind]
    return score(gold, answers)
