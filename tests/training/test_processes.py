"""The loop, its checkpoints and its watchdog in two real processes on one machine."""

import signal
import time

import pytest

from biobert_jax.checkpoints import manifest
from biobert_jax.errors import EXIT_STUCK
from tests.training.toy_processes import assert_same_result, end, lines, start, wait_for_step


def test_two_stop_together_and_go_on_as_if_they_never_had(alone, tmp_path):
    workdir = tmp_path / "run"
    processes = start(workdir, "--pause", "0.05")
    wait_for_step(processes, workdir, 12)
    processes[1].send_signal(signal.SIGTERM)  # process 0 must hear of it
    started = time.monotonic()
    codes, said = end(processes)
    assert codes == [143, 143], said
    assert time.monotonic() - started < 15
    newest, *_ = manifest.checkpoints_of(workdir)
    assert manifest.read_metadata(newest).retention in (manifest.TEMPORARY, manifest.NORMAL)
    assert int(newest.name) == lines(workdir)[-1]["step"]  # nothing was lost
    # The newest is damaged meanwhile: both go back to the same one before it.
    victim = max((newest / "params").rglob("*"), key=lambda p: p.is_file() and p.stat().st_size)
    victim.write_bytes(b"x" + victim.read_bytes()[1:])
    codes, said = end(start(workdir))
    assert codes == [0, 0], said
    assert "SHA-256 differs" in said[0], said[0][:600]
    assert "going on from step" in said[0]
    assert_same_result(workdir, alone)
    kept = [int(path.name) for path in manifest.checkpoints_of(workdir)]
    assert kept == [40, 30, 20, 10]  # 20 and 40 for ever, 10 and 30 as the two newest of the rest


@pytest.mark.slow
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
    found = manifest.checkpoints_of(workdir)
    assert found and manifest.read_metadata(found[0]).retention == manifest.TEMPORARY
    codes, said = end(processes)
    assert codes == [0, 0], said
    assert_same_result(workdir, alone)
