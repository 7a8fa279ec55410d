"""Pre-training killed and stopped at random moments and run again, against a run left alone.

    python benchmarks/resume_kills.py --data PREPARED --scratch EMPTY_FOLDER \
        [--kills 50] [--terms 30] [--steps 200] [--seed 0]

A tiny BERT with dropout is trained with an evaluation and a checkpoint every few steps, alone and
undisturbed. Then it is run by the same command and killed by SIGKILL, time after time, until it
comes to its end; so often as it takes to have all the kills. A third of them strike as soon as an
unfinished checkpoint is seen, a third as soon as an evaluation is due, the rest at any moment of
the training. The same with SIGTERM, where the time to the exit, the exit code and the steps lost
are looked at. Every run that comes to its end is compared with the undisturbed one, bit for bit:
parameters, optimizer state, and for every step the metrics and the checksum of its rows.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np

from biobert_jax.checkpoints import manifest, orbax
from biobert_jax.training.metrics import MEASURED

ROOT = Path(__file__).resolve().parents[1]
EVAL_EVERY, CHECKPOINT_EVERY = 10, 7
# Seconds within which SIGTERM must end a run, and steps that it may lose.
TERM_SECONDS, TERM_STEPS = 15.0, 1


def main() -> None:
    """Runs, kills, compares, and prints what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, type=Path, help="what `biobert prepare` wrote")
    parser.add_argument("--scratch", required=True, type=Path)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--terms", type=int, default=30)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)

    undisturbed = args.scratch / "undisturbed"
    began = time.monotonic()
    process = start(args, undisturbed)
    wait_until(process, lambda: last_step(undisturbed) > 0)
    trained = time.monotonic()
    _, errors = process.communicate()
    if process.returncode:
        sys.exit(f"the undisturbed run failed: {errors}")
    seconds = time.monotonic() - trained
    print(f"undisturbed: {trained - began:.1f} s to the first step, {seconds:.1f} s of training")

    killed = disturb(args, rng, signal.SIGKILL, args.kills, seconds, undisturbed)
    stopped = disturb(args, rng, signal.SIGTERM, args.terms, seconds, undisturbed)
    print(f"\n{'signal':10}{'moment':34}{'times':>6}")
    for name, moments in (("SIGKILL", killed), ("SIGTERM", stopped)):
        for moment in sorted(set(moments)):
            print(f"{name:10}{moment:34}{moments.count(moment):6}")
    print(
        f"\n{len(killed)} of {args.kills} kills and {len(stopped)} of {args.terms} terminations: "
        "every run that came to its end is the undisturbed one, bit for bit"
    )


def disturb(
    args: argparse.Namespace,
    rng: random.Random,
    number: int,
    times: int,
    seconds: float,
    undisturbed: Path,
) -> list[str]:
    """Signals runs so many times, comparing those that end; returns the moments, in words."""
    workdir = args.scratch / signal.Signals(number).name.lower()
    moments: list[str] = []
    worst_time, worst_loss = 0.0, 0
    while True:
        began = time.time()
        process = start(args, workdir)
        if len(moments) < times:
            wait_until(process, lambda began=began: last_time(workdir) > began)
            wait_for_moment(rng, process, workdir, seconds)
        if len(moments) < times and process.poll() is None:
            at_step = last_step(workdir)
            sent = time.monotonic()
            process.send_signal(number)
            _, errors = process.communicate()
            is_over = newest_checkpoint(workdir) == args.steps
            if number == signal.SIGKILL:
                moments.append(moment_of(workdir))
            elif not (is_over and process.returncode in (0, -number)):
                # Else it came when the last step was done, or the run and its handlers had ended.
                took, lost = time.monotonic() - sent, at_step - newest_checkpoint(workdir)
                worst_time, worst_loss = max(worst_time, took), max(worst_loss, lost)
                if process.returncode != 143 or took > TERM_SECONDS or lost > TERM_STEPS:
                    sys.exit(
                        f"exit code {process.returncode}, {took:.1f} s, {lost} steps: {errors}"
                    )
                moments.append("training")
            print(f"{signal.Signals(number).name} {len(moments)} at step {at_step}", flush=True)
            continue
        _, errors = process.communicate()
        if process.returncode:
            sys.exit(f"exit code {process.returncode}: {errors}")
        differences = compare(workdir, undisturbed)
        if differences:
            sys.exit(f"DIFFERS after {len(moments)} signals: {differences}")
        print(f"ended after {len(moments)}: identical", flush=True)
        if len(moments) == times:
            break
        shutil.rmtree(workdir)
    if number == signal.SIGTERM and times:
        print(f"SIGTERM: {worst_time:.1f} s and {worst_loss} steps lost at most")
    return moments


def start(args: argparse.Namespace, workdir: Path, *more: str) -> subprocess.Popen:
    """The run in a process of its own; what is compiled is kept for the next."""
    settings = {
        "data.dir": args.data,
        "data.batch_size": 8,
        "model.num_hidden_layers": 2,
        "model.hidden_size": 64,
        "model.intermediate_size": 128,
        "model.num_attention_heads": 2,
        "model.hidden_dropout_prob": 0.1,
        "model.attention_probs_dropout_prob": 0.1,
        "optimizer.warmup_steps": 10,
        "train.num_steps": args.steps,
        "train.eval_every": EVAL_EVERY,
        "train.eval_batches": 2,
        "train.checkpoint_every": CHECKPOINT_EVERY,
        "train.permanent_every": 5 * CHECKPOINT_EVERY,
        "train.temporary_minutes": 0.02,
        "train.log_every": 1,
    }
    command = [sys.executable, "-m", "biobert_jax", "pretrain", "--workdir", str(workdir)]
    command += ["--config", str(ROOT / "experiments/pretrain_quickstart.py")]
    command += [f"--config.{name}={value}" for name, value in settings.items()] + list(more)
    cache = {
        "JAX_COMPILATION_CACHE_DIR": str(args.scratch / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **cache},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(process: subprocess.Popen, condition, seconds: float = 1e9) -> None:
    """Returns when it holds, the process has ended, or the seconds are over."""
    end = time.monotonic() + seconds
    while process.poll() is None and not condition() and time.monotonic() < end:
        time.sleep(0.002)


def wait_for_moment(rng: random.Random, process, workdir: Path, seconds: float) -> None:
    """Waits for one of the moments to strike at; a run takes about six of them."""
    kind = rng.randrange(3)
    # So that the moments spread over the run instead of taking the next one each time.
    wait_until(process, lambda: False, rng.uniform(0, seconds / 3))
    if kind == 0:
        wait_until(process, lambda: bool(unfinished(workdir)))
    elif kind == 1:
        wait_until(process, lambda: evaluation_is_due(workdir))


def moment_of(workdir: Path) -> str:
    """What a killed run was at, by what it left."""
    moments = ["in a save"] if unfinished(workdir) else []
    if evaluation_is_due(workdir):
        moments.append("in an evaluation")
    return " and ".join(moments) or "in a step"


def unfinished(workdir: Path) -> list[Path]:
    """Checkpoints that are being written."""
    folder = workdir / "checkpoints"
    found = list(folder.iterdir()) if folder.is_dir() else []
    return [p for p in found if p.name[0].isdigit() and not (p / "manifest.json").exists()]


def evaluation_is_due(workdir: Path) -> bool:
    """True from the last step's metrics before an evaluation to those of the evaluation."""
    last = (lines(workdir) or [{"step": 1, "loss": 0.0}])[-1]
    return last["step"] % EVAL_EVERY == 0 and "loss" in last


def lines(workdir: Path) -> list[dict]:
    """All whole lines of metrics, without what is measured."""
    path = workdir / "metrics.jsonl"
    content = path.read_text(encoding="utf-8") if path.exists() else ""
    values = [json.loads(x) for x in content.splitlines(keepends=True) if x.endswith("\n")]
    return [{k: v for k, v in line.items() if k not in MEASURED} for line in values]


def last_time(workdir: Path) -> float:
    """Unix time, to a tenth of a second, at which the last metrics were written; 0: never."""
    path = workdir / "metrics.jsonl"
    content = path.read_text(encoding="utf-8") if path.exists() else ""
    whole = [x for x in content.splitlines(keepends=True) if x.endswith("\n")]
    return json.loads(whole[-1])["time"] if whole else 0.0


def last_step(workdir: Path) -> int:
    """The last step whose metrics are written."""
    return max((line["step"] for line in lines(workdir)), default=0)


def newest_checkpoint(workdir: Path) -> int:
    """The step of the newest finished checkpoint; 0: none."""
    return max((int(path.name) for path in manifest.checkpoints_of(workdir)), default=0)


def compare(workdir: Path, expected: Path) -> str:
    """What differs between two runs at their end; empty: nothing."""
    ours, theirs = (manifest.checkpoints_of(folder)[0] for folder in (workdir, expected))
    if ours.name != theirs.name:
        return f"{ours} is not of step {theirs.name}"
    if problems := manifest.check_files(ours):
        return problems[0]
    for item in ("params", "optimizer"):
        trees = [orbax.read_arrays(path / item) for path in (ours, theirs)]
        if not all(jax.tree.leaves(jax.tree.map(np.array_equal, *trees))):
            return f"{ours / item}"
    for one, other in zip(lines(workdir), lines(expected), strict=False):
        if one != other:
            return f"{one} is not {other}"
    return "" if len(lines(workdir)) == len(lines(expected)) else "lines of metrics are missing"


if __name__ == "__main__":
    main()
