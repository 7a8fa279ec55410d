"""Splits of Hallmarks of Cancer and BIOSSES, which come without any: by a hash of ids.

    python benchmarks/split_texts.py hoc FOLDER_WITH_text_AND_labels OUT
    python benchmarks/split_texts.py biosses biosses.tsv OUT

Abstracts, or pairs, in the order of the SHA-256 of their ids: the first 70 % are `train`, the next
10 % `devel`, the rest `test` (`.jsonl`; of BIOSSES `.tsv`, with its own header). They are not the
splits that BLURB's figures are on.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from biobert_jax.tasks.files.hoc import read_hoc

T = TypeVar("T")
SHARES = (("train", 0.7), ("devel", 0.1), ("test", 0.2))


def main() -> None:
    """Writes the files of a split, and prints how many examples each has."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("kind", choices=("hoc", "biosses"))
    parser.add_argument("source", type=Path)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    if args.kind == "hoc":
        lines = {
            e.id: json.dumps({"id": e.id, "text": e.text, "labels": list(e.labels)})
            for e in read_hoc(args.source)
        }
        header, suffix = "", "jsonl"
    else:
        header, *rows = args.source.read_text(encoding="utf-8").splitlines(keepends=True)
        lines = {row.partition("\t")[0]: row.rstrip("\n") for row in rows if row.strip()}
        suffix = "tsv"
    for name, ids in split(list(lines)).items():
        path = args.folder / f"{name}.{suffix}"
        path.write_text(header + "".join(f"{lines[i]}\n" for i in ids), encoding="utf-8")
        print(f"{path}: {len(ids):,} examples", file=sys.stderr)


def split(ids: Sequence[str]) -> dict[str, list[str]]:
    """Ids by the name of their part."""
    ordered = sorted(ids, key=lambda i: hashlib.sha256(i.encode("utf-8")).hexdigest())
    parts, start, share = {}, 0, 0.0
    for name, own in SHARES:
        share += own
        end = round(share * len(ordered))
        parts[name] = ordered[start:end]
        start = end
    return parts


if __name__ == "__main__":
    main()
