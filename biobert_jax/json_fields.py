"""JSON objects in files, read in one way everywhere, and checked field by field where it counts.

Prepared sets and checkpoints are what people send each other: a manifest may be damaged, of another
program, or meant to harm. What passes these checks can be used without looking again.
"""

import json
import re
import reprlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from biobert_jax.errors import UserError


class Kind(NamedTuple):
    """What a field must be, in words, and whether a value is."""

    words: str
    holds: Callable[[Any], bool]


def read_object(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds; a byte order mark is tolerated.

    Raises:
      ValueError: it holds something else, or is no JSON in UTF-8; the file is not named.
      OSError: it cannot be read.
    """
    return parse_object(path.read_bytes())


def parse_object(content: bytes) -> dict[str, Any]:
    """`read_object` of a file's content."""
    try:
        values = json.loads(content.decode("utf-8-sig"))
    except RecursionError as error:
        raise ValueError("not JSON: nested too deep") from error
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"not a JSON object but a {type(values).__name__}")
    return values


def read_optional_object(
    path: Path, remedy: str = "it is damaged or cut off"
) -> dict[str, Any] | None:
    """As `read_object`, for a file that the user may have put there; None where there is none.

    Args:
      remedy: what ends an error.

    Raises:
      UserError: it cannot be read, or is no JSON object; the file is named.
    """
    try:
        return read_object(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path}: {error}: {remedy}") from error


def check_fields(values: Any, kinds: Mapping[str, Kind], place: str = "") -> None:
    """Compares an object's fields with what they must be; others may stand beside them.

    Args:
      place: where the object stands, to be named in errors ("tokenizer").

    Raises:
      ValueError: a field that is missing, or is something else.
    """
    if not isinstance(values, dict):
        raise ValueError(f"{place} is {reprlib.repr(values)}, not an object")
    prefix = f"{place}." if place else ""
    for name, kind in kinds.items():
        if name not in values:
            raise ValueError(f"{prefix}{name} is missing")
        if not kind.holds(values[name]):
            raise ValueError(f"{prefix}{name} is {reprlib.repr(values[name])}, not {kind.words}")


def integer(low: int, high: int = 2**63 - 1) -> Kind:
    """An integer from `low` to `high`."""
    limit = f" to {high:,}" if high < 2**63 - 1 else " on"
    return Kind(
        f"an integer from {low:,}{limit}", lambda value: type(value) is int and low <= value <= high
    )


def one_of(*known: str) -> Kind:
    """One of some words."""
    return Kind(f"one of {', '.join(known)}", lambda value: value in known)


def _is_plain_name(value: Any) -> bool:
    # Nothing that is taken for a folder, leads out of one, or is hidden; nothing that a terminal
    # takes for an order.
    return (
        isinstance(value, str)
        and 0 < len(value.encode("utf-8", "replace")) <= 255
        and value.isprintable()
        and not value.startswith(".")
        and Path(value).name == value
    )


def _are(value: Any, kind: Callable[[Any], bool]) -> bool:
    return isinstance(value, dict) and all(kind(entry) for entry in value.values())


COUNT = integer(0)
SHARE = Kind("a number from 0 to 1", lambda v: type(v) in (int, float) and 0 <= v <= 1)
FLAG = Kind("true or false", lambda v: type(v) is bool)
TEXT = Kind("a string", lambda v: isinstance(v, str))
WORD = Kind("a word", lambda v: isinstance(v, str) and v.isidentifier())
OBJECT = Kind("an object", lambda v: isinstance(v, dict))
LIST = Kind("a list", lambda v: isinstance(v, list))
COUNTS = Kind("an object of numbers from 0 on", lambda v: _are(v, COUNT.holds))
TEXTS = Kind("an object of strings", lambda v: _are(v, TEXT.holds))
SHA256 = Kind(
    "a SHA-256 in hexadecimal",
    lambda v: isinstance(v, str) and re.fullmatch("[0-9a-f]{64}", v) is not None,
)
FILE_NAME = Kind("the name of a file in the same folder", _is_plain_name)
HASHES = Kind(
    "an object of file names and their SHA-256",
    lambda v: _are(v, SHA256.holds) and all(map(_is_plain_name, v)),
)
