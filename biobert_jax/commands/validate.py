"""Checks a task's data before they are trained on: what is wrong, by file and line, and leaks.

    biobert validate --task ner --data data/NCBI-disease
    biobert validate --task classification --data data/chemprot --eval dev.tsv
    biobert validate --task qa --data data/squad --train train.json --eval '' --test test.json

Errors: files that are missing or cannot be read, examples without a label, labels that training
never saw. Warnings: examples that stand twice, or in two splits, answers that their context does
not have. The exit code is 1 where there is an error, with --strict where there is a warning.
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from biobert_jax.commands.at_hand import READ, WRITE
from biobert_jax.commands.output_options import check_output
from biobert_jax.errors import UserError, printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.set_defaults(paths={"data": READ, "json": WRITE})
    parser.add_argument("--task", required=True, choices=("ner", "classification", "qa"))
    parser.add_argument("--data", required=True, metavar="DIR", help="the folder of the files")
    parser.add_argument("--train", default="train.tsv", help="a file of it (%(default)s)")
    parser.add_argument("--eval", default="devel.tsv", help="'': there is none (%(default)s)")
    parser.add_argument("--test", default="test.tsv", help="'': there is none (%(default)s)")
    parser.add_argument("--data_format", default="", help="of the files (by their names)")
    parser.add_argument("--strict", action="store_true", help="warnings are errors")
    parser.add_argument("--json", metavar="FILE", help="write what was found there too")


def run(args: argparse.Namespace) -> int:
    """Prints what was found."""
    from biobert_jax.files import write_text_atomically
    from biobert_jax.tasks.validation import validate

    folder = Path(args.data)
    if not folder.is_dir():
        raise UserError(f"--data {folder}: no such folder")
    names = {"train": args.train, "eval": args.eval, "test": args.test}
    files = {split: folder / name for split, name in names.items() if name}
    if args.json:
        check_output("--json", args.json, files.values())
    found = validate(files, args.task, args.data_format)
    for line in found.errors:
        print(printable(f"error: {line}"), file=sys.stderr)
    for line in found.warnings:
        print(printable(f"warning: {line}"), file=sys.stderr)
    for split, counts in found.counts.items():
        labels = ", ".join(f"{label} {count:,}" for label, count in counts["labels"].items())
        print(f"{split:<6} {counts['examples']:>8,}  {labels}")
    print(f"{len(found.errors)} errors, {len(found.warnings)} warnings")
    if args.json:
        write_text_atomically(args.json, json.dumps(dataclasses.asdict(found), indent=2) + "\n")
    return 1 if found.errors or (args.strict and found.warnings) else 0
