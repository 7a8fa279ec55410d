"""From the command to the end of the first step: a first start, and a second one after it.

    python benchmarks/startup.py [--repeats 3] [--layers 6] [--hidden_size 384]

The shipped `pretrain_quickstart` with so many unrolled layers, whose step is what is compiled, on
rows of the embedded corpus. Each repeat has a cache of compiled programs of its own, empty at the
first start; the second one trains in a fresh workdir too, so that nothing but the cache is there.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CORPUS = ROOT / "biobert_jax/quickstart/corpus/abstracts.xml"


def main() -> None:
    """Starts, and prints seconds and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--hidden_size", type=int, default=384)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        prepare(scratch)
        print("repeat      first start (CPU)     second start (CPU)   ratio (CPU)")
        pairs = []
        for number in range(args.repeats):
            environment = {
                **{k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"},
                "XDG_CACHE_HOME": str(scratch / f"cache{number}"),
            }
            pair = [
                first_step(args, scratch, f"{number}-{start}", environment)
                for start in ("first", "second")
            ]
            pairs.append(pair)
            show(str(number + 1), *pair)
        medians = [
            [statistics.median(times) for times in zip(*starts, strict=True)]
            for starts in zip(*pairs, strict=True)
        ]
        show("median", *medians)


def show(name: str, first: Sequence[float], second: Sequence[float]) -> None:
    """A line of the table: seconds, and in brackets those of all CPUs."""
    starts = "".join(f"{wall:>12.1f} s ({cpu:6.1f} s)" for wall, cpu in (first, second))
    ratios = [later / sooner for sooner, later in zip(first, second, strict=True)]
    print(f"{name:<6}{starts}   {ratios[0]:.2f} ({ratios[1]:.2f})", flush=True)


def prepare(scratch: Path) -> None:
    """A vocabulary and rows of 128."""
    source = ["--input", str(CORPUS), "--format", "pubmed"]
    vocab = str(scratch / "vocab.txt")
    biobert("vocab", *source, "--size", "2000", "--output", vocab)
    rows = ["--max_seq_length", "128", "--held_out", "0.1", "--workers", "1"]
    biobert("prepare", *source, "--vocab", vocab, *rows, "--output", str(scratch / "data"))


def first_step(
    args: argparse.Namespace, scratch: Path, name: str, environment: dict
) -> tuple[float, float]:
    """Seconds from the command to the end of step 1, and of all CPUs; the run is then ended."""
    workdir = scratch / name
    command = [
        *(sys.executable, "-m", "biobert_jax", "pretrain", "--workdir", str(workdir)),
        *("--config", str(ROOT / "experiments/pretrain_quickstart.py")),
        f"--config.data.dir={scratch / 'data'}",
        f"--config.model.num_hidden_layers={args.layers}",
        f"--config.model.hidden_size={args.hidden_size}",
        f"--config.model.intermediate_size={4 * args.hidden_size}",
        f"--config.model.num_attention_heads={args.hidden_size // 64}",
        "--config.model.scan_layers=false",
        "--config.data.batch_size=8",
        "--config.train.eval_batches=1",
        "--config.train.log_every=1",
    ]
    began = time.monotonic()
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    while not has_stepped(workdir / "metrics.jsonl"):
        if process.poll() is not None:
            sys.exit(f"the run failed: {process.stderr.read().decode()}")
        time.sleep(0.02)
    seconds = time.monotonic() - began
    process.kill()
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0  # has been waited for
    return seconds, usage.ru_utime + usage.ru_stime


def has_stepped(path: Path) -> bool:
    """Whether the metrics of a step are written, which is right after it."""
    lines = path.read_text().splitlines() if path.exists() else []
    return any("loss" in json.loads(line) for line in lines if line.endswith("}"))


def biobert(*words: str) -> None:
    """A verb, to its end."""
    subprocess.run(
        [sys.executable, "-m", "biobert_jax", *words], cwd=ROOT, check=True, capture_output=True
    )


if __name__ == "__main__":
    main()
