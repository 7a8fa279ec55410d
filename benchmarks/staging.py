"""How long steps wait for shards from a bucket, and how much of the disk these take meanwhile.

    python benchmarks/staging.py [--step_seconds 0.3] [--steps 200] [--fail 0.2]

A data set of random rows is put into the emulated bucket of the tests, in a process of its own,
which shares this machine's cores. Batches are then taken as training takes them: a step is a wait
of at least so many seconds, in which the host has nothing else to do, as while a TPU computes.
Printed are the share of the time in which a step waited for its batch, and for nothing but a
shard; the most bytes of shards on the disk, beside the bound; and how many shards were used up.
The batches are compared with those of the local set.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def main() -> None:
    """Prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--step_seconds", type=float, default=0.3)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch_size", type=int, default=256)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--num_streams", type=int, default=8)
    parser.add_argument("--shards", type=int, default=64)
    parser.add_argument("--shard_rows", type=int, default=1000)
    parser.add_argument("--staging_gb", type=float, default=0.06)
    parser.add_argument("--fail", type=float, default=0.0, help="share of requests that fail")
    args = parser.parse_args()
    server = subprocess.Popen(
        [sys.executable, ROOT / "tests/bucket_server.py", "--fail", str(args.fail)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        os.environ["STORAGE_EMULATOR_HOST"] = server.stdout.readline().split("=")[1].strip()
        with tempfile.TemporaryDirectory() as folder:
            measure(args, Path(folder))
    finally:
        server.kill()


def measure(args: argparse.Namespace, folder: Path) -> None:
    """Makes the set, takes the batches, prints."""
    from biobert_jax import storage
    from biobert_jax.corpus.dataset.records import RecordFormat
    from biobert_jax.data.folders import open_prepared
    from tests.data.writing import TOKENS, write_shards

    format = RecordFormat("packed", "mlm", args.length, len(TOKENS))
    draw = np.random.default_rng(0)

    def rows(count: int) -> np.ndarray:
        made = np.zeros(count, format.row_dtype)
        made["input_ids"] = draw.integers(5, len(TOKENS), (count, args.length))
        made["sequence_ids"] = 1
        return made

    shards = {f"train-{n:03}.tfrecord": rows(args.shard_rows) for n in range(args.shards)}
    write_shards(folder / "data", format, {**shards, "heldout-000.tfrecord": rows(10)})
    storage.upload_folder(folder / "data", "gs://bucket/data")
    data = open_prepared("gs://bucket/data", staging_gb=args.staging_gb)
    sizes = [shard.bytes for shard in data.manifest.split("train")]
    waited, most, took = 0.0, 0, []
    order = {"seed": 0, "num_streams": args.num_streams}
    batches = data.train_batches(args.batch_size, **order)
    local = open_prepared(folder / "data").train_batches(args.batch_size, **order)
    next(batches), next(local)  # the first shards come before the first step
    before = data.waited_for_staging()
    began = time.monotonic()
    for _ in range(args.steps):
        asked = time.monotonic()
        batch = next(batches)
        waited += time.monotonic() - asked
        took.append(batch["input_ids"][::16, ::64].copy())
        most = max(most, staged_bytes(data.staging.folder))
        time.sleep(args.step_seconds)
    elapsed = time.monotonic() - began
    staged = data.waited_for_staging() - before
    batches.close()
    for ours, theirs in zip(took, itertools.islice(local, args.steps), strict=True):
        np.testing.assert_array_equal(ours, theirs["input_ids"][::16, ::64])
    read = args.steps * args.batch_size / args.shard_rows
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {args.steps} steps of at least "
        f"{args.step_seconds} s, batches of {args.batch_size} rows of {args.length}, "
        f"{args.num_streams} streams, {args.shards} shards of {max(sizes) / 1e6:.1f} MB, "
        f"{args.fail:.0%} of requests fail; every batch as from the local set\n"
        f"waited for batches {waited / elapsed:.2%} of the time, for nothing but shards "
        f"{staged / elapsed:.2%}; {read:.0f} shards were used up\n"
        f"most bytes of shards on the disk {most / 1e6:.1f} MB, of "
        f"{args.staging_gb * 1e3:.1f} MB allowed and {sum(sizes) / 1e6:.1f} MB in the set"
    )


def staged_bytes(folder: Path) -> int:
    """Bytes of shards, whole or in part, in the staging folder."""
    total = 0
    for path in (folder / "train").rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            pass  # deleted at this moment
    return total


if __name__ == "__main__":
    main()
