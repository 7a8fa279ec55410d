"""Checks a data set, exported arrays or a checkpoint against its manifest (sizes, counts, SHA-256).

biobert verify data/pubmed
biobert verify arrays/pubmed                  what `biobert export` wrote
biobert verify runs/pretrain                  the newest checkpoint
biobert verify runs/pretrain/checkpoints/500
"""

import argparse
import sys
from pathlib import Path

from biobert_jax.errors import UserError, printable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument("path", metavar="DIR")


def run(args: argparse.Namespace) -> int:
    """Prints every difference; the exit code is 1 where there is one."""
    path = Path(args.path)
    if not path.is_dir():
        raise UserError(f"{path}: no such folder")
    problems, summary = _verify(path)
    for problem in problems:
        print(f"error: {printable(problem)}", file=sys.stderr)
    if not problems:
        print(printable(summary))
    return 1 if problems else 0


def _verify(path: Path) -> tuple[list[str], str]:
    from biobert_jax.corpus.dataset import export

    if (path / "params").is_dir() or (path / "checkpoints").is_dir():
        return _verify_checkpoint(path)
    if (path / export.NAME).is_file():
        index = export.read_index(path)
        return export.check_parts(path, index), (
            f"{path}: {len(index.shards)} parts, {index.num_rows:,} rows: all as in {export.NAME}"
        )
    return _verify_prepared(path)


def _verify_prepared(path: Path) -> tuple[list[str], str]:
    from biobert_jax.corpus.dataset import manifest as manifests

    manifest = manifests.read_manifest(path)
    problems = manifests.check_shards(path, manifest)
    problems += manifests.check_hashes(path, manifest.files)
    problems += manifests.find_strangers(path, manifest.shards)
    if not problems:
        problems = manifests.count_records(path, manifest)
    return problems, (
        f"{path}: {len(manifest.shards)} shards, {manifest.num_rows:,} rows: all as in the manifest"
    )


def _verify_checkpoint(path: Path) -> tuple[list[str], str]:
    from biobert_jax.checkpoints import load, orbax

    found, _ = load.find_checkpoint(path)
    return orbax.check_files(found), f"{found}: every file is as in the manifest"
