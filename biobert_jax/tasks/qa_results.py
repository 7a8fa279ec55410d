"""What question answering leaves: files that others read, scores as text, its part of a card."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from biobert_jax.files import write_text_atomically
from biobert_jax.scoring import bioasq
from biobert_jax.tasks.answers import Answer, Candidate, join_passages, listed
from biobert_jax.tasks.files.examples import Question
from biobert_jax.tasks.task import Card, Setting

PREDICTIONS, N_BEST, NULL_ODDS = "predictions.json", "nbest_predictions.json", "null_odds.json"
SUBMISSION = "BioASQform_BioASQ-answer.json"
# Of the most confident mistakes: how many, with how many characters around, and right answers.
_MISTAKES, _CONTEXT, _GOLD = 20, 150, 3


def joined_answers(
    examples: Sequence[Question], predictions: Sequence[Answer], setting: Setting
) -> dict[str, list[Candidate]]:
    """Of each factoid question five answers, of each list question what `listed` takes."""
    joined = join_passages(examples, [answer.n_best for answer in predictions])
    if setting.options["answer_kind"] == "list":
        asked = {q.group or q.id: q.question for q in examples}
        return listed(joined, asked, setting.options["list_threshold"])
    return {id_: found[: bioasq.MOST_ANSWERS] for id_, found in joined.items()}


def gold_spans(examples: Sequence[Question]) -> dict[str, list[str]]:
    """Of each question its answers, none where the passage has none: what `squad.score` takes."""
    return {q.id: [] if q.is_impossible else list(q.answers) for q in examples}


def gold_by_question(examples: Sequence[Question]) -> dict[str, list[tuple[str, ...]]]:
    """Of each question that has answers all that is asked for, each with its names.

    BioBERT's files give passages' answers alone: of a factoid question they are names of one
    thing, of a list each is one.
    """
    gold: dict[str, list[tuple[str, ...]]] = {}
    for q in examples:
        if q.synonyms:
            gold[q.group or q.id] = list(q.synonyms)
        elif q.answers:
            things = gold.setdefault(q.group or q.id, [])
            if q.kind == "list":
                things += [(name,) for name in q.answers if (name,) not in things]
            else:
                things[:] = [tuple(dict.fromkeys((*sum(things, ()), *q.answers)))]
    return gold


def right_factoids(
    gold: Mapping[str, Sequence[Sequence[str]]],
    examples: Sequence[Question],
    predictions: Sequence[Answer],
) -> set[str]:
    """Ids of the passages whose own answer is one of the names of what their question asks for."""
    names = {id_: {x.lower() for thing in things for x in thing} for id_, things in gold.items()}
    return {
        question.id
        for question, answer in zip(examples, predictions, strict=True)
        if answer.text.lower() in names.get(question.group or question.id, ())
    }


def report(scores: Mapping[str, Any]) -> str:
    """A line a score."""
    numbers = {name: value for name, value in scores.items() if isinstance(value, float)}
    return "".join(f"{name:<24} {value:.4f}\n" for name, value in numbers.items())


def write(
    folder: Path, examples: Sequence[Question], predictions: Sequence[Answer], setting: Setting
) -> None:
    """Writes SQuAD's files as upstream does, and BioASQ's submission form."""
    pairs = list(zip(examples, predictions, strict=True))
    shown = ("text", "probability", "start_logit", "end_logit")
    n_best = {
        q.id: [{name: getattr(c, name) for name in shown} for c in a.n_best] for q, a in pairs
    }
    files: dict[str, Any] = {PREDICTIONS: {q.id: a.text for q, a in pairs}, N_BEST: n_best}
    if setting.options["no_answer"]:
        files[NULL_ODDS] = {q.id: a.null_odds for q, a in pairs}
    if (kind := setting.options["answer_kind"]) != "span":
        joined = joined_answers(examples, predictions, setting)
        files[SUBMISSION] = {
            "questions": [
                {"type": kind, "id": id_, "exact_answer": [[c.text] for c in found]}
                for id_, found in joined.items()
            ]
        }
    for name, content in files.items():
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        write_text_atomically(folder / name, text)


def card(scores: Mapping[str, Any], setting: Setting, num_examples: int, file: str) -> Card:
    """What a model card says of a reader of passages."""
    table = "\n".join(
        f"| {name} | {value:.4f} |" for name, value in scores.items() if isinstance(value, float)
    )
    found = f"On the {num_examples:,} questions of `{file}`:\n\n| score | |\n|---|---|\n{table}\n"
    return Card(
        title="Question answering",
        does="finds the answer to a question in a passage",
        scores=f"{found}\nQuestion by question in `{N_BEST}`." if scores else "",
        use=_USE,
    )


_USE = """```
biobert evaluate --checkpoint THIS_FOLDER --data FILE
```

with a file in the form of its training data; without answers it predicts only."""


def mistakes(
    examples: Sequence[Question], predictions: Sequence[Answer], right: set[str]
) -> list[dict[str, Any]]:
    """The wrong answers that were most certain, with the words around them."""
    wrong = [
        (question, answer, next(c for c in answer.n_best if c.text == answer.text))
        for question, answer in zip(examples, predictions, strict=True)
        if question.id not in right
    ]
    wrong.sort(key=lambda found: -found[2].probability)
    found = []
    for question, answer, best in wrong[:_MISTAKES]:
        first = max(0, best.start - _CONTEXT)
        around = question.context[first : best.end + _CONTEXT]
        text = f"{question.question} / {around}"
        shift = len(question.question) + 3 - first
        found.append(
            {
                "id": question.id,
                "text": text,
                "start": best.start + shift,
                "end": best.end + shift,
                "gold": list(dict.fromkeys(question.answers))[:_GOLD],
                "predicted": answer.text,
                "probability": best.probability,
            }
        )
    return found
