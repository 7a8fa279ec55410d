"""Questions with their passages as packed rows: overlapping windows, and the way back to text."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from biobert_jax.corpus.text.tokenization import Tokenizer
from biobert_jax.tasks.files.examples import Question
from biobert_jax.tasks.rows import NO_TARGET, Rows, pack
from biobert_jax.tasks.task import Setting

# A question may not take more than this part of a row: windows must have room to move in.
_MOST_OF_ROW = 0.5


class Passage(NamedTuple):
    """A passage's pieces, and of each the span of the word it belongs to, in code points.

    Attributes:
      ids: int32 [P].
      starts, ends: int32 [P], both ascending.
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
      target: positions in the sequence of the answer's first and last piece, of [CLS] twice where
        the window does not hold it, -1 where nothing is to be learnt.
    """

    question: int
    first: int
    last: int
    offset: int
    target: tuple[int, int]


class QuestionRows(NamedTuple):
    """Packed questions.

    Attributes:
      rows: a sequence a window.
      windows: of the sequences, in order.
      passages: of the questions; equal ones are one object.
      num_cut: questions that were longer than they may be.
      without: the questions whose passage does not hold their answer and that are not asked
        because of it.
    """

    rows: Rows
    windows: list[Window]
    passages: list[Passage]
    num_cut: int
    without: list[Question]

    def targets(self) -> np.ndarray:
        """First and last position of each sequence's answer in its row: int32 [N, K, 2]."""
        spans = np.array([window.target for window in self.windows], np.int64).reshape(-1, 2)
        spans = np.where(spans < 0, NO_TARGET, spans + self.rows.offsets[:, None])
        return self.rows.of_sequences(spans.astype(np.int32))


def pack_questions(
    questions: Sequence[Question], setting: Setting, seed: int | None = None
) -> QuestionRows:
    """[CLS] question [SEP] window [SEP], windows `stride` pieces apart.

    Args:
      seed: of the packing, for training: what is not to be learnt is left out then, and a window
        stands once for each answer that it holds. None: every window once.
    """
    tokenizer, options = setting.tokenizer, setting.options
    special, length = tokenizer.special, setting.max_seq_length
    limit = min(options["max_query_length"], max(1, int(_MOST_OF_ROW * length) - 3))
    known: dict[str, Passage] = {}
    sequences, second, windows, passages, without, num_cut = [], [], [], [], [], 0
    asked = tokenizer.encode_batch([question.question for question in questions])
    for number, (question, own) in enumerate(zip(questions, asked, strict=True)):
        if question.context not in known:
            known[question.context] = passage_of(tokenizer, question.context)
        passage = known[question.context]
        passages.append(passage)
        num_cut += len(own) > limit
        answers = answer_pieces(question, passage)
        is_learnt = bool(answers or (options["no_answer"] and question.is_impossible))
        if not is_learnt and not question.is_impossible:
            without.append(question)
        if seed is not None and not is_learnt:
            continue
        head = [special.cls, *own[:limit], special.sep]
        for first, last in cut(len(passage.ids), length - len(head) - 1, options["stride"]):
            held = [(i, j) for i, j in answers if first <= i and j < last]
            shift = len(head) - first
            elsewhere = (0, 0) if is_learnt else (NO_TARGET, NO_TARGET)
            targets = [(i + shift, j + shift) for i, j in held] or [elsewhere]
            ids = np.array([*head, *passage.ids[first:last], special.sep], np.int32)
            for target in targets if seed is not None else targets[:1]:
                windows.append(Window(number, first, last, len(head), target))
                sequences.append(ids)
                second.append(len(head))
    rows = pack(sequences, length, special, second=second, seed=seed)
    return QuestionRows(rows, windows, passages, num_cut, without)


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


def answer_pieces(question: Question, passage: Passage) -> list[tuple[int, int]]:
    """First and last piece of the fewest words that cover an answer, of each that is learnt.

    SQuAD's answers are what several people said, of which upstream learns the first; BioASQ's are
    all the places where a passage has what is asked for.
    """
    found = []
    for answer, start in zip(question.answers, question.starts, strict=True):
        first = int(np.searchsorted(passage.ends, start, side="right"))
        last = int(np.searchsorted(passage.starts, start + len(answer), side="left")) - 1
        if start >= 0 and answer and first <= last and (first, last) not in found:
            found.append((first, last))
    return found if question.kind else found[:1]


def most_context(windows: Sequence[Window]) -> list[np.ndarray]:
    """Of the windows of one question, whether each piece has no better one: bool [pieces] each.

    A piece has most context where the lesser of its distances to the window's ends is largest,
    plus a hundredth of the window's length (upstream's `_check_is_max_context`).
    """
    if len(windows) == 1:
        return [np.ones(windows[0].last - windows[0].first, bool)]
    best = np.full(max(window.last for window in windows), -np.inf)
    scores = []
    for window in windows:
        places = np.arange(window.first, window.last)
        lesser = np.minimum(places - window.first, window.last - 1 - places)
        scores.append(lesser + 0.01 * (window.last - window.first))
        best[places] = np.maximum(best[places], scores[-1])
    owned = np.zeros(len(best), bool)
    result = []
    for window, own in zip(windows, scores, strict=True):
        places = slice(window.first, window.last)
        mine = (own == best[places]) & ~owned[places]  # the first of equals
        owned[places] |= mine
        result.append(mine)
    return result
