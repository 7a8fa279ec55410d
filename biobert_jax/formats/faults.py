"""What readers of annotated data do about what is wrong in a file: stop at it, or collect it.

Every reader takes `fault`, which it calls with what cannot be used, and `note`, which it calls
with what it mended or passed over. Training stops at the first fault, and tells the notes;
`biobert validate` lists both.
"""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from biobert_jax.corpus.readers.lines import read_text
from biobert_jax.corpus.readers.sniff import Expected
from biobert_jax.errors import UserError

# Called with where (file:line, or file and key) and what is wrong there and what to do.
Fault = Callable[[str, str], None]
# Packed files are refused with what unpacks them; what else it may be, a reader knows better.
ANYTHING = Expected("", option="", formats=())
# Of the lines of a file so many are shown.
SHOWN = 5


def refuse(where: str, what: str) -> None:
    """Stops at a fault. Raises UserError always."""
    raise UserError(f"{where}: {what}")


def ignore(where: str, what: str) -> None:
    """Says nothing of it."""


class Lines:
    """What readers say of files: a line once, whatever how often its file is read."""

    def __init__(self) -> None:
        self._lines: dict[str, dict[str, None]] = defaultdict(dict)

    def of(self, path: str | os.PathLike[str]) -> Fault:
        """What the reader of a file is given as its `fault` or `note`."""
        own = self._lines[str(path)]
        return lambda where, what: own.setdefault(f"{where}: {what}")

    def shown(self) -> list[str]:
        """The first `SHOWN` lines of each file, and how many more there are."""
        shown = []
        for path, lines in self._lines.items():
            shown += list(lines)[:SHOWN]
            if len(lines) > SHOWN:
                shown.append(f"{path}: {len(lines) - SHOWN:,} more such")
        return shown


def left_out(kinds: Iterable[str], noun: str) -> str:
    """How many of each kind there are, as in "2 list, 1 summary questions: left out"."""
    counts = Counter(kinds)
    shown = ", ".join(f"{count:,} {kind}" for kind, count in sorted(counts.items()))
    return f"{shown} {noun}{'s'[: counts.total() != 1]}: left out"


class Ids:
    """The ids of a file: none may stand twice, since predictions are found by them."""

    def __init__(self, fault: Fault):
        self._fault = fault
        self._seen: dict[str, str] = {}

    def are_new(self, id: str, where: str) -> bool:
        """Whether an id is the file's first of its name; else it is a fault."""
        if id in self._seen:
            self._fault(where, f"id {id!r} stands at {self._seen[id]} already: make ids unique")
            return False
        self._seen[id] = where
        return True


def check_is_file(path: str | os.PathLike[str]) -> None:
    """Raises UserError where there is no such file."""
    if not Path(path).exists():
        raise UserError(f"{path}: no such file; check the path")


def read_json(path: str | os.PathLike[str]) -> Any:
    """The value of a JSON file, plain or gzip.

    Raises:
      UserError: it is absent, unreadable or no JSON; the message has the line.
    """
    check_is_file(path)
    return parse_json(read_text(path, expected=ANYTHING), f"{path}", lines=True)


def parse_json(text: str, where: str, lines: bool = False) -> Any:
    """The value of a JSON text.

    Args:
      lines: add the line of an error to `where`.

    Raises:
      UserError: it is no JSON.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise UserError(f"{where}: not JSON: nested too deep") from error
    except json.JSONDecodeError as error:
        place = f":{error.lineno}" if lines else ""
        raise UserError(
            f"{where}{place}: not JSON at column {error.colno}: {error.msg}: it is damaged, cut "
            "off or of another format"
        ) from error


def is_text(value: Any) -> bool:
    """Whether it is a string that is not blank and can be written as UTF-8."""
    if not isinstance(value, str) or not value.strip():
        return False
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
