"""The loop, its checkpoints and its watchdog in two real processes on one machine."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from biobert_jax.checkpoints import orbax
from biobert_jax.errors import EXIT_STUCK
from biobert_jax.training.metrics import MEASURED

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
    path = workdir / "metrics.jsonl"
    content = path.read_text() if path.exists() else ""
    values = [json.loads(line) for line in content.splitlines(keepends=True) if line[-1] == "\n"]
    return [{k: v for k, v in line.items() if k not in MEASURED} for line in values]


def wait_for_step(processes, workdir, step):
    while not any(line["step"] >= step and "loss" in line for line in lines(workdir)):
        assert all(process.poll() is None for process in processes), end(processes)
        time.sleep(0.02)


def assert_same_result(workdir, expected):
    [ours, *_], [theirs, *_] = orbax.checkpoints_of(workdir), orbax.checkpoints_of(expected)
    assert ours.name == theirs.name and orbax.check_files(ours) == []
    np.testing.assert_array_equal(
        orbax.restore_params(ours)["matrix"], orbax.restore_params(theirs)["matrix"]
    )
    assert lines(workdir) == lines(expected)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The undisturbed run of one process."""
    workdir = tmp_path_factory.mktemp("alone") / "run"
    codes, said = end(start(workdir, processes=1))
    assert codes == [0], said
    return workdir


def test_two_stop_together_and_go_on_as_if_they_never_had(alone, tmp_path):
    workdir = tmp_path / "run"
    processes = start(workdir, "--pause", "0.05")
    wait_for_step(processes, workdir, 12)
    processes[1].send_signal(signal.SIGTERM)  # process 0 must hear of it
    started = time.monotonic()
    codes, said = end(processes)
    assert codes == [143, 143], said
    assert time.monotonic() - started < 15
    newest, *_ = orbax.checkpoints_of(workdir)
    assert orbax.read_metadata(newest).retention in (orbax.TEMPORARY, orbax.NORMAL)
    assert int(newest.name) == lines(workdir)[-1]["step"]  # nothing was lost
    # The newest is damaged meanwhile: both go back to the same one before it.
    victim = max((newest / "params").rglob("*"), key=lambda p: p.is_file() and p.stat().st_size)
    victim.write_bytes(b"x" + victim.read_bytes()[1:])
    codes, said = end(start(workdir))
    assert codes == [0, 0], said
    assert "SHA-256 differs" in said[0] and "going on from step" in said[0]
    assert_same_result(workdir, alone)
    kept = [int(path.name) for path in orbax.checkpoints_of(workdir)]
    assert kept == [40, 30, 20, 10]  # 20 and 40 for ever, 10 and 30 as the two newest of the rest


def test_one_dies_and_the_other_does_not_wait_for_ever(alone, tmp_path):
    workdir = tmp_path / "run"
    processes = start(workdir, "--pause", "0.05", "--watchdog_minutes", "0.2")
    wait_for_step(processes, workdir, 12)
    processes[0].kill()
    codes, said = end(processes)
    assert codes[0] == -signal.SIGKILL and codes[1] != 0, said
    # Killed together, as a scheduler would, and run again by one process alone.
    codes, said = end(start(workdir, processes=1))
    assert codes == [0], said
    assert_same_result(workdir, alone)


@pytest.mark.slow
def test_one_stands_still_and_the_watchdog_ends_the_other(alone, tmp_path):
    workdir = tmp_path / "run"
    processes = start(workdir, "--pause", "0.05", "--watchdog_minutes", "0.2")
    wait_for_step(processes, workdir, 12)
    processes[1].send_signal(signal.SIGSTOP)
    try:
        codes, said = end(processes[:1], timeout=60)
    finally:
        processes[1].kill()
        processes[1].communicate()
    assert codes == [EXIT_STUCK], said
    assert "watchdog: step" in said[0] and (workdir / "watchdog.0.txt").exists()
    codes, said = end(start(workdir))
    assert codes == [0, 0], said
    assert_same_result(workdir, alone)


@pytest.mark.slow
def test_one_that_cannot_read_stops_both_with_its_reason(tmp_path):
    codes, said = end(start(tmp_path / "run", "--fail_at", "12", "--watchdog_minutes", "0.2"))
    assert codes[1] == 1 and "error: a shard is corrupt" in said[1], said
    assert codes[0] != 0


@pytest.mark.slow
def test_the_clock_of_process_0_decides_for_both(alone, tmp_path):
    workdir = tmp_path / "run"
    processes = start(workdir, "--pause", "0.1", "--temporary_minutes", "0.005")
    wait_for_step(processes, workdir, 9)
    found = orbax.checkpoints_of(workdir)
    assert found and orbax.read_metadata(found[0]).retention == orbax.TEMPORARY
    codes, said = end(processes)
    assert codes == [0, 0], said
    assert_same_result(workdir, alone)
