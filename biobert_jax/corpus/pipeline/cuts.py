"""Large plain files of text or JSON lines, cut into ranges of bytes that hold whole documents.

Nothing but its own range is read by a share. Documents without ids are called by their numbers,
so what comes before a share is counted, in parallel, before the documents are read.
"""

import itertools
import os
import re
from collections.abc import Iterator
from typing import BinaryIO

from biobert_jax import storage
from biobert_jax.corpus.documents import CorpusFileError, Share
from biobert_jax.corpus.readers.compressed import is_gzip, open_stored
from biobert_jax.corpus.readers.lines import ends_lines_at_returns

# Behind a line; for text behind a blank line as well. Blank lines of other white space than
# ASCII's are none here: a document must not be cut, but need not be.
_CUTS = {"jsonl": re.compile(rb"\n"), "text": re.compile(rb"\n[ \t\r\x0b\x0c]*\n")}
_CHUNK_BYTES = 1 << 20
_MOST_WHITE_SPACE = 1 << 12


def byte_shares(path: str, size: int, num_parts: int, format: str) -> list[Share]:
    """About `num_parts` shares of a file, each a range of bytes; none if it is not for cutting.

    A function of the file's content alone. Numbers of lines and documents are yet to be filled in.
    """
    if format not in _CUTS or num_parts < 2:
        return []
    try:
        if not (storage.is_remote(path) or os.path.isfile(path)):
            return []
        if is_gzip(path) or ends_lines_at_returns(path):
            return []
        bounds = [0, *_cuts(path, size, num_parts, _CUTS[format]), size]
    except (OSError, CorpusFileError):  # Whoever reads it says what is wrong.
        return []
    ranges = list(itertools.pairwise(bounds))
    if len(ranges) < 2:
        return []
    return [Share(n, len(ranges), start, stop) for n, (start, stop) in enumerate(ranges)]


def _cuts(path: str, size: int, num_parts: int, pattern: re.Pattern[bytes]) -> Iterator[int]:
    with open_stored(path) as stream:
        for part in range(1, num_parts):
            # From the byte before, so that a cut just there is found.
            begin, end = (n * size // num_parts - 1 for n in (part, part + 1))
            place = _search(stream, begin, end, pattern)
            if place is not None and place < size:
                yield place


def _search(stream: BinaryIO, begin: int, end: int, pattern: re.Pattern[bytes]) -> int | None:
    """The end of the first match that begins in a range of bytes."""
    stream.seek(begin)
    data = b""
    while begin + len(data) < end and (more := stream.read(_CHUNK_BYTES)):
        # A match may begin where the last piece ended.
        begin += max(0, len(data) - _MOST_WHITE_SPACE)
        data = data[-_MOST_WHITE_SPACE:] + more
        if found := pattern.search(data):
            return begin + found.end() if begin + found.start() < end else None
    return None
