"""BioASQ's own JSON, phase B: questions with documents, snippets and, in training, their answers.

Also lists of `{"query", "answer", "sentences"}`, a form in which training questions go about. Each
snippet, or each abstract that the user gives, is a passage that its question is asked of.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from biobert_jax.formats.faults import (
    Fault,
    Ids,
    ignore,
    is_text,
    left_out,
    read_json,
    refuse,
)
from biobert_jax.tasks.files.answers import occurrences
from biobert_jax.tasks.files.examples import Question, TextExample
from biobert_jax.tasks.files.jsonl import id_of, objects

# `http://www.ncbi.nlm.nih.gov/pubmed/28368371`, with a slash or a query behind it, perhaps.
_PMID = re.compile(r"/(\d+)/?(?:[?#].*)?$")
KINDS = ("factoid", "list")


class Asked(NamedTuple):
    """A question: its answer is `synonyms`, one tuple a thing asked for; "yes" or "no"; or None.

    `document` is its id where that is the file's own.
    """

    where: str
    id: str
    kind: str
    body: str
    passages: tuple[str, ...]
    answer: tuple[tuple[str, ...], ...] | str | None
    document: str = ""


def read_bioasq(
    path: str | os.PathLike[str],
    *,
    kinds: Sequence[str] = KINDS,
    abstracts: Mapping[str, str] | None = None,
    fault: Fault = refuse,
    note: Fault = ignore,
) -> list[Question]:
    """Reads factoid and list questions, one record a passage.

    A record's answers are every occurrence of every synonym in its passage, spelt as it stands
    there (case and white space do not count, words must be whole), and behind them the synonyms
    themselves with start -1. Passages that a question has twice count once; ids are the question's
    with `_000`, `_001` and so on.

    Args:
      kinds: those to read; yes/no questions are `read_bioasq_yes_no`'s. Questions of others are
        counted in a note.
      abstracts: texts by PMID; the documents' are the passages then, and snippets only where none
        of a question's documents is there, which is noted. A question without any passage is noted
        and left out.

    Raises:
      UserError: The file is absent, unreadable, no JSON or of another form; or, unless `fault`
        takes them, a question has no text or no type, an answer is of another form, or an id stood
        before. The message names the file and the question.
    """
    questions = []
    for asked in _of_kinds(kinds, path, abstracts, fault, note):
        synonyms = asked.answer if isinstance(asked.answer, tuple) else ()
        names = [name for group in synonyms for name in group]
        for number, passage in enumerate(asked.passages):
            found = list(occurrences(passage, names))
            questions.append(
                Question(
                    f"{asked.id}_{number:03d}",
                    asked.body,
                    passage,
                    answers=(*(text for _, text in found), *names),
                    starts=(*(start for start, _ in found), *(-1 for _ in names)),
                    group=asked.id,
                    kind=asked.kind,
                    synonyms=synonyms,
                    document=asked.document,
                    where=asked.where,
                )
            )
    return questions


def read_bioasq_yes_no(
    path: str | os.PathLike[str],
    *,
    abstracts: Mapping[str, str] | None = None,
    fault: Fault = refuse,
    note: Fault = ignore,
) -> list[TextExample]:
    """Reads yes/no questions, one example a passage; the group is the question.

    Args and raises as `read_bioasq`.
    """
    return [
        TextExample(
            f"{asked.id}_{number:03d}",
            asked.body,
            passage,
            labels=(asked.answer,) if isinstance(asked.answer, str) else None,
            group=asked.id,
            document=asked.document,
            where=asked.where,
        )
        for asked in _of_kinds(("yesno",), path, abstracts, fault, note)
        for number, passage in enumerate(asked.passages)
    ]


def of_kind(
    kind: str, questions: Sequence[Question], path: str | os.PathLike[str], note: Fault = ignore
) -> list[Question]:
    """Those of a kind or of none, as BioBERT's files have them; the others are counted in a note.

    Raises:
      UserError: there are questions, but none of the kind.
    """
    found = [question for question in questions if question.kind in ("", kind)]
    if questions and not found:
        other = questions[0].kind
        refuse(
            f"{path}",
            f"its questions are of kind {other}, data.answer_kind is {kind}: let them agree",
        )
    others = {q.group: q.kind for q in questions if q.kind not in ("", kind)}
    if others:
        note(f"{path}", left_out(others.values(), "question"))
    return found


def read_abstracts(path: str | os.PathLike[str]) -> dict[str, str]:
    """Abstracts by PMID, from JSON lines with `id` (or `pmid`), `text` and perhaps `title`.

    Raises:
      UserError: A line that lacks them; the file and line are named.
    """
    abstracts = {}
    for where, values in objects(path):
        key = "id" if "id" in values else "pmid"
        try:
            id_ = id_of(values, "", key)
        except ValueError as error:
            refuse(where, str(error))
        if not id_ or not is_text(values.get("text")):
            refuse(where, 'an abstract needs "id", its PMID, and "text"')
        title = values.get("title")
        abstracts[id_] = f"{title} {values['text']}" if is_text(title) else values["text"]
    return abstracts


def questions_of(
    path: str | os.PathLike[str],
    abstracts: Mapping[str, str] | None = None,
    fault: Fault = refuse,
    note: Fault = ignore,
    *,
    without_passages: bool = False,
) -> Iterator[Asked]:
    """Every question of a file with its passages; see `read_bioasq`.

    Args:
      without_passages: also those that have none, as scoring needs them.
    """
    value = read_json(path)
    if isinstance(value, list):
        yield from _from_list(value, path, fault, note)
        return
    found = value.get("questions") if isinstance(value, dict) else None
    if not isinstance(found, list):
        refuse(str(path), 'no list "questions", as BioASQ has it: check the format')
    ids = Ids(fault)
    for number, values in enumerate(found):
        where = f"{path}: questions[{number}]"
        try:
            asked = _asked(values, path, where)
        except ValueError as error:
            fault(_place(values, path, where), str(error))
            continue
        if not ids.are_new(asked.id, asked.where):
            continue
        if abstracts is not None:
            pmids = [_PMID.search(url) for url in values.get("documents") or () if is_text(url)]
            texts = [abstracts[pmid[1]] for pmid in pmids if pmid and pmid[1] in abstracts]
            if texts:
                asked = asked._replace(passages=tuple(dict.fromkeys(texts)))
            else:
                note(asked.where, "none of its documents is among the abstracts: snippets instead")
        if not asked.passages and not without_passages:
            note(asked.where, "no passage to ask: left out")
            continue
        yield asked


def _of_kinds(
    kinds: Sequence[str],
    path: str | os.PathLike[str],
    abstracts: Mapping[str, str] | None,
    fault: Fault,
    note: Fault,
) -> Iterator[Asked]:
    others = []
    for asked in questions_of(path, abstracts, fault, note):
        if asked.kind in kinds:
            yield asked
        else:
            others.append(asked.kind)
    if others:
        note(f"{path}", left_out(others, "question"))


def _from_list(
    found: Sequence[Any], path: str | os.PathLike[str], fault: Fault, note: Fault
) -> Iterator[Asked]:
    # A list question has lists of synonyms; some of them, strings. Nothing else tells them apart.
    are_lists = any(
        isinstance(name, list)
        for values in found
        if isinstance(values, dict) and isinstance(values.get("answer"), list)
        for name in values["answer"]
    )
    kind = "list" if are_lists else "factoid"
    for number, values in enumerate(found):
        where = f"{path}: [{number}]"
        if not isinstance(values, dict) or not is_text(values.get("query")):
            fault(where, 'no "query": give each question its text')
            continue
        try:
            answer = values.get("answer")
            synonyms = None if answer is None else _synonyms(answer, kind)
            passages = _texts(values.get("sentences"), "sentences")
        except ValueError as error:
            fault(where, str(error))
            continue
        if passages:
            yield Asked(where, f"{number:05d}", kind, values["query"], passages, synonyms)
        else:
            note(where, "no passage to ask: left out")


def _place(values: Any, path: str | os.PathLike[str], where: str) -> str:
    id_ = values.get("id") if isinstance(values, dict) else None
    return f"{path}: question {id_}" if is_text(id_) else where


def _asked(values: Any, path: str | os.PathLike[str], where: str) -> Asked:
    """Raises ValueError for what is no question."""
    if not isinstance(values, dict):
        raise ValueError(f"not a question but {values!r:.60}: mend the file")
    id_ = id_of(values, "")
    if not id_:
        raise ValueError("no id: give every question one of its own")
    if not is_text(values.get("body")):
        raise ValueError('no text in "body": give one, or leave the question out')
    kind = values.get("type")
    if kind not in ("factoid", "list", "yesno", "summary"):
        raise ValueError(f"type is {kind!r:.60}: give factoid, list, yesno or summary")
    snippets = values.get("snippets") or []
    if not isinstance(snippets, list) or not all(isinstance(s, dict) for s in snippets):
        raise ValueError('snippets are no objects: give {"text": …} each')
    passages = _texts([snippet.get("text") for snippet in snippets], "snippets")
    answer = values.get("exact_answer")
    if answer is not None and kind == "yesno":
        answer = answer[0] if isinstance(answer, list) and len(answer) == 1 else answer
        if not isinstance(answer, str) or answer.strip().lower() not in ("yes", "no"):
            raise ValueError(f"exact_answer is {answer!r:.60}: yes or no was expected")
        answer = answer.strip().lower()
    elif answer is not None and kind in KINDS:
        answer = _synonyms(answer, kind)
    return Asked(
        _place(values, path, where),
        id_,
        kind,
        values["body"],
        passages,
        None if kind == "summary" else answer,
        document=id_,
    )


def _texts(values: Any, name: str) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(text, str) for text in values):
        raise ValueError(f"{name} hold what is no text: mend the file")
    return tuple(dict.fromkeys(text for text in values if is_text(text)))


def _synonyms(answer: Any, kind: str) -> tuple[tuple[str, ...], ...]:
    """Names of each thing asked for. A factoid's plain list is of one thing's names."""
    if isinstance(answer, str):
        answer = [[answer]]
    elif isinstance(answer, list) and all(isinstance(name, str) for name in answer):
        answer = [answer] if kind == "factoid" else [[name] for name in answer]
    elif isinstance(answer, list):
        answer = [[name] if isinstance(name, str) else name for name in answer]
    if not isinstance(answer, list) or not all(
        isinstance(names, list) and all(isinstance(name, str) for name in names) for names in answer
    ):
        raise ValueError(f"exact_answer is {answer!r:.60}: give a list of lists of names")
    groups = (tuple(dict.fromkeys(name for name in names if is_text(name))) for names in answer)
    return tuple(names for names in groups if names)
