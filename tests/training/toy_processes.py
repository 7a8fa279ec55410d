"""Starts the toy run in real processes, and looks at what it has done."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from biobert_jax import storage
from biobert_jax.checkpoints import manifest, orbax
from biobert_jax.storage import anywhere
from biobert_jax.training.metrics import MEASURED
from biobert_jax.training.mirror import PARTS, join

ROOT = Path(__file__).resolve().parents[2]


def start(workdir, *more, processes=2):
    """The toy run in so many processes."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    together = ["--coordinator", address, "--num_processes", str(processes), "--process_id"]
    return [
        subprocess.Popen(
            [sys.executable, "-m", "tests.training.toy_run", str(workdir), *more]
            + (together + [str(index)] if processes > 1 else []),
            cwd=ROOT,
            env={**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(processes)
    ]


def end(processes, timeout=200):
    """Exit codes and what each said on stderr."""
    said = [process.communicate(timeout=timeout)[1] for process in processes]
    return [process.returncode for process in processes], said


def lines(workdir):
    """All whole lines of metrics, without what is measured; of a bucket, as far as it has them."""
    workdir = storage.path(workdir)
    if storage.is_remote(workdir):
        folder = workdir / PARTS
        content = join(
            {p: (folder / p).read_bytes() for p in anywhere.files_below(folder)}
        ).decode()
    else:
        path = workdir / "metrics.jsonl"
        content = path.read_text() if path.exists() else ""
    values = [json.loads(line) for line in content.splitlines(keepends=True) if line[-1] == "\n"]
    return [{k: v for k, v in line.items() if k not in MEASURED} for line in values]


def wait_for_step(processes, workdir, step):
    while not any(line["step"] >= step and "loss" in line for line in lines(workdir)):
        assert all(process.poll() is None for process in processes), end(processes)
        time.sleep(0.02)


def assert_same_result(workdir, expected):
    """Same matrix, and same log."""
    [ours, *_], [theirs, *_] = manifest.checkpoints_of(workdir), manifest.checkpoints_of(expected)
    assert ours.name == theirs.name and manifest.check_files(ours) == []
    np.testing.assert_array_equal(
        orbax.restore_params(ours)["matrix"], orbax.restore_params(theirs)["matrix"]
    )
    assert lines(workdir) == lines(expected)
