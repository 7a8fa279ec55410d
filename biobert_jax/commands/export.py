"""Writes a prepared data set as NumPy arrays, for machines and programs without TensorFlow.

    biobert export data/pubmed --output arrays/pubmed
    biobert export data/pubmed --output arrays/sample --split train --max_rows 10000

The folder holds parts of bounded size, train-00000-of-00003.npz and so on, each with the arrays
[rows, size] of consecutive rows by feature name; the vocabulary; and arrays.json, which says what
is in them. `biobert pretrain --config.data.dir=arrays/pubmed` trains on them, `biobert verify`
checks them. TensorFlow Datasets needs no export: tfds.builder_from_directory opens a prepared data
set as it is.
"""

import argparse

from biobert_jax.commands.at_hand import CREATE, READ
from biobert_jax.commands.progress import StageProgress
from biobert_jax.errors import UserError
from biobert_jax.units import plural, size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.set_defaults(paths={"data": READ, "output": CREATE})
    parser.add_argument("data", metavar="DATA_DIR", help="a folder of `biobert prepare`")
    parser.add_argument("--output", required=True, metavar="DIR", help="a new folder")
    parser.add_argument("--format", choices=("npz",), default="npz")
    parser.add_argument("--split", choices=("train", "heldout", "all"), default="all")
    parser.add_argument("--max_rows", type=int, metavar="N", help="of each split (all)")


def run(args: argparse.Namespace) -> int:
    """Exports, and prints what was written."""
    from biobert_jax.corpus.dataset.export import export_arrays
    from biobert_jax.corpus.dataset.manifest import SPLITS

    if args.max_rows is not None and args.max_rows < 1:
        raise UserError(f"--max_rows {args.max_rows}: give a number above 0")
    splits = SPLITS if args.split == "all" else (args.split,)
    with StageProgress() as progress:
        index = export_arrays(
            args.data, args.output, splits=splits, max_rows=args.max_rows, progress=progress
        )
    rows = ", ".join(plural(count, f"{split} row") for split, count in index["splits"].items())
    written = size(sum(part["bytes"] for part in index["parts"]))
    print(f"{args.output}: {rows} in {plural(len(index['parts']), '.npz file')}, {written}")
    return 0
