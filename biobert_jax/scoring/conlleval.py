"""Entity-level precision, recall and F1, as the CoNLL shared tasks define them.

Equal to Tjong Kim Sang's `conlleval` (Perl, version 2004-01-26) on B/I/O labels and to seqeval's
default, lenient mode on B/I/O/E/S labels: any label sequence has a reading, malformed or not, and
an entity counts as correct when its start, end and type are all those of a gold entity.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from typing import Any, NamedTuple

from biobert_jax.errors import UserError

# BILOU's L(ast) and U(nit) are IOBES's E(nd) and S(ingle) by another name. conlleval knows
# neither, and seqeval, given them, merges or loses neighbouring entities.
_TAGS = {"B": "B", "I": "I", "O": "O", "E": "E", "L": "E", "S": "S", "U": "S"}


class Chunk(NamedTuple):
    """An entity over words `start` to `end` (exclusive); `type` is "" for untyped labels."""

    type: str
    start: int
    end: int


@dataclass(frozen=True)
class Scores:
    """Micro-averaged scores over sentences; all ratios are fractions in [0, 1].

    A ratio whose denominator is zero is 0.0. `token_accuracy` counts words whose tag and type are
    both right, O included; it is None in the entries of `by_type`, for which conlleval defines
    none. `by_type` is sorted by type, and holds each type that occurs in gold or prediction.
    """

    num_gold: int
    num_predicted: int
    num_correct: int
    num_tokens: int = 0
    token_accuracy: float | None = None
    by_type: dict[str, "Scores"] = field(default_factory=dict)

    @property
    def precision(self) -> float:
        """Correct entities over predicted entities."""
        return _ratio(self.num_correct, self.num_predicted)

    @property
    def recall(self) -> float:
        """Correct entities over gold entities."""
        return _ratio(self.num_correct, self.num_gold)

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return _ratio(2 * self.num_correct, self.num_predicted + self.num_gold)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Scores":
        """The inverse of `to_dict`."""
        counts = {k: v for k, v in content.items() if k.startswith("num_")}
        by_type = {name: cls.from_dict(of) for name, of in content.get("by_type", {}).items()}
        return cls(**counts, token_accuracy=content.get("token_accuracy"), by_type=by_type)

    def to_dict(self) -> dict[str, Any]:
        """Returns a JSON-ready dict; ratios stay fractions, and absent values are left out."""
        ratios = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        counts = {k: v for k, v in asdict(self).items() if k.startswith("num_")}
        if self.token_accuracy is None:  # An entry of `by_type`.
            del counts["num_tokens"]
            return ratios | counts
        by_type = {name: scores.to_dict() for name, scores in self.by_type.items()}
        return ratios | counts | {"token_accuracy": self.token_accuracy, "by_type": by_type}


def is_label(label: str) -> bool:
    """Whether `chunks` can read a label."""
    return label.partition("-")[0] in _TAGS


def chunks(labels: Sequence[str]) -> list[Chunk]:
    """Finds the entities of one sentence, in order.

    Args:
      labels: One label a word: a tag of B I O E S (or L for E, U for S), alone or with a type
        after the first hyphen (`B-Chemical`, `I-Multi-tissue_structure`). IOB1, IOB2, IOBES and
        BILOU need no distinction; a type after O is ignored.

    Raises:
      UserError: A label has another form; the message names the word's number, from 1.
    """
    return _chunks([_parse(label, f"word {i}") for i, label in enumerate(labels, 1)])


def score(
    gold: Iterable[Sequence[str]],
    predicted: Iterable[Sequence[str]],
    *,
    ignore_types: bool = False,
) -> Scores:
    """Scores predicted labels against gold labels, over all sentences together.

    Args:
      gold: For each sentence the label of each word, as `chunks` takes them.
      predicted: The same sentences, in the same order.
      ignore_types: Whether an entity of the right words is correct whatever its type. Two
        neighbours of different types stay two; `by_type` is empty.

    Raises:
      UserError: The numbers of sentences or of a sentence's labels differ, or a label is not one;
        the message names the sentence's number, from 1.
    """
    num_gold, num_predicted, num_correct = Counter(), Counter(), Counter()
    num_tokens = num_right_tokens = 0
    for number, (gold_labels, predicted_labels) in enumerate(zip_longest(gold, predicted), 1):
        if gold_labels is None or predicted_labels is None:
            short = "gold" if gold_labels is None else "predicted"
            raise UserError(
                f"sentence {number}: the {short} labels end at sentence {number - 1}, the others "
                "do not; give both for the same sentences"
            )
        if len(gold_labels) != len(predicted_labels):
            raise UserError(
                f"sentence {number}: {len(gold_labels)} gold labels but {len(predicted_labels)} "
                "predicted ones; give one label a word, for the same words"
            )
        gold_tags = _parse_sentence(gold_labels, "gold", number)
        predicted_tags = _parse_sentence(predicted_labels, "predicted", number)
        gold_chunks, predicted_chunks = set(_chunks(gold_tags)), set(_chunks(predicted_tags))
        if ignore_types:
            gold_tags, predicted_tags = (
                [(tag, "") for tag, _ in tags] for tags in (gold_tags, predicted_tags)
            )
            gold_chunks, predicted_chunks = (
                {chunk._replace(type="") for chunk in found}
                for found in (gold_chunks, predicted_chunks)
            )
        num_tokens += len(gold_tags)
        num_right_tokens += sum(g == p for g, p in zip(gold_tags, predicted_tags, strict=True))
        num_gold.update(chunk.type for chunk in gold_chunks)
        num_predicted.update(chunk.type for chunk in predicted_chunks)
        num_correct.update(chunk.type for chunk in gold_chunks & predicted_chunks)

    by_type = {
        name: Scores(num_gold[name], num_predicted[name], num_correct[name])
        for name in sorted(num_gold | num_predicted)
        if not ignore_types
    }
    return Scores(
        num_gold.total(),
        num_predicted.total(),
        num_correct.total(),
        num_tokens=num_tokens,
        token_accuracy=_ratio(num_right_tokens, num_tokens),
        by_type=by_type,
    )


def report(scores: Scores) -> str:
    """Formats `score`'s result as conlleval prints it, in percent; ends with a line feed.

    As in conlleval's later versions, untyped entities get no line of their own.
    """
    lines = [
        f"processed {scores.num_tokens} tokens with {scores.num_gold} phrases; "
        f"found: {scores.num_predicted} phrases; correct: {scores.num_correct}.\n"
    ]
    if scores.num_tokens:
        lines.append(f"accuracy: {100 * (scores.token_accuracy or 0.0):6.2f}%; {_prf(scores)}\n")
    for name, of_type in scores.by_type.items():
        if name:
            lines.append(f"{name:>17}: {_prf(of_type)}  {of_type.num_predicted}\n")
    return "".join(lines)


def _prf(scores: Scores) -> str:
    return (
        f"precision: {100 * scores.precision:6.2f}%; "
        f"recall: {100 * scores.recall:6.2f}%; FB1: {100 * scores.f1:6.2f}"
    )


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else 0.0


def _parse(label: str, where: str) -> tuple[str, str]:
    """Splits a label into its tag, one of B I O E S, and its type, "" if there is none."""
    if not is_label(label):
        raise UserError(
            f"{where}: {label!r} is not a label; use O, or one of B I E S L U alone or followed "
            "by a hyphen and a type, such as B-Chemical"
        )
    tag, _, type_ = label.partition("-")
    # BioBERT's own files hold `O-MISC`; conlleval, too, takes that for O.
    return (_TAGS[tag], type_) if tag != "O" else ("O", "")


def _parse_sentence(labels: Sequence[str], which: str, number: int) -> list[tuple[str, str]]:
    return [
        _parse(label, f"sentence {number}, word {i} ({which})") for i, label in enumerate(labels, 1)
    ]


def _chunks(tags: Sequence[tuple[str, str]]) -> list[Chunk]:
    """Finds entities; the condition is conlleval's startOfChunk, with S as seqeval adds it.

    conlleval's endOfChunk needs no code: an entity ends where the next one starts, or at an O.
    """
    found = []
    start = 0
    previous_tag, previous_type = "O", ""
    for i, (tag, type_) in enumerate([*tags, ("O", "")]):
        starts = tag != "O" and (tag in "BS" or previous_tag in "OES" or type_ != previous_type)
        if previous_tag != "O" and (tag == "O" or starts):
            found.append(Chunk(previous_type, start, i))
        if starts:
            start = i
        previous_tag, previous_type = tag, type_
    return found
