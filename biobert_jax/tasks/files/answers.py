"""Where a passage has an answer: the offsets that training needs, found where a file has none."""

import re
from collections.abc import Iterable, Iterator

# Longer answers are sentences: they are looked for as they are, at no great cost.
_MOST_FOUND = 1000


def start_near(context: str, answer: str, start: int | None) -> int:
    """The place of `answer` in `context` that is nearest to `start`; -1 where it does not occur.

    Without a start, the first.
    """
    if start is not None and start >= 0 and context.startswith(answer, start):
        return start
    if not answer:
        return -1
    found = [place.start() for place in re.finditer(f"(?={re.escape(answer)})", context)]
    return min(found, key=lambda place: abs(place - (start or 0)), default=-1)


def occurrences(context: str, names: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Each place (start, text there) where a passage has one of several names, in order.

    Case does not count, a run of white space is as good as another, and a name must not go on
    beyond a word's end: p53 is not in p530, nor RET in retina. Of names that begin at one place the
    longest counts.
    """
    places: dict[int, str] = {}
    for name in names:
        words = name.split()
        if not words:
            continue
        pattern = r"\s+".join(map(re.escape, words))
        before = r"(?<!\w)" if words[0][0].isalnum() else ""
        after = r"(?!\w)" if words[-1][-1].isalnum() else ""
        for number, found in enumerate(
            re.finditer(f"{before}{pattern}{after}", context, re.IGNORECASE)
        ):
            if number == _MOST_FOUND:
                break
            if len(found[0]) > len(places.get(found.start(), "")):
                places[found.start()] = found[0]
    yield from sorted(places.items())
