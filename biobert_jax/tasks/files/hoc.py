"""Hallmarks of Cancer (Baker et al. 2016): a file of sentences and one of labels an abstract.

Labels stand in a line: `<` before each sentence's, ` AND` between labels of one, `--` between the
levels of each. The ten hallmarks are the first level, `HALLMARKS`. The task is per abstract, as in
BLUE and BLURB (all hallmarks of its sentences), or per sentence.
"""

import os
import re
from pathlib import Path

from biobert_jax.corpus.readers.lines import read_lines
from biobert_jax.errors import UserError, nearest
from biobert_jax.formats.faults import ANYTHING
from biobert_jax.tasks.files.examples import TextExample

HALLMARKS = (
    "Activating invasion and metastasis",
    "Avoiding immune destruction",
    "Cellular energetics",
    "Enabling replicative immortality",
    "Evading growth suppressors",
    "Genomic instability and mutation",
    "Inducing angiogenesis",
    "Resisting cell death",
    "Sustaining proliferative signaling",
    "Tumor promoting inflammation",
)
_AND = re.compile(r"\bAND(?=\s*[A-Z])")


def read_hoc(folder: str | os.PathLike[str], *, sentences: bool = False) -> list[TextExample]:
    """Reads a folder with `text/ID.txt` and `labels/ID.txt`.

    Args:
      sentences: an example a sentence (id `ID_3`, document `ID`) instead of one an abstract.

    Raises:
      UserError: a folder or a file is missing; there are more labels than sentences; a label is
        none of the ten. The message names the file.
    """
    folder = Path(folder)
    texts = sorted((folder / "text").glob("*.txt"))
    if not texts:
        raise UserError(f"{folder}: no text/*.txt: give the folder with text/ and labels/")
    examples = []
    for text in texts:
        labels = folder / "labels" / text.name
        if not labels.is_file():
            raise UserError(f"{labels}: no such file, but {text} is there")
        own = [line.strip() for _, line in read_lines(text, expected=ANYTHING) if line.strip()]
        given = " ".join(line for _, line in read_lines(labels, expected=ANYTHING))
        found = [_hallmarks(field, labels) for field in given.split("<")[1:]]
        if any(found[len(own) :]):
            raise UserError(
                f"{labels}: labels of {len(found)} sentences, {text.name} has {len(own)}"
            )
        found = (found + [()] * len(own))[: len(own)]
        if sentences:
            examples += [
                TextExample(
                    f"{text.stem}_{i}", s, labels=x, document=text.stem, where=f"{text}:{i}"
                )
                for i, (s, x) in enumerate(zip(own, found, strict=True), 1)
            ]
        else:
            every = tuple(sorted({label for labels_ in found for label in labels_}))
            examples.append(TextExample(text.stem, " ".join(own), labels=every, where=str(text)))
    return examples


def _hallmarks(field: str, path: Path) -> tuple[str, ...]:
    found = set()
    for label in _AND.split(field):
        name = " ".join(label.partition("--")[0].split())
        if name in ("", "NULL"):  # some sentences say that they have none
            continue
        if name not in HALLMARKS:
            near = nearest(name, HALLMARKS)
            hint = f"did you mean {near!r}? " if near else ""
            raise UserError(f"{path}: {name!r} is no hallmark: {hint}known: {', '.join(HALLMARKS)}")
        found.add(name)
    return tuple(sorted(found))
