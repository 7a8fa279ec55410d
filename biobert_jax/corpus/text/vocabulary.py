"""A bounded sample of a corpus, drawn by hashes, to train a vocabulary on and to judge it by.

The sample depends on the input files and the seed alone, not on the order of the documents. It is
spread over all input and takes the same memory whatever the corpus's size.
"""

import hashlib
import heapq
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from biobert_jax.corpus.documents import ReadCounts, ReadOptions
from biobert_jax.corpus.readers import open_documents
from biobert_jax.corpus.text.fingerprints import is_held_out
from biobert_jax.errors import UserError

# Files are read, in the order of their names' hashes, until there are this many and they held
# this many times the text that is wanted: a uniform choice, since 1,200 files of PubMed take
# hours to read and say little more than 30.
ENOUGH_FILES = 8
ENOUGH_TEXT = 4
# The held-out sample's budget, and the most that one document may take, as a part of the sample's.
HELD_OUT_PART = 20


@dataclass(frozen=True)
class Sample:
    """Documents to train on, and others to judge by; both as UTF-8, a passage a line.

    Attributes:
      documents, held_out: in the order of their hashes.
      num_files: files read, of `len(inputs)`.
      num_documents, num_bytes: what they held, the held-out share included.
      failed: records and members of archives that could not be read, to the reason.
    """

    documents: tuple[bytes, ...]
    held_out: tuple[bytes, ...]
    num_files: int
    num_documents: int
    num_bytes: int
    failed: dict[str, str] = field(default_factory=dict)


def draw_sample(
    inputs: Sequence[str],
    format: str,
    *,
    options: ReadOptions | None = None,
    sample_bytes: int,
    held_out: float,
    seed: int,
    progress: Callable[[int, int], None] = lambda files, text_bytes: None,
) -> Sample:
    """Draws the documents to train on, and of the held-out ones a twentieth of that.

    A document is held out by the hash of its id alone, as in `biobert prepare`: what a larger
    share holds out contains what a smaller one does, so that a vocabulary's training text has
    none of the documents that `prepare --held_out` with a share up to this one evaluates on.

    Args:
      inputs: files of `format`, read with `options`.
      sample_bytes: the text to keep, in bytes of UTF-8; a smaller corpus is taken whole.
      held_out: share of documents never trained on.
      progress: called with files and bytes of text so far, after every file and some documents.

    Raises:
      UserError: no text to train on.
      CorpusFileError: a bad file.
    """
    options = options or ReadOptions()
    documents = _SmallestHashes(sample_bytes)
    judges = _SmallestHashes(sample_bytes // HELD_OUT_PART)
    failed: dict[str, str] = {}
    num_files = num_documents = num_bytes = 0
    for path in sorted(inputs, key=lambda path: (_hash(seed, os.path.basename(path)), path)):
        counts = ReadCounts()
        for document in open_documents(path, format, options=options, counts=counts):
            text = "\n".join(document.passages).encode("utf-8", "replace")
            num_documents += 1
            num_bytes += len(text)
            side = judges if is_held_out(document.id, held_out) else documents
            side.add(_hash(seed, document.id, text), text)
            if num_documents % 1000 == 0:
                progress(num_files, num_bytes)
        failed |= counts.failed
        num_files += 1
        progress(num_files, num_bytes)
        if num_files >= ENOUGH_FILES and num_bytes >= ENOUGH_TEXT * sample_bytes:
            break
    sample = Sample(documents.texts(), judges.texts(), num_files, num_documents, num_bytes, failed)
    if not sample.documents:
        kept_out = ": its documents are all held out" if sample.held_out else ""
        raise UserError(f"--input holds no text to train a vocabulary on{kept_out}")
    return sample


def passages(documents: Iterable[bytes]) -> Iterator[str]:
    """The passages of a sample's documents."""
    for document in documents:
        yield from document.decode("utf-8").split("\n")


class _SmallestHashes:
    """The documents of the smallest hashes whose text fits into a budget, whatever their order.

    Once a document has been put out, none with a larger hash is taken in, even if it would fit.
    """

    def __init__(self, budget: int):
        self._budget = budget
        self._most = max(1, budget // HELD_OUT_PART)
        self._limit = 1 << 64
        self._bytes = 0
        self._heap: list[tuple[int, bytes]] = []

    def add(self, hash: int, text: bytes) -> None:
        if hash >= self._limit:
            return
        if len(text) > self._most:
            text = text[: self._most].decode("utf-8", "ignore").encode("utf-8")
        heapq.heappush(self._heap, (-hash, text))
        self._bytes += len(text)
        while self._bytes > self._budget:
            self._limit = -self._heap[0][0]
            while self._heap and -self._heap[0][0] >= self._limit:
                self._bytes -= len(heapq.heappop(self._heap)[1])

    def texts(self) -> tuple[bytes, ...]:
        ordered = sorted(self._heap, key=lambda item: (-item[0], item[1]))
        return tuple(text for _, text in ordered)


def _hash(seed: int, *parts: str | bytes) -> int:
    digest = hashlib.blake2b(str(seed).encode(), digest_size=8)
    for part in parts:
        digest.update(b"\0")
        digest.update(part if isinstance(part, bytes) else part.encode("utf-8", "replace"))
    return int.from_bytes(digest.digest(), "little")
