"""Questions with their passages as packed rows: overlapping windows, and the way back to text."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from biobert_jax.corpus.text.tokenization import Tokenizer
from biobert_jax.tasks.files.examples import Question
from biobert_jax.tasks.rows import Rows, pack
from biobert_jax.tasks.task import Setting


class Passage(NamedTuple):
    """A passage's pieces, and of each the span of the word it belongs to, in code points.

    Attributes:
      ids: int32 [P].
      starts, ends: int32 [P].
    """

    ids: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


class Window(NamedTuple):
    """A stretch of a question's passage that stands in one sequence.

    Attributes:
      question: which.
      first, last: its pieces [first, last) of the passage.
      offset: where the first of them stands in the sequence.
    """

    question: int
    first: int
    last: int
    offset: int


class QuestionRows(NamedTuple):
    """Packed questions.

    Attributes:
      rows: a sequence a window.
      windows: of the sequences, in order.
      passages: of the questions; equal ones are one object.
      num_cut: questions that were longer than they may be.
    """

    rows: Rows
    windows: list[Window]
    passages: list[Passage]
    num_cut: int


def pack_questions(questions: Sequence[Question], setting: Setting, seed: int | None):
    """[CLS] question [SEP] window [SEP], windows `stride` pieces apart, as `QuestionRows`."""
    tokenizer, options = setting.tokenizer, setting.options
    special, length = tokenizer.special, setting.max_seq_length
    # A window must have room to move in.
    limit = min(options["max_query_length"], max(1, length // 2 - 3))
    known: dict[str, Passage] = {}
    sequences, second, windows, passages, num_cut = [], [], [], [], 0
    asked = tokenizer.encode_batch([question.question for question in questions])
    for number, (question, own) in enumerate(zip(questions, asked, strict=True)):
        if question.context not in known:
            known[question.context] = passage_of(tokenizer, question.context)
        passage = known[question.context]
        passages.append(passage)
        num_cut += len(own) > limit
        head = [special.cls, *own[:limit], special.sep]
        capacity = length - len(head) - 1
        for first, last in cut(len(passage.ids), capacity, options["stride"]):
            windows.append(Window(number, first, last, len(head)))
            sequences.append([*head, *passage.ids[first:last].tolist(), special.sep])
            second.append(len(head))
    rows = pack(sequences, length, special, second=second, seed=seed)
    return QuestionRows(rows, windows, passages, num_cut)


def cut(num_pieces: int, capacity: int, stride: int) -> Iterator[tuple[int, int]]:
    """Windows [first, last) over the pieces, as upstream's `run_squad.py` cuts them.

    One at least, which is empty where there are no pieces. A stride that would leave pieces out
    is taken for the capacity.
    """
    first, stride = 0, min(stride, capacity)
    while True:
        last = min(first + capacity, num_pieces)
        yield first, last
        if last == num_pieces:
            return
        first += stride


def passage_of(tokenizer: Tokenizer, text: str) -> Passage:
    """A text's pieces."""
    words = tokenizer.words(text)
    counts = [len(word.ids) for word in words]
    ids = [piece for word in words for piece in word.ids]
    spans = np.array([(word.start, word.end) for word in words], np.int32).reshape(-1, 2)
    starts, ends = np.repeat(spans, counts, axis=0).T
    return Passage(np.array(ids, np.int32), starts, ends)


def answer_pieces(question: Question, passage: Passage) -> tuple[int, int] | None:
    """First and last piece of the words that hold the first answer that the passage has.

    None where it has none.
    """
    for answer, start in zip(question.answers, question.starts, strict=True):
        if start >= 0 and answer:
            inside = (passage.ends > start) & (passage.starts < start + len(answer))
            found = np.flatnonzero(inside)
            if len(found):
                return int(found[0]), int(found[-1])
    return None


def most_context(windows: Sequence[Window]) -> list[np.ndarray]:
    """Of the windows of one question, whether each piece has no better one: bool [pieces] each.

    A piece has most context where the lesser of its distances to the window's ends is largest,
    plus a hundredth of the window's length (upstream's `_check_is_max_context`).
    """
    if len(windows) == 1:
        return [np.ones(windows[0].last - windows[0].first, bool)]
    total = max(window.last for window in windows)
    best = np.full(total, -np.inf)
    scores = []
    for window in windows:
        places = np.arange(window.first, window.last)
        lesser = np.minimum(places - window.first, window.last - 1 - places)
        scores.append(lesser + 0.01 * (window.last - window.first))
        best[places] = np.maximum(best[places], scores[-1])
    owned = np.zeros(total, bool)
    result = []
    for window, own in zip(windows, scores, strict=True):
        places = slice(window.first, window.last)
        mine = (own == best[places]) & ~owned[places]  # the first of equals
        owned[places] |= mine
        result.append(mine)
    return result
