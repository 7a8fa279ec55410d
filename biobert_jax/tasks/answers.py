"""From scores of starts and ends to answers: n-best lists, no answer, passages of one question."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from biobert_jax.tasks.files.examples import Question
from biobert_jax.tasks.questions import Passage, QuestionRows, Window, most_context

# Of answers that are joined over passages, in characters (BioBERT's transform_nbset2bioasqform.py).
LONGEST_JOINED = 100
# What odds of no answer are where the passage has no word that could be one.
NO_WORDS = 1e6
_NUMBERS = {
    word: number
    for number, word in enumerate(
        ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), 2
    )
}
# "List 3 drugs …", "Which are the two genes …", not "… in type 2 diabetes".
_ASKED = re.compile(
    r"\b(?i:list|name|which|what|give|mention|the|of|at least)\s+"
    rf"(\d{{1,2}}|{'|'.join(_NUMBERS)})\s+[a-z]"
)


class Candidate(NamedTuple):
    """An answer: `context[start:end] == text`; "" is that there is none."""

    text: str
    start: int
    end: int
    start_logit: float
    end_logit: float
    probability: float = 0.0

    @property
    def logit(self) -> float:
        """What it is ranked by."""
        return self.start_logit + self.end_logit


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
    """The answers to all questions, in order, as upstream's `run_squad.py` ranks them.

    Unlike there, answers are whole words, cut from the text by their offsets.

    Args:
      logits: float32 [N, L, 2], of the rows' starts and ends.
      packed: every window of the questions once.
      n_best: starts, ends and answers that are looked at.
      max_answer_length: in pieces.
      no_answer: whether "" may be an answer.
      threshold: of `null_odds`.
    """
    answers = []
    for number, group in groupby(enumerate(packed.windows), key=lambda item: item[1].question):
        sequences, windows = zip(*group, strict=True)
        context, passage = questions[number].context, packed.passages[number]
        found: list[Candidate] = []
        nulls = []
        for sequence, window, own in zip(sequences, windows, most_context(windows), strict=True):
            row, start = packed.rows.places[sequence], packed.rows.offsets[sequence]
            size = window.offset + window.last - window.first
            scores = logits[row, start : start + size]
            nulls.append(Candidate("", 0, 0, *map(float, scores[0])))
            inner = scores[window.offset :]
            found += _spans(inner, window, own, passage, context, n_best, max_answer_length)
        null = min(nulls, key=lambda candidate: candidate.logit)
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
) -> Iterator[Candidate]:
    """The best spans of a window, whole words, whose starts have most context there."""
    starts, ends = (np.argsort(-scores[:, side], kind="stable")[:n_best] for side in (0, 1))
    starts = starts[own[starts]]
    first, last = (array.ravel() for array in np.meshgrid(starts, ends, indexing="ij"))
    fits = (last >= first) & (last - first < max_answer_length)
    first, last = first[fits], last[fits]
    totals = scores[first, 0] + scores[last, 1]
    seen: set[str] = set()
    for place in np.argsort(-totals, kind="stable").tolist():
        i, j = int(first[place]), int(last[place])
        start, end = int(passage.starts[window.first + i]), int(passage.ends[window.first + j])
        text = context[start:end]
        if text in seen:
            continue
        seen.add(text)
        yield Candidate(text, start, end, float(scores[i, 0]), float(scores[j, 1]))
        if len(seen) == n_best:
            return


def _answer(
    found: list[Candidate], null: Candidate, n_best: int, no_answer: bool, threshold: float
) -> Answer:
    best: dict[str, Candidate] = {}
    for candidate in sorted(found, key=lambda c: -c.logit):
        best.setdefault(candidate.text, candidate)
        if len(best) == n_best:
            break
    kept = list(best.values())
    first = kept[0] if kept else None
    odds = null.logit - first.logit if first else NO_WORDS
    if no_answer or not kept:
        kept = sorted([*kept, null], key=lambda c: -c.logit)
        # Upstream counts no answer among the best where it is one, and else adds it.
        kept = kept[: max(n_best, kept.index(null) + 1)]
    shares = np.exp(np.array([c.logit for c in kept]) - kept[0].logit)
    shares /= shares.sum()
    named = tuple(c._replace(probability=float(p)) for c, p in zip(kept, shares, strict=True))
    text = "" if first is None or (no_answer and odds > threshold) else first.text
    return Answer(text, named, float(odds))


def best_threshold(
    odds: np.ndarray, with_answer: np.ndarray, with_none: np.ndarray
) -> tuple[float, float]:
    """The threshold of no answer with the highest mean score, and that score.

    Args:
      odds: float [Q], of `Answer.null_odds`.
      with_answer, with_none: float [Q], what each question scores by its best answer, and by none.
    """
    order = np.argsort(odds, kind="stable")
    ranked = odds[order]
    # Entry k: the k lowest odds are answered, the others are not. Equal odds go together.
    totals = np.concatenate([[0.0], np.cumsum((with_answer - with_none)[order])]) + with_none.sum()
    totals[1:-1][ranked[1:] == ranked[:-1]] = -np.inf
    place = int(totals.argmax())
    threshold = ranked[place - 1] if place else ranked[0] - 1.0
    return float(threshold), float(totals[place] / len(odds))


def join_passages(
    questions: Sequence[Question], n_best: Sequence[Sequence[Candidate]]
) -> dict[str, list[Candidate]]:
    """Of each question asked of several passages its answers, best first.

    As BioBERT joins them: the lists of all passages together, without what is longer than 100
    characters; answers that are equal but for case are one, as the likeliest of them is spelt, and
    their probabilities are added (so that they may be above 1).
    """
    pools: dict[str, dict[str, Candidate]] = {}
    sums: dict[tuple[str, str], float] = {}
    for question, candidates in zip(questions, n_best, strict=True):
        id_ = question.group or question.id
        pool = pools.setdefault(id_, {})
        for candidate in candidates:
            if not 0 < len(candidate.text) <= LONGEST_JOINED:
                continue
            name = candidate.text.lower()
            known = pool.setdefault(name, candidate)
            if candidate.probability > known.probability:
                pool[name] = candidate
            sums[id_, name] = sums.get((id_, name), 0.0) + candidate.probability
    joined = {
        id_: [c._replace(probability=sums[id_, name]) for name, c in pool.items()]
        for id_, pool in pools.items()
    }
    return {id_: sorted(found, key=lambda c: -c.probability) for id_, found in joined.items()}


def listed(
    joined: Mapping[str, Sequence[Candidate]], asked: Mapping[str, str], least: float
) -> dict[str, list[Candidate]]:
    """What is said of list questions: as many as one asks for, else all that are likely enough.

    One at least, where there is any.

    Args:
      joined: of each question its answers, best first.
      asked: the questions' words.
      least: the least probability, added over passages.
    """
    answers = {}
    for id_, found in joined.items():
        likely = [c for c in found if c.probability >= least] or list(found[:1])
        number = number_asked(asked[id_])
        answers[id_] = list(found[:number]) if number else likely
    return answers


def number_asked(question: str) -> int | None:
    """How many things a list question asks for, where it says: "Which 3 drugs …"."""
    found = _ASKED.search(question)
    if found is None:
        return None
    word = found[1].lower()
    return _NUMBERS[word] if word in _NUMBERS else int(word) or None
