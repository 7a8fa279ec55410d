"""SQuAD 1.1 and 2.0, and what BioBERT has in their shape: BioASQ's factoid, list and yes/no.

An id of 24 hexadecimal digits, `_` and a number is BioASQ's: the question is what stands before
`_`, asked of several passages.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from biobert_jax.formats.faults import Fault, Ids, ignore, is_text, read_json, refuse
from biobert_jax.tasks.files.answers import start_near
from biobert_jax.tasks.files.examples import Question, TextExample
from biobert_jax.tasks.files.jsonl import id_of, objects

_BIOASQ_ID = re.compile(r"([0-9a-f]{24})_\d+")
_YES_NO = ("yes", "no")


class _Asked(NamedTuple):
    """A question of a file, its passage and the article that has it."""

    where: str
    id: str
    values: Mapping[str, Any]
    context: str
    title: str
    version: str


def read_squad(
    path: str | os.PathLike[str], *, fault: Fault = refuse, note: Fault = ignore
) -> list[Question]:
    """Reads questions with the places of their answers.

    An answer that is not where `answer_start` says is sought nearest to it, which is noted; one
    that its context does not have is kept with start -1, and noted. Answers that stand several
    times are kept: SQuAD's annotators are counted that way. `is_impossible` is the file's; where it
    has none but its version is 2, or another question has one, that there is no answer.

    Raises:
      UserError: The file is absent, unreadable, no JSON or of another form; or, unless `fault`
        takes them, a question or context is missing or blank, an answer is no text, or an id
        stood before. The message names the file and the question.
    """
    asked = list(_questions(path, fault))
    has_impossible = any(
        q.version.removeprefix("v").startswith("2") or "is_impossible" in q.values for q in asked
    )
    kind = "list" if "list" in Path(path).name.lower() else "factoid"
    questions = []
    for q in asked:
        try:
            answers, starts = _answers(q.values.get("answers"), q.context, q.where, note)
            impossible = _flag(q.values.get("is_impossible"))
        except ValueError as error:
            fault(q.where, str(error))
            continue
        if impossible is None and has_impossible:
            impossible = not answers
        if impossible and answers:
            note(q.where, "is_impossible, but it has answers: they are left out")
            answers, starts = (), ()
        group = _group(q.id)
        questions.append(
            Question(
                q.id,
                q.values["question"],
                q.context,
                answers,
                starts,
                is_impossible=impossible,
                group=group or q.id,
                kind=kind if group else "",
                document=q.title if not group else group,
                where=q.where,
            )
        )
    return questions


def read_yes_no(
    path: str | os.PathLike[str], *, fault: Fault = refuse, note: Fault = ignore
) -> list[TextExample]:
    """Reads BioBERT's yes/no questions, of which `answers` is "yes" or "no"; None where absent.

    Raises:
      UserError: As `read_squad`; or an answer that is neither.
    """
    examples = []
    for q in _questions(path, fault):
        answer = q.values.get("answers")
        answer = answer.strip().lower() if isinstance(answer, str) else answer
        if answer not in (*_YES_NO, None, [], ""):
            fault(q.where, f"answers is {answer!r:.60}: yes or no was expected")
            continue
        labels = (answer,) if answer else None
        examples.append(
            TextExample(
                q.id,
                q.values["question"],
                q.context,
                labels=labels,
                group=_group(q.id),
                document=_group(q.id) or q.title,
                where=q.where,
            )
        )
    return examples


def read_question_lines(
    path: str | os.PathLike[str], *, fault: Fault = refuse, note: Fault = ignore
) -> list[Question]:
    """Reads JSON lines of a user's own questions.

    An object a line: `question`, `context`; `answers`, a list of texts or of `{"text",
    "answer_start"}`, absent where none is known; `is_impossible`, `id`, `group` as may be.

    Raises:
      UserError: As `read_squad`, with the line.
    """
    ids = Ids(fault)
    questions = []
    for order, (where, values) in enumerate(objects(path, fault)):
        try:
            for key in ("question", "context"):
                if not is_text(values.get(key)):
                    raise ValueError(f'no "{key}": give each line a question and its context')
            id_ = id_of(values, str(order))
            group = id_of(values, id_, "group")
            impossible = _flag(values.get("is_impossible"))
            answers, starts = _answers(values.get("answers"), values["context"], where, note)
        except ValueError as error:
            fault(where, str(error))
            continue
        if impossible:
            answers, starts = (), ()
        if ids.are_new(id_, where):
            questions.append(
                Question(
                    id_,
                    values["question"],
                    values["context"],
                    answers,
                    starts,
                    is_impossible=impossible,
                    group=group,
                    where=where,
                )
            )
    return questions


def is_yes_no(value: Any) -> bool:
    """Whether a JSON value has the shape of SQuAD with answers that are yes or no."""
    for paragraph in _paragraphs(value):
        for qa in paragraph.get("qas") or ():
            if isinstance(qa, dict) and qa.get("answers"):
                return isinstance(qa["answers"], str)
    return False


def _paragraphs(value: Any) -> Iterator[dict[str, Any]]:
    articles = value.get("data") if isinstance(value, dict) else None
    for article in articles if isinstance(articles, list) else ():
        paragraphs = article.get("paragraphs") if isinstance(article, dict) else None
        for paragraph in paragraphs if isinstance(paragraphs, list) else ():
            if isinstance(paragraph, dict):
                yield paragraph


def _questions(path: str | os.PathLike[str], fault: Fault) -> Iterator[_Asked]:
    value = read_json(path)
    articles = value.get("data") if isinstance(value, dict) else None
    if not isinstance(articles, list):
        refuse(str(path), 'no list "data" of articles, as SQuAD has it: check the format')
    version = str(value.get("version", ""))
    ids = Ids(fault)
    for number, article in enumerate(articles):
        place = f"{path}: data[{number}]"
        paragraphs = article.get("paragraphs") if isinstance(article, dict) else None
        if not isinstance(paragraphs, list):
            fault(place, 'no list "paragraphs": mend the file')
            continue
        title = str(article.get("title") or "")
        for index, paragraph in enumerate(paragraphs):
            here = f"{place}.paragraphs[{index}]"
            if not isinstance(paragraph, dict) or not isinstance(paragraph.get("qas"), list):
                fault(here, 'no list "qas": mend the file')
                continue
            for order, values in enumerate(paragraph["qas"]):
                asked = _question(values, paragraph, f"{path}", f"{here}.qas[{order}]", fault)
                if asked is not None and ids.are_new(asked[1], asked[0]):
                    yield _Asked(*asked, values, paragraph["context"], title, version)


def _question(
    values: Any, paragraph: Mapping[str, Any], path: str, here: str, fault: Fault
) -> tuple[str, str] | None:
    """Where a question stands and its id; None where it is at fault."""
    if not isinstance(values, dict):
        fault(here, f"not a question but {values!r:.60}: mend the file")
        return None
    try:
        id_ = id_of(values, "")
    except ValueError as error:
        fault(here, str(error))
        return None
    where = f"{path}: question {id_}" if id_ else here
    if not id_:
        fault(where, "no id: give every question one of its own")
    elif not is_text(values.get("question")):
        fault(where, 'no text in "question": give one, or leave the question out')
    elif not is_text(paragraph.get("context")):
        fault(where, 'no text in the paragraph\'s "context": give one, or leave it out')
    else:
        return where, id_
    return None


def _answers(
    values: Any, context: str, where: str, note: Fault
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Raises ValueError for what are no answers."""
    if values is None:
        return (), ()
    answers, starts = [], []
    for answer in values if isinstance(values, list) else [values]:
        text, start = answer, None
        if isinstance(answer, dict):
            text, start = answer.get("text"), answer.get("answer_start", answer.get("start"))
        if not is_text(text) or not (start is None or type(start) is int):
            raise ValueError(f'answer {answer!r:.80}: give {{"text", "answer_start"}}')
        found = start_near(context, text, start)
        if found < 0:
            note(where, f"answer {text!r:.80} does not occur in its context: not trained on")
        elif start is not None and found != start:
            note(where, f"answer {text!r:.80} is not at {start} but at {found}: read there")
        answers.append(text)
        starts.append(found)
    return tuple(answers), tuple(starts)


def _flag(value: Any) -> bool | None:
    """`is_impossible`, which BioBERT's yes/no files write as a word. Raises ValueError."""
    known = {None: None, True: True, False: False, "yes": True, "no": False}
    if isinstance(value, list | dict) or value not in known:
        raise ValueError(f"is_impossible is {value!r:.60}: give true or false")
    return known[value]


def _group(id_: str) -> str:
    found = _BIOASQ_ID.fullmatch(id_)
    return found[1] if found else ""
