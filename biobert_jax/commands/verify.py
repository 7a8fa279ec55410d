"""Checks a data set, exported arrays or a checkpoint against its manifest (sizes, counts, SHA-256).

biobert verify data/pubmed
biobert verify arrays/pubmed                  what `biobert export` wrote
biobert verify runs/pretrain                  the newest checkpoint, and the best
biobert verify runs/pretrain/checkpoints/500
"""

import argparse
import sys
from pathlib import Path

from biobert_jax import storage
from biobert_jax.commands import verify_bucket
from biobert_jax.commands.progress import StageProgress, adding
from biobert_jax.errors import UserError, printable
from biobert_jax.units import plural


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.set_defaults(in_buckets=("path",))
    parser.add_argument("path", metavar="DIR")


def run(args: argparse.Namespace) -> int:
    """Prints every difference; the exit code is 1 where there is one."""
    with StageProgress(brief=True) as progress:
        if storage.is_remote(args.path):
            problems, summary = verify_bucket.verify(args.path, progress)
        else:
            problems, summary = _verify(Path(args.path), progress)
    for problem in problems:
        print(f"error: {printable(problem)}", file=sys.stderr)
    if not problems:
        print(printable(summary))
    return 1 if problems else 0


def _verify(path: Path, progress: StageProgress) -> tuple[list[str], str]:
    from biobert_jax.corpus.dataset import export

    if not path.is_dir():
        raise UserError(f"{path}: no such folder")
    if (path / "params").is_dir() or (path / "checkpoints").is_dir():
        return _verify_checkpoint(path, progress)
    if (path / export.NAME).is_file():
        index = export.read_index(path)
        read = adding(progress, "check", sum(part.bytes for part in index.shards))
        return export.check_parts(path, index, read=read), (
            f"{path}: {plural(len(index.shards), 'part')}, {plural(index.num_rows, 'row')}: "
            f"all as in {export.NAME}"
        )
    return _verify_prepared(path, progress)


def _verify_prepared(path: Path, progress: StageProgress) -> tuple[list[str], str]:
    from biobert_jax.corpus.dataset import manifest as manifests

    manifest = manifests.read_manifest(path)
    # Each is read twice: for its hash, and record by record.
    read = adding(progress, "check", 2 * sum(shard.bytes for shard in manifest.shards))
    problems = manifests.check_shards(path, manifest, read=read)
    problems += manifests.check_hashes(path, manifest.files)
    problems += manifests.find_strangers(path, manifest.shards)
    if not problems:
        problems = manifests.count_records(path, manifest, read=read)
    return problems, (
        f"{path}: {plural(len(manifest.shards), 'shard')}, {plural(manifest.num_rows, 'row')}: "
        "all as in the manifest"
    )


def _verify_checkpoint(path: Path, progress: StageProgress) -> tuple[list[str], str]:
    from biobert_jax.checkpoints import load, manifest

    # Of a workdir what it stands for, and what its run goes on from.
    found = dict.fromkeys([load.find_checkpoint(path)[0], *manifest.checkpoints_of(path)[:1]])
    files = [file for folder in found for file in folder.rglob("*") if file.is_file()]
    read = adding(progress, "check", sum(file.stat().st_size for file in files))
    problems = [problem for folder in found for problem in manifest.check_files(folder, read=read)]
    return problems, f"{', '.join(map(str, found))}: every file is as in the manifest"
