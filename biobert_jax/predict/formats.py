"""Tagged documents to files."""

import contextlib
import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from biobert_jax.errors import UserError
from biobert_jax.files import replacing
from biobert_jax.predict.annotations import AnnotatedDocument
from biobert_jax.predict.html import render_page


def to_json_line(document: AnnotatedDocument) -> str:
    """`{"id", "text", "entities": [{"start", "end", "type", "text", "score"}]}`, one line."""
    return json.dumps(dataclasses.asdict(document), ensure_ascii=False) + "\n"


def write_documents(
    paths: Sequence[Path], documents: Iterable[AnnotatedDocument], title: str
) -> None:
    """Writes files in one pass: JSON lines or, for names that end in `.html`, a page.

    They appear when all of them are whole. Only a page needs all documents in memory.

    Raises:
      UserError: a name of another ending.
    """
    for path in paths:
        check_name(path)
    with contextlib.ExitStack() as stack:
        streams = [(path, stack.enter_context(_opened(path))) for path in paths]
        lines = [stream for path, stream in streams if path.suffix != ".html"]
        pages = [stream for path, stream in streams if path.suffix == ".html"]
        held = []
        for document in documents:
            if lines:
                line = to_json_line(document)
                for stream in lines:
                    stream.write(line)
            if pages:
                held.append(document)
        for stream in pages:
            stream.write(render_page(held, title=title))


def check_name(path: Path) -> None:
    """Refuses a name that no format goes by, before any work is done."""
    if path.suffix not in (".jsonl", ".html"):
        raise UserError(f"--output {path}: name it .jsonl or .html, which chooses the format")


def _opened(path: Path):
    return replacing(path, "w", newline="", errors="replace")
