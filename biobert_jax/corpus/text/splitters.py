"""Sentence splitters by name, ours and others': what --sentence_splitter takes.

A splitter is a function from a text to the (start, end) spans of its sentences: code points, in
order, none empty, none overlapping. Ours and the libraries' also end a sentence at every line
break, leave no white space at either end of a span, and lose no other character.
"""

import hashlib
import importlib
import inspect
import re
import reprlib
import sys
import traceback
from collections.abc import Callable, Iterable
from functools import partial
from importlib import metadata
from pathlib import Path

from biobert_jax.corpus.text.sentences import RULES_VERSION, split_sentences
from biobert_jax.errors import UserError

Splitter = Callable[[str], list[tuple[int, int]]]

LIBRARIES = ("blingfire", "syntok", "pysbd")
NAMES = ("rules", *LIBRARIES, "none")

_SURROGATES = re.compile("[\ud800-\udfff]")


def load_splitter(name: str = "rules") -> Splitter:
    """Returns the splitter of that name.

    "rules" is our own; "blingfire", "syntok" and "pysbd" need the library of that name; "none"
    keeps the text as one sentence; "package.module:function" imports the function, whose every
    answer is checked. Load it in the process that uses it: not all can be pickled.

    Raises UserError if there is no such splitter, or its library is not installed; a splitter of
    the form "package.module:function" raises it when the function raises an error, or when its
    answer is not a list of spans.
    """
    if name == "rules":
        return split_sentences
    if name == "none":
        return _whole
    if name in LIBRARIES:
        ends = {"blingfire": _blingfire, "syntok": _syntok, "pysbd": _pysbd}[name]()
        return partial(_split_lines, ends)
    _, function = _import_function(name)
    return partial(_checked, name, function)


def splitter_id(name: str) -> str:
    """The splitter's name and version, for the fingerprint of what was made with it.

    The version is the library's; of "package.module:function" it is a digest of the module's
    source (its file where it is compiled), so that an edit shows. Raises UserError as
    `load_splitter` does.
    """
    if name == "rules":
        return f"rules {RULES_VERSION}"
    if name == "none":
        return "none"
    if name in LIBRARIES:
        try:
            return f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            raise _not_installed(name) from None
    module, _ = _import_function(name)
    file = getattr(module, "__file__", None)
    source = (inspect.getsourcefile(module) or file) if file else None
    # What has no file is a part of Python.
    content = Path(source).read_bytes() if source else sys.version.encode()
    return f"{name} {hashlib.sha256(content).hexdigest()[:12]}"


def _whole(text: str) -> list[tuple[int, int]]:
    return _spans_between(text, 0, len(text), ())


def _split_lines(ends: Callable[[str], Iterable[int]], text: str) -> list[tuple[int, int]]:
    """Spans from a function that gives, for a line, where its sentences end.

    Only the ends are taken from a library: so that a span that it drops or shifts (pysbd does)
    costs a boundary, and not text.
    """
    spans = []
    start = 0
    for line in text.split("\n"):
        if line and not line.isspace():
            # The libraries encode to UTF-8, which takes no lone surrogates.
            found = ends(_SURROGATES.sub("\ufffd", line))
            spans += _spans_between(text, start, start + len(line), found)
        start += len(line) + 1
    return spans


def _spans_between(text: str, start: int, stop: int, ends: Iterable[int]) -> list[tuple[int, int]]:
    """Cuts text[start:stop] at the ends (counted from start), white space trimmed."""
    spans = []
    first = start
    for end in (*(start + end for end in ends), stop):
        part = text[first:end]
        stripped = part.strip()
        if stripped:
            first += len(part) - len(part.lstrip())
            spans.append((first, first + len(stripped)))
        first = max(first, end)
    return spans


def _blingfire() -> Callable[[str], Iterable[int]]:
    library = _import_library("blingfire")

    def ends(line: str) -> list[int]:
        # Its own offsets are counted byte by byte in Python, ten times slower than the splitting;
        # finding the sentences again is not. It keeps their characters as they are.
        found = []
        position = 0
        for sentence in library.text_to_sentences(line).split("\n"):
            position = line.find(sentence, position)
            if position < 0:  # a control character that it changed
                return [end for _, end in library.text_to_sentences_and_offsets(line)[1]]
            position += len(sentence)
            found.append(position)
        return found

    return ends


def _syntok() -> Callable[[str], Iterable[int]]:
    library = _import_library("syntok.segmenter")

    def ends(line: str) -> list[int]:
        return [
            sentence[-1].offset + len(sentence[-1].value)
            for paragraph in library.analyze(line)
            for sentence in paragraph
        ]

    return ends


def _pysbd() -> Callable[[str], Iterable[int]]:
    segmenter = _import_library("pysbd").Segmenter(language="en", clean=False, char_span=True)
    return lambda line: sorted(span.end for span in segmenter.segment(line))


def _checked(name: str, function: Splitter, text: str) -> list[tuple[int, int]]:
    """The function's answer, or a UserError that says what is wrong with it."""

    def wrong(what: str) -> UserError:
        return UserError(
            f"sentence splitter {name!r}: {what}; it must return a list of (start, end) pairs "
            f"of code points, in order, within the text"
        )

    try:
        spans = function(text)
    except Exception as error:
        # The traceback is not shown: what it ends with is, unless that is the call above.
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = "" if frame.filename == __file__ else f" at {frame.filename}:{frame.lineno}"
        raise wrong(f"raised {_one_line(error)}{where}") from error
    if not isinstance(spans, list | tuple):
        raise wrong(f"returned {type(spans).__name__}")
    end_before = 0
    for number, span in enumerate(spans):
        if (
            not isinstance(span, list | tuple)
            or len(span) != 2
            or not all(isinstance(x, int) for x in span)
        ):
            raise wrong(f"span {number} is {' '.join(reprlib.repr(span).split())}")
        start, end = span
        if not end_before <= start < end <= len(text):
            raise wrong(
                f"span {number} is {(start, end)} where the one before ends at {end_before} "
                f"and the text at {len(text)}"
            )
        end_before = end
    return [(start, end) for start, end in spans]


def _import_function(name: str):
    """Returns the module and the function of "package.module:function"."""
    module_name, colon, function_name = name.partition(":")
    if not (module_name and colon and function_name):
        raise UserError(
            f"sentence splitter {name!r} is not known; take one of {', '.join(NAMES)}, or "
            f"package.module:function"
        )
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UserError(
            f"sentence splitter {name!r}: cannot import {module_name} ({error}); is its folder "
            f"on PYTHONPATH?"
        ) from error
    except Exception as error:  # of the module itself, which anyone may have written
        raise UserError(
            f"sentence splitter {name!r}: importing {module_name} raised {_one_line(error)}"
        ) from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise UserError(
            f"sentence splitter {name!r}: {module_name} has no function {function_name}"
        )
    return module, function


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _import_library(module: str):
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise _not_installed(module.partition(".")[0]) from error


def _not_installed(library: str) -> UserError:
    # blingfire imports numpy without requiring it; we have it anyway.
    return UserError(f"sentence splitter {library!r} needs the library: pip install {library}")
