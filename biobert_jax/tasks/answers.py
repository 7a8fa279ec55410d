"""From scores of starts and ends to answers: n-best lists, no answer, passages of one question."""

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from biobert_jax.tasks.files.examples import Question
from biobert_jax.tasks.questions import Passage, QuestionRows, Window, most_context

# Of answers that are joined over passages, in characters.
LONGEST_JOINED = 100
_WORDS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {word: number for number, word in enumerate(_WORDS, 2)}


class Candidate(NamedTuple):
    """An answer: `context[start:end] == text`; "" is that there is none."""

    text: str
    start: int
    end: int
    start_logit: float
    end_logit: float
    probability: float = 0.0


class Answer(NamedTuple):
    """What is said of a question and its passage.

    Attributes:
      text: the best, "" for none.
      n_best: best first, with probabilities among them.
      null_odds: score of no answer less that of the best; above the threshold there is none.
    """

    text: str
    n_best: tuple[Candidate, ...]
    null_odds: float


def decode_answers(
    logits: np.ndarray,
    packed: QuestionRows,
    questions: Sequence[Question],
    *,
    n_best: int,
    max_answer_length: int,
    no_answer: bool,
    threshold: float,
) -> list[Answer]:
    """The answers to all questions, in order.

    Args:
      logits: float32 [N, L, 2], of the rows' starts and ends.
      n_best: starts, ends and answers that are looked at.
      max_answer_length: in pieces.
      no_answer: whether "" may be an answer.
      threshold: of `null_odds`.
    """
    answers = []
    numbered = enumerate(packed.windows)
    for number, group in groupby(numbered, key=lambda item: item[1].question):
        sequences, windows = zip(*group, strict=True)
        found: list[Candidate] = []
        null = np.inf
        for sequence, window, own in zip(sequences, windows, most_context(windows), strict=True):
            row, start = packed.rows.places[sequence], packed.rows.offsets[sequence]
            size = window.offset + window.last - window.first
            scores = logits[row, start : start + size]
            null = min(null, float(scores[0].sum()))
            found += _spans(
                scores[window.offset :],
                window,
                own,
                packed.passages[number],
                questions[number].context,
                n_best,
                max_answer_length,
            )
        answers.append(_answer(found, null, n_best, no_answer, threshold))
    return answers


def _spans(
    scores: np.ndarray,
    window: Window,
    own: np.ndarray,
    passage: Passage,
    context: str,
    n_best: int,
    max_answer_length: int,
) -> Iterable[Candidate]:
    """The best spans of a window, whole words, whose starts have most context there."""
    if not len(scores):
        return
    starts, ends = (np.argsort(-scores[:, side], kind="stable")[:n_best] for side in (0, 1))
    starts = starts[own[starts]]
    first, last = np.meshgrid(starts, ends, indexing="ij")
    fits = (last >= first) & (last - first < max_answer_length)
    first, last = first[fits], last[fits]
    totals = scores[first, 0] + scores[last, 1]
    for place in np.argsort(-totals, kind="stable")[:n_best]:
        i, j = int(first[place]), int(last[place])
        start, end = int(passage.starts[window.first + i]), int(passage.ends[window.first + j])
        text = context[start:end]
        yield Candidate(text, start, end, float(scores[i, 0]), float(scores[j, 1]))


def _answer(
    found: list[Candidate], null: float, n_best: int, no_answer: bool, threshold: float
) -> Answer:
    found.sort(key=lambda c: -(c.start_logit + c.end_logit))
    best: dict[str, Candidate] = {}
    for candidate in found:
        if candidate.text not in best:
            best[candidate.text] = candidate
        if len(best) == n_best:
            break
    kept = list(best.values())
    odds = null - (kept[0].start_logit + kept[0].end_logit) if kept else np.inf
    if no_answer or not kept:
        kept.append(Candidate("", 0, 0, null / 2, null / 2))
    kept.sort(key=lambda c: -(c.start_logit + c.end_logit))
    totals = np.array([c.start_logit + c.end_logit for c in kept])
    shares = np.exp(totals - totals.max())
    shares /= shares.sum()
    named = tuple(c._replace(probability=float(p)) for c, p in zip(kept, shares, strict=True))
    texts = [c.text for c in named if c.text]
    text = "" if not texts or (no_answer and odds > threshold) else texts[0]
    return Answer(text, named, float(odds))


def join_passages(
    questions: Sequence[Question], answers: Sequence[Answer]
) -> dict[str, list[Candidate]]:
    """Of each question asked of several passages its answers, best first.

    As BioBERT joins them: the lists of all passages together, without what is longer than 100
    characters; answers that are equal but for case are one, and their probabilities are added.
    """
    pools: dict[str, dict[str, Candidate]] = {}
    for question, answer in zip(questions, answers, strict=True):
        pool = pools.setdefault(question.group or question.id, {})
        for candidate in answer.n_best:
            if not 0 < len(candidate.text) <= LONGEST_JOINED:
                continue
            name = candidate.text.lower()
            first = pool.get(name)
            total = candidate.probability + (first.probability if first else 0.0)
            pool[name] = (first or candidate)._replace(probability=total)
    return {id_: sorted(pool.values(), key=lambda c: -c.probability) for id_, pool in pools.items()}


def number_asked(question: str) -> int | None:
    """How many things a list question asks for, where it says: "Which 3 drugs …"."""
    words = re.findall(r"\w+", question.lower())
    for word in words:
        if word in _NUMBERS or (word.isdecimal() and 0 < int(word) < 50):
            return _NUMBERS[word] if word in _NUMBERS else int(word)
    return None
