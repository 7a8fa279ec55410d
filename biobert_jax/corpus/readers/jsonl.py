"""JSON lines: an object `{"id": ..., "text": ...}` a line; other keys are ignored."""

import json
import os
import re
from collections.abc import Iterator

from etils import epath

from biobert_jax.corpus.documents import (
    CorpusFileError,
    Document,
    ReadCounts,
    ReadOptions,
    Share,
    clean_passage,
)
from biobert_jax.corpus.readers.defaults import DEFAULT_OPTIONS, WHOLE_FILE
from biobert_jax.corpus.readers.lines import BadLine, lines_and_faults
from biobert_jax.corpus.readers.sniff import Expected

# A file with more, in one share, is a bad file: of another format or encoding, or cut up.
MAX_BAD_LINES = 100

_SURROGATE = re.compile("[\ud800-\udfff]")


def read_jsonl(
    path: epath.PathLike,
    *,
    options: ReadOptions = DEFAULT_OPTIONS,
    share: Share = WHOLE_FILE,
    counts: ReadCounts | None = None,
) -> Iterator[Document]:
    """Yields a document per line; its passages are the non-blank lines of `text`.

    A line without `id` is called `<file name>:<line>`. Blank lines are passed over; objects whose
    text is blank are counted as empty. A line that is no such object (see `parse_record`), not
    UTF-8 or too long is named in `counts.failed`, as `path:line`, and the others are read.

    Args:
      path: a local or gs:// file, plain or gzip.
      options: none applies.
      share: the lines to read, blank ones counted too. The others are not parsed, so a bad line
        is noticed by the share that holds it.
      counts: brought up to date as the file is read.

    Raises:
      CorpusFileError: the file cannot be read, more than `MAX_BAD_LINES` are bad, or all are.
    """
    counts = ReadCounts() if counts is None else counts
    file = epath.Path(path).name
    bad: list[tuple[int, str]] = []
    any_good = False
    lines = lines_and_faults(
        path,
        counts,
        expected=Expected("jsonl"),
        start=share.start,
        stop=share.stop,
        first_number=share.lines + 1,
    )
    for number, line in lines:
        if not share.holds(number - 1) or line == "":
            continue
        try:
            if isinstance(line, BadLine):
                raise ValueError(line.reason)
            if line.isspace():
                continue
            id_, text = parse_record(line)
        except ValueError as error:
            bad.append((number, str(error)))
            counts.failed[f"{os.fspath(path)}:{number}"] = str(error)
            if len(bad) > MAX_BAD_LINES:
                break
            continue
        any_good = True
        passages = tuple(p for part in text.split("\n") if (p := clean_passage(part)))
        if not passages:
            counts.empty += 1
            continue
        counts.documents += 1
        yield Document(id_ or f"{file}:{number}", passages)
    if len(bad) > MAX_BAD_LINES or (bad and not any_good and share == WHOLE_FILE):
        # The file is not what it is taken for; it is named, and not every line of it.
        for number, _ in bad:
            del counts.failed[f"{os.fspath(path)}:{number}"]
        number, reason = bad[0]
        count = f"more than {MAX_BAD_LINES}" if len(bad) > MAX_BAD_LINES else len(bad)
        more = f" (the first of {count} bad lines)" if bad[1:] else ""
        raise CorpusFileError(os.fspath(path), str(number), reason + more)


def parse_record(line: str) -> tuple[str, str]:
    """The id and the text of a JSON line: an object with a string "text" and perhaps an "id".

    Other keys are ignored. Half a surrogate pair, which no file can hold, becomes U+FFFD.

    Returns:
      The id, a string or a whole number there, without white space at its ends and with single
      spaces inside, "" where there is none or null; and the text, to the code point.

    Raises:
      ValueError: the line is no such object, with the reason.
    """
    try:
        record = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} (column {error.colno})") from error
    except RecursionError as error:
        raise ValueError("not usable JSON: nested too deeply") from error
    except ValueError as error:  # A number too long.
        raise ValueError(f"not usable JSON: {error}") from error
    if not isinstance(record, dict):
        raise ValueError(f'expected an object with "text", found {_kind(record)}')
    if "text" not in record:
        raise ValueError('the object has no "text"')
    text, id_ = record["text"], record.get("id")
    if not isinstance(text, str):
        raise ValueError(f'"text" must be a string, not {_kind(text)}')
    if id_ is None:
        id_ = ""
    elif isinstance(id_, bool) or not isinstance(id_, str | int):
        raise ValueError(f'"id" must be a string or a whole number, not {_kind(id_)}')
    if "\\u" in line:  # Only an escape can bring in half a pair, which UTF-8 cannot write.
        text = _SURROGATE.sub("\ufffd", text)
        id_ = _SURROGATE.sub("\ufffd", str(id_))
    return clean_passage(str(id_)), text


def _kind(value: object) -> str:
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string"}
    return names.get(type(value), "an array" if isinstance(value, list) else "an object")
