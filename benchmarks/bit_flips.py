"""Single bits flipped in a checkpoint: what the manifest finds, and what Orbax alone does.

    python benchmarks/bit_flips.py --scratch EMPTY_FOLDER [--flips 1000] [--seed 0]

A small training state is saved. Every other bit is drawn evenly from all bytes of all files, the
others from files drawn evenly, so that small files have their share. Each is
flipped, looked at by `check_files` and restored by Orbax without looking, and flipped back.
"""

import argparse
import collections
import random
import sys
from pathlib import Path

import jax
import numpy as np

from biobert_jax.checkpoints import manifest, orbax
from biobert_jax.config import ModelConfig


def main() -> None:
    """Saves, flips, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--scratch", required=True, type=Path)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    path, params, optimizer = save(args.scratch)
    files = [file for file in sorted(path.rglob("*")) if file.is_file() and file.stat().st_size]
    sizes = [file.stat().st_size for file in files]

    missed = 0
    outcomes: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    for done in range(args.flips):
        [file] = rng.choices(files, sizes if done % 2 else None)
        content = file.read_bytes()
        place = rng.randrange(8 * len(content))
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        file.write_bytes(bytes(flipped))
        missed += not manifest.check_files(path)
        outcomes[kind_of(file.relative_to(path))][restore(path, params, optimizer)] += 1
        file.write_bytes(content)
        if sys.stderr.isatty():
            print(f"\r{done + 1} of {args.flips}", end="", file=sys.stderr)
    assert manifest.check_files(path) == []

    columns = ("wrong values, no error", "an error", "the right values")
    print(f"{sum(sizes):,} bytes in {len(files)} files; Orbax alone returned:\n")
    print(f"{'flipped in':24}{'flips':>7}" + "".join(f"{name:>25}" for name in columns))
    for kind, counts in sorted(outcomes.items()):
        print(f"{kind:24}{counts.total():7}" + "".join(f"{counts[name]:25}" for name in columns))
    total = sum(outcomes.values(), collections.Counter())
    print(f"{'all':24}{total.total():7}" + "".join(f"{total[name]:25}" for name in columns))
    print(f"\nthe manifest found {args.flips - missed} of {args.flips}")
    sys.exit(missed > 0)


def save(scratch: Path):
    """Saves a state of random numbers; returns the checkpoint's path and both trees."""
    vocab = scratch / "vocab.txt"
    vocab.write_text("".join(f"piece{i}\n" for i in range(100)))
    rng = np.random.default_rng(0)

    def tree():
        names = ("embedding", "kernel", "bias")
        shapes = ((200, 32), (32, 64), (64,))
        return {
            name: jax.device_put(rng.standard_normal(shape, np.float32))
            for name, shape in zip(names, shapes, strict=True)
        }

    params, optimizer = tree(), {"mu": tree(), "nu": tree(), "step": jax.device_put(np.int32(7))}
    writer = orbax.CheckpointWriter(scratch)
    metadata = manifest.Metadata("pretraining", 7, ModelConfig(), "vocab.txt")
    writer.save(metadata, vocab, params, optimizer)
    writer.close()
    return manifest.checkpoint_path(scratch, 7), params, optimizer


def restore(path: Path, params, optimizer) -> str:
    """What Orbax makes of the files as they are."""

    def abstract(x):
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding)

    try:
        trees = orbax.restore_state(
            path, jax.tree.map(abstract, params), jax.tree.map(abstract, optimizer)
        )
    except Exception:  # whatever it raises, it did notice
        return "an error"
    same = jax.tree.map(
        lambda a, b: np.asarray(a).tobytes() == np.asarray(b).tobytes(), trees, (params, optimizer)
    )
    return "the right values" if all(jax.tree.leaves(same)) else "wrong values, no error"


def kind_of(file: Path) -> str:
    """A file's role in a checkpoint."""
    if file.parent.name == "d":
        return "arrays"
    return file.name if len(file.parts) == 1 else "Orbax's own metadata"


if __name__ == "__main__":
    main()
