"""What the readers of fine-tuning data yield: a plain record an example, whatever the file's form.

Offsets count Unicode code points, ends are exclusive. `where` is the file and line, or the file and
key, that an example came from, for messages; it does not count in comparisons.
"""

from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True)
class Sentence:
    """A sentence's words and, one for each, their labels, as the file spells them.

    `labels` is empty where the file has none. `document` is the id of what the sentence is from,
    such as an abstract; "" where the file does not say.
    """

    words: tuple[str, ...]
    labels: tuple[str, ...]
    document: str = ""
    where: str = field(default="", compare=False)


class Span(NamedTuple):
    """A mention in a text: `text[start:end]`, and its type, such as CHEMICAL."""

    start: int
    end: int
    type: str


@dataclass(frozen=True)
class TextExample:
    """A text, or two, to be classified or given a number.

    Attributes:
      id: unique in its file; the example's number from 0 on where the file has none.
      text: the first text.
      pair: the second, "" where there is one text only.
      labels: names of its classes: one, or any number where classes do not exclude each other;
        None: the file has no labels.
      value: a number, for regression; None: not given.
      spans: the mentions that a relation is asked of, in order, where the file has them.
      group: what several examples have in common that are answered as one, such as the passages
        of a yes/no question; "": it stands alone.
      document: what it is from, such as an abstract; a split keeps examples of one together.
    """

    id: str
    text: str
    pair: str = ""
    labels: tuple[str, ...] | None = None
    value: float | None = None
    spans: tuple[Span, ...] = ()
    group: str = ""
    document: str = ""
    where: str = field(default="", compare=False)


@dataclass(frozen=True)
class Question:
    """A question about a passage, and where it is answered.

    Attributes:
      id: unique in its file.
      question, context: as given.
      answers: texts that count as right, the first of them for training; empty where there is
        none or none is given.
      starts: of each of `answers` in `context`: context[start : start + len(answer)] == answer;
        -1 where it does not occur there.
      is_impossible: the passage does not answer it; None: the file does not say.
      group: the question's own id where it is asked of several passages (BioASQ); else `id`.
      kind: "factoid", "list" or "" (SQuAD).
      synonyms: BioASQ's exact answer, where the file has it: of each thing asked for, all names
        that count as right, whether this passage has them or not.
      document: what the passage is from, such as an article; a split keeps questions of one
        together.
    """

    id: str
    question: str
    context: str
    answers: tuple[str, ...] = ()
    starts: tuple[int, ...] = ()
    is_impossible: bool | None = None
    group: str = ""
    kind: str = ""
    synonyms: tuple[tuple[str, ...], ...] = ()
    document: str = ""
    where: str = field(default="", compare=False)
