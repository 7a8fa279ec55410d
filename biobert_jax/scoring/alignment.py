"""Another program's sentences against the gold ones: by their words, whatever the order."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from biobert_jax.errors import UserError

Words = tuple[str, ...]


class Aligned(NamedTuple):
    """Which predicted sentences make up each gold one.

    Attributes:
      parts: of each gold sentence the numbers of the predicted ones that hold its words, in order.
      num_joined: gold sentences that stand there in pieces.
      num_unused: predicted sentences that belong to none.
    """

    parts: list[tuple[int, ...]]
    num_joined: int
    num_unused: int


def align(gold: Sequence[Words], predicted: Sequence[Words]) -> Aligned:
    """Finds each gold sentence among the predicted ones, whole, or cut into pieces.

    Sentences that occur several times are taken in order. Pieces of a sentence are looked for one
    after the other behind the first, then anywhere, the longest first; where words repeat, pieces
    may be taken for those of another sentence.

    Raises:
      UserError: a gold sentence is not there; its number, from 1, and its first words are named.
    """
    places: dict[Words, list[int]] = defaultdict(list)
    for number in range(len(predicted) - 1, -1, -1):
        places[predicted[number]].append(number)  # so that pop() gives the first
    parts: list[tuple[int, ...] | None] = []
    for words in gold:
        parts.append((places[words].pop(),) if places.get(words) else None)
    used = {number for part in parts if part for number in part}
    left = [number for number in range(len(predicted)) if number not in used]
    lost = [number for number, part in enumerate(parts) if part is None]
    for number in lost:
        pieces = _pieces(gold[number], predicted, left)
        if pieces is None:
            first = " ".join(gold[number][:8])
            raise UserError(
                f"sentence {number + 1} ({first} …) is not among the predictions, nor are its "
                f"pieces ({len(lost)} of {len(gold)} are not there as they are): give predictions "
                "for the same words"
            )
        parts[number] = pieces
        left = [other for other in left if other not in pieces]
    return Aligned([part or () for part in parts], len(lost), len(left))


def joined(labels: Sequence[Sequence[str]], aligned: Aligned) -> list[list[str]]:
    """The predicted labels in the order of the gold sentences."""
    return [[label for piece in part for label in labels[piece]] for part in aligned.parts]


def _pieces(
    words: Words, predicted: Sequence[Words], left: Sequence[int]
) -> tuple[int, ...] | None:
    """Sentences among `left` that spell `words` one after the other."""
    starts: dict[str, list[int]] = defaultdict(list)
    for number in left:
        if predicted[number]:
            starts[predicted[number][0]].append(number)
    available = set(left)

    def search(place: int, taken: tuple[int, ...]) -> tuple[int, ...] | None:
        if place == len(words):
            return taken
        behind = taken[-1] if taken else -2  # before the first piece none is behind another
        # Longer ones first: they fit fewer other sentences, which their pieces are left to.
        order = sorted(starts[words[place]], key=lambda n: (n != behind + 1, -len(predicted[n]), n))
        for number in order:
            piece = predicted[number]
            if number not in taken and words[place : place + len(piece)] == piece:
                found = search(place + len(piece), (*taken, number))
                if found is not None:
                    return found
        return None

    for first in starts[words[0]] if words else ():
        numbers, place = [first], len(predicted[first])
        while place < len(words) and numbers[-1] + 1 in available:
            numbers.append(numbers[-1] + 1)
            place += len(predicted[numbers[-1]])
        if tuple(word for number in numbers for word in predicted[number]) == words:
            return tuple(numbers)
    return search(0, ())
