"""Predictions as programs write them: labels, probabilities, numbers, answers, entities."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from biobert_jax.corpus.readers.lines import read_lines
from biobert_jax.errors import UserError
from biobert_jax.formats.faults import ANYTHING, read_json, refuse
from biobert_jax.formats.pubtator import read_pubtator
from biobert_jax.scoring import entities
from biobert_jax.tasks.files.jsonl import objects
from biobert_jax.tasks.files.registry import format_of

_LINES = (".jsonl", ".jsonl.gz")


def holds_documents(path: str) -> bool:
    """Whether a file has entities by offsets in documents, rather than tagged words."""
    return path.endswith(_LINES) or format_of(Path(path), ["conll", "pubtator"]) == "pubtator"


def read_documents(path: str) -> dict[str, list[entities.Span]]:
    """Of each document's id its entities, from PubTator, or lines as `biobert predict` writes."""
    if not path.endswith(_LINES):
        return {
            document.id: [entities.Span(a.start, a.end, a.type) for a in document.annotations]
            for document in read_pubtator(path)
        }
    documents: dict[str, list[entities.Span]] = {}
    for where, values in objects(path, refuse):
        try:
            found = values.get("entities", [])
            spans = [entities.Span(int(e["start"]), int(e["end"]), str(e["type"])) for e in found]
        except (KeyError, TypeError, ValueError):
            raise UserError(f"{where}: entities with start, end and type were expected") from None
        id_ = str(values.get("id", len(documents)))
        if id_ in documents:
            raise UserError(f"{where}: id {id_!r} stood before")
        documents[id_] = spans
    return documents


def labels_of(
    path: str, ids: Sequence[str], known: Sequence[str], several: bool
) -> list[tuple[str, ...]]:
    """The predicted labels of examples, in their order."""
    if path.endswith(".jsonl"):
        found = _by_id(path, ids)
        return [_label_field(where, values) for where, values in found]
    rows = _rows(path, len(ids))
    if all(len(row) == len(known) > 1 and all(map(_is_number, row)) for _, row in rows):
        shares = np.array([[float(cell) for cell in row] for _, row in rows])
        if several:
            return [tuple(known[i] for i in np.flatnonzero(row >= 0.5)) for row in shares]
        return [(known[i],) for i in shares.argmax(-1)]
    return [tuple(x for x in row[-1].split(",") if x) if several else (row[-1],) for _, row in rows]


def _label_field(where: str, values: Mapping[str, Any]) -> tuple[str, ...]:
    labels = values.get("labels", values.get("label"))
    if isinstance(labels, list) and all(isinstance(x, str) for x in labels):
        return tuple(labels)
    if labels is None or isinstance(labels, list | dict):
        raise UserError(f"{where}: label or labels were expected")
    return (str(labels),)


def values_of(path: str, ids: Sequence[str]) -> list[float]:
    """The predicted numbers of pairs, in their order."""
    if path.endswith(".jsonl"):
        pairs = [(where, values.get("value")) for where, values in _by_id(path, ids)]
    else:
        pairs = [(where, row[-1]) for where, row in _rows(path, len(ids))]
    for where, value in pairs:
        if not _is_number(value):
            raise UserError(f"{where}: {value!r} is no number")
    return [float(value) for _, value in pairs]


def _by_id(path: str, ids: Sequence[str]) -> list[tuple[str, Mapping[str, Any]]]:
    """JSON lines in the order of the ids."""
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for where, values in objects(path, refuse):
        id_ = str(values.get("id", len(found)))
        if id_ in found:
            raise UserError(f"{where}: id {id_!r} stood before")
        found[id_] = (where, values)
    if missing := [id_ for id_ in ids if id_ not in found]:
        raise UserError(f"{path}: no prediction for id {missing[0]!r} ({len(missing)} are missing)")
    return [found[id_] for id_ in ids]


def _rows(path: str, count: int) -> list[tuple[str, list[str]]]:
    """The tab-separated lines of a file, as many as there are examples; a header is left out."""
    rows = [
        (f"{path}:{number}", line.rstrip("\r\n").split("\t"))
        for number, line in read_lines(path, expected=ANYTHING)
        if line.strip()
    ]
    if len(rows) == count + 1:
        rows = rows[1:]
    if len(rows) != count:
        raise UserError(f"{path}: {len(rows):,} lines for {count:,} gold examples: give one each")
    return rows


def read_answers(path: str) -> dict[str, Any]:
    """The object that a JSON file of answers holds."""
    if not Path(path).is_file():
        raise UserError(f"{path}: no such file")
    values = read_json(path)
    if not isinstance(values, dict):
        raise UserError(f"{path}: an object of ids and answers was expected")
    return values


def read_submission(path: str) -> dict[str, Any]:
    """Of each question's id its exact answer: a list of names, or yes or no."""
    questions = read_answers(path).get("questions")
    if not isinstance(questions, list):
        raise UserError(f"{path}: questions: a list was expected, as BioASQ's submission form has")
    answers: dict[str, Any] = {}
    for number, question in enumerate(questions):
        try:
            id_, answer = str(question["id"]), question["exact_answer"]
            if not isinstance(answer, str):
                answer = [x if isinstance(x, str) else x[0] for x in answer if x]
        except (KeyError, TypeError, IndexError):
            raise UserError(f"{path}: questions.{number}: id and exact_answer expected") from None
        if id_ in answers:
            raise UserError(f"{path}: questions.{number}: id {id_} stood before")
        if answer:
            answers[id_] = answer
    return answers


def _is_number(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError):
        return False
