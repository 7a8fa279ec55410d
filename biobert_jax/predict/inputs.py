"""The documents to be tagged, from many files: read once for their faults, then one by one."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from biobert_jax.corpus.documents import CorpusFileError
from biobert_jax.corpus.formats import FORMATS
from biobert_jax.corpus.inputs import STDIN
from biobert_jax.corpus.readers.compressed import BUFFER_BYTES, open_bytes
from biobert_jax.corpus.readers.jsonl import parse_record
from biobert_jax.corpus.readers.lines import BadLine, lines_and_faults, read_text
from biobert_jax.corpus.readers.sniff import Expected
from biobert_jax.errors import UserError
from biobert_jax.files import is_special
from biobert_jax.predict.annotations import RawDocument

INPUT_FORMATS = ("text", "jsonl")

_MAX_NAMED = 10  # faults and repeated ids that are told one by one
# Ids that later ones are compared with: some 150 MB.
_MAX_IDS = 1_000_000


@dataclass
class Reading:
    """What came up while files were read.

    Attributes:
      faults: files and lines that were left out, one line each.
      left_out: how many they are in all.
      repeated: documents whose id an earlier one has.
    """

    faults: list[str] = field(default_factory=list)
    left_out: int = 0
    repeated: int = 0

    def leave_out(self, fault: UserError) -> None:
        """Notes a fault."""
        self.left_out += 1
        if self.left_out <= _MAX_NAMED:
            self.faults.append(str(fault))


def read_documents(
    paths: Sequence[str],
    format: str = "",
    *,
    on_error: str = "skip",
    say: Callable[[str], None] = lambda line: None,
    reading: Reading | None = None,
) -> Iterator[RawDocument]:
    """Documents of all files, in order; their texts are kept to the code point.

    A file that cannot be read is left out as a whole, of JSON lines each line that is bad. Two
    documents with one id are both yielded, which is said.

    Args:
      paths: files, plain or gzip, as `corpus.inputs.expand_inputs` gives them.
      format: one of `INPUT_FORMATS`; "" goes by each file's name.
      on_error: "skip", or "fail" to raise at the first fault.
      say: is told of repeated ids.
      reading: brought up to date as files are read.

    Raises:
      UserError: a fault, with `on_error` "fail".
    """
    reading = Reading() if reading is None else reading

    def handle(fault: UserError) -> None:
        if on_error == "fail":
            raise fault
        reading.leave_out(fault)

    places: dict[int, tuple[int, int]] = {}  # of ids, by their hashes: number of file and line
    for file, (path, name) in enumerate(zip(paths, document_names(paths), strict=True)):
        try:
            for line, document in read_file(path, format, name=name, bad_line=handle):
                first = places.get(hash(document.id))
                if first is not None:
                    reading.repeated += 1
                    if reading.repeated <= _MAX_NAMED:
                        before = _place(paths[first[0]], first[1])
                        say(
                            f"warning: {_place(path, line)}: the id {document.id!r} stands at "
                            f"{before} already"
                        )
                elif len(places) < _MAX_IDS:
                    places[hash(document.id)] = (file, line)
                    if len(places) == _MAX_IDS:
                        say(f"from here on ids are compared with those of {_MAX_IDS:,} documents")
                yield document
        except CorpusFileError as error:
            handle(error)


def read_file(
    path: str | os.PathLike,
    format: str = "",
    *,
    name: str = "",
    bad_line: Callable[[UserError], None] | None = None,
) -> Iterator[tuple[int, RawDocument]]:
    """Yields (line, document): the whole of a text file as line 0, or each line of JSON lines.

    Args:
      format: one of `INPUT_FORMATS`; "" goes by the name (`.jsonl`, `.jsonl.gz`, else text).
      name: what the ids of documents without one are made of; "": the file's name.
      bad_line: is given the fault of a line that is no JSON object with a text, which is then
        left out; None: it is raised.

    Raises:
      CorpusFileError: the file cannot be read or is of another format; nothing was yielded then,
        but from standard input or a pipe, which can be read once only.
    """
    path = os.fspath(path)
    name = name or document_names([path])[0]
    expected = Expected(format or format_of(path), "--input_format", INPUT_FORMATS)
    if expected.format == "text":
        yield 0, RawDocument(name, read_text(path, expected=expected))
        return
    if not is_special(path):
        # A fault in the packing shows at the end, and what came before it may be wrong.
        with open_bytes(path, expected=expected) as stream:
            while stream.read(BUFFER_BYTES):
                pass
    for number, line in lines_and_faults(path, expected=expected):
        try:
            if isinstance(line, BadLine):
                raise ValueError(line.reason)
            if not line or line.isspace():
                continue
            id_, text = parse_record(line)
        except ValueError as error:
            fault = CorpusFileError(path, str(number), str(error))
            if bad_line is None:
                raise fault from error
            bad_line(fault)
            continue
        yield number, RawDocument(id_ or f"{name}:{number}", text)


def format_of(path: str | os.PathLike) -> str:
    """The format that a file's name says."""
    name = Path(path).name.removesuffix(".gz")
    return "jsonl" if name.endswith(FORMATS["jsonl"].suffixes) else "text"


def document_names(paths: Sequence[str]) -> list[str]:
    """What the ids of each file's documents are made of: its name, as long as that is its alone.

    Where two files have one name, all are called by their paths below the common folder.
    """
    files = {path: Path(os.path.abspath(path)) for path in paths if path != STDIN}
    names = {path: file.name for path, file in files.items()}
    if len(set(names.values())) < len(names):
        common = os.path.commonpath([file.parent for file in files.values()])
        names = {path: file.relative_to(common).as_posix() for path, file in files.items()}
    # A name need not be UTF-8, which ids are.
    return [os.fsencode(names.get(path, "stdin")).decode("utf-8", "replace") for path in paths]


def _place(path: str, line: int) -> str:
    return f"{path}:{line}" if line else path
