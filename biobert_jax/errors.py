"""The errors that a user can act on, and exit codes; everything else that escapes is a bug.

| code | a command that |
|---|---|
| 0 | did what it was asked |
| 1 | met an error, which it said in one line |
| 2 | was called wrongly: an unknown verb or option, one without its value or with none it knows |
| 75 | the watchdog ended, since it stood still; the same command goes on (EX_TEMPFAIL) |
| 130, 143 | SIGINT or SIGTERM ended, training after saving; the same command goes on |
| 141 | found that the reader of its output had gone (`biobert ... | head`) |

A bug shows Python's traceback, and has code 1. With BIOBERT_TRACEBACK=1 in the environment every
error shows its traceback above its line.
"""

import difflib
import errno
from collections.abc import Iterable
from types import TracebackType

EXIT_STUCK = 75
EXIT_BROKEN_PIPE = 141

# What these raise tells of a file that they cannot read or write.
_LIBRARIES = (
    *("safetensors", "safetensors_rust", "orbax", "tensorstore", "lxml", "json", "zipfile", "zlib"),
    *("gzip", "lzma", "tokenizers", "sentencepiece", "tensorflow"),
)


class UserError(Exception):
    """Says in one line what is wrong, where (file, key, position) and what to do.

    `biobert` prints it after "error: " and exits with `exit_code`, without a traceback.
    """

    exit_code = 1


class UsageError(UserError):
    """The command line itself is wrong, whatever the files hold."""

    exit_code = 2


class Interrupted(UserError):
    """A run that a signal ended after saving; `exit_code` is 128 + the signal's number."""

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code


def printable(text: str) -> str:
    """Text for a terminal: control characters and lone surrogates are written out, as \\x1b.

    Names of files and words of documents come from others: a raw escape sequence in one would be
    an order to the terminal.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def nearest(word: str, known: Iterable[str]) -> str:
    """The known word that a mistyped one is most like; "" where none is like it."""
    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=0.5)), "")


def one_line(error: BaseException, *, lower: str = "") -> str | None:
    """What to say of an error that is no UserError; None of a bug.

    Args:
      lower: what needs less memory, said where there is not enough.
    """
    text = " ".join(str(error).split())
    if isinstance(error, OSError):
        return _system_error(error)
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text:
        detail = text.removeprefix("RESOURCE_EXHAUSTED: ")[:200]
        return f"out of memory ({detail or 'of this machine'})" + (f": {lower}" if lower else "")
    if isinstance(error, RecursionError):
        return f"nested too deeply to be read ({text})"
    if isinstance(error, UnicodeEncodeError):
        return (
            f"the output's encoding, {error.encoding}, lacks a character ({text}): set LANG=C.UTF-8"
        )
    if text == "embedded null byte" or text.startswith("Symlink loop from "):
        return f"not the name of a file ({text})"
    if text.startswith("Unable to initialize backend"):
        return f"{text[:300]}: JAX_PLATFORMS=cpu takes this machine's CPU"
    if library := _library(error):
        return (
            f"{library}: {text[:300] or type(error).__name__} (a damaged file, or one of another "
            "kind? BIOBERT_TRACEBACK=1 shows where)"
        )
    return None


def _system_error(error: OSError) -> str:
    names = " -> ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"no space left on the disk ({names or 'writing'})"
    reason = error.strerror or " ".join(str(error).split()) or type(error).__name__
    return f"{names}: {reason}" if names else reason


def _library(error: BaseException) -> str:
    """The library that raised an error about a file; "" if none did."""
    # These say that a library was called wrongly, which is a bug of ours.
    if isinstance(error, TypeError | AttributeError | NameError | AssertionError):
        return ""
    modules = [type(error).__module__, _innermost_module(error.__traceback__)]
    roots = [module.partition(".")[0] for module in modules]
    return next((root.removesuffix("_rust") for root in roots if root in _LIBRARIES), "")


def _innermost_module(trace: TracebackType | None) -> str:
    name = ""
    while trace is not None:
        name = str(trace.tb_frame.f_globals.get("__name__", ""))
        trace = trace.tb_next
    return name
