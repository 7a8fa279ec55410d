"""Raw documents from files, and tagged documents to files."""

import dataclasses
import gzip
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from biobert_jax.errors import UserError
from biobert_jax.files import replacing
from biobert_jax.predict.annotations import AnnotatedDocument
from biobert_jax.predict.html import render_page
from biobert_jax.predict.tagger import RawDocument

INPUT_FORMATS = ("text", "jsonl")


def read_raw(path: str | os.PathLike, format: str = "") -> Iterator[RawDocument]:
    """Documents of a file: the whole of a text file, or a line of JSON lines (`id`, `text`) each.

    The text is kept to the code point, line ends included, so that offsets count in it.

    Args:
      format: one of `INPUT_FORMATS`; "" goes by the name (`.jsonl`, `.jsonl.gz`, else text).

    Raises:
      UserError: a file that is missing, not UTF-8, or not of the format (the line is named).
    """
    path = Path(path)
    names = path.name.removesuffix(".gz")
    format = format or ("jsonl" if names.endswith((".jsonl", ".ndjson")) else "text")
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        text = data.decode("utf-8")
    except FileNotFoundError:
        raise UserError(f"--input {path}: no such file") from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"--input {path}: not UTF-8 at byte {error.start}: convert it: iconv -f latin1 -t utf-8"
        ) from error
    except (EOFError, zlib.error, OSError) as error:
        raise UserError(f"--input {path}: cannot be read ({error})") from error
    if format == "text":
        yield RawDocument(path.name, text)
        return
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            content = values["text"]
            if not isinstance(content, str):
                raise TypeError("text is not a string")
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f'--input {path}:{number}: not a JSON object with a string "text" ({error})'
            ) from error
        yield RawDocument(str(values.get("id", f"{path.name}:{number}")), content)


def to_json_line(document: AnnotatedDocument) -> str:
    """`{"id", "text", "entities": [{"start", "end", "type", "text", "score"}]}`, one line."""
    return json.dumps(dataclasses.asdict(document), ensure_ascii=False) + "\n"


def write_documents(path: Path, documents: Iterable[AnnotatedDocument], title: str) -> None:
    """Writes JSON lines or, for a name that ends in `.html`, a page, whole or not at all.

    Raises:
      UserError: a name of another ending.
    """
    check_output(path)
    with replacing(path, "w", newline="", errors="replace") as stream:
        if path.suffix == ".html":
            stream.write(render_page(documents, title=title))
        else:
            for document in documents:
                stream.write(to_json_line(document))


class Counting:
    """Passes documents on and counts them and their entities, the first time they are gone over."""

    def __init__(self, documents: Iterable[AnnotatedDocument]):
        self._documents = documents
        self.documents = self.entities = 0

    def __iter__(self) -> Iterator[AnnotatedDocument]:
        documents = entities = 0
        for document in self._documents:
            documents += 1
            entities += len(document.entities)
            yield document
        self.documents, self.entities = documents, entities


def check_output(path: Path) -> None:
    """Refuses a name that no format goes by, before any work is done."""
    if path.suffix not in (".jsonl", ".html"):
        raise UserError(f"--output {path}: name it .jsonl or .html, which chooses the format")
