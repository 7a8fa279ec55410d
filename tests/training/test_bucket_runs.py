"""A run whose folder is in a bucket: resumed bit for bit, whatever kills it or fails on the way."""

import random
import signal
import time

import pytest

from biobert_jax import storage
from biobert_jax.checkpoints import manifest
from biobert_jax.errors import UserError
from biobert_jax.training.workdir import open_workdir
from tests.training.toy_processes import assert_same_result, end, lines, start, wait_for_step


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The undisturbed run on a disk."""
    workdir = tmp_path_factory.mktemp("alone") / "run"
    codes, said = end(start(workdir, processes=1))
    assert codes == [0], said
    return workdir


@pytest.fixture
def workdir(bucket, request):
    return f"{bucket.bucket}/{request.node.name}"


def assert_only_what_a_run_leaves(bucket, workdir):
    """No lease, no unfinished checkpoint, no temporary object."""
    names = bucket.names(workdir.removeprefix("gs://bucket/"))
    kept = {name.split("/")[1] for name in names}
    assert kept == {"checkpoints", "config.json", "metrics.jsonl.parts", "tensorboard"}
    steps = {name.split("/")[2] for name in names if "/checkpoints/" in name}
    damaged = {name.split("/")[2] for name in names if name.endswith(manifest.DAMAGED)}
    assert steps - damaged == {"10", "20", "30", "40"}
    assert not [name for name in names if "tmp" in name.lower()]


def test_two_are_stopped_go_back_to_a_whole_checkpoint_and_end_the_same(alone, workdir, bucket):
    processes = start(workdir, "--pause", "0.2")
    wait_for_step(processes, workdir, 10)
    # Nobody else comes in meanwhile.
    with pytest.raises(UserError, match="another run is in it"), open_workdir(workdir):
        pass
    processes[1].send_signal(signal.SIGTERM)
    codes, said = end(processes)
    assert codes == [143, 143], said
    newest, *_ = manifest.checkpoints_of(workdir)
    sums = set(manifest._parse(newest)[1])
    assert {"params/array_metadatas/process_0", "params/array_metadatas/process_1"} <= sums
    victim = next(n for n in bucket.names() if n.startswith(str(newest)[12:]) and "/d/" in n)
    bucket.put(victim, b"x" + bucket.content(victim)[1:])
    codes, said = end(start(workdir))
    assert codes == [0, 0], said
    assert "going back" in said[0] and "going on from step" in said[0]
    assert_same_result(workdir, alone)
    assert_only_what_a_run_leaves(bucket, workdir)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_twenty_kills_at_random_moments(alone, workdir, bucket):
    rng, kills = random.Random(0), 0
    while kills < 20:
        processes = start(workdir, "--pause", "0.03", processes=1)
        before = len(lines(workdir))
        time.sleep(rng.uniform(2.0, 6.0))
        processes[0].kill()
        codes, said = end(processes)
        if codes == [0]:
            assert_same_result(workdir, alone)
            storage.delete_folder(workdir)
        kills += codes == [-signal.SIGKILL]
        assert len(lines(workdir)) >= before or codes == [0]
    codes, said = end(start(workdir, processes=1))
    assert codes == [0], said
    assert_same_result(workdir, alone)
    assert_only_what_a_run_leaves(bucket, workdir)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_bucket_that_fails_one_request_in_five_and_is_silent_for_a_minute(alone, workdir, bucket):
    # An answer that is lost once the work is done makes tensorstore give the save up: docs/buckets.
    with bucket.failing(0.2, seed=1, faults=(429, 503, 500, "reset")):
        processes = start(workdir, "--pause", "0.05")
        wait_for_step(processes, workdir, 10)
        bucket.be_silent(60)
        codes, said = end(processes, timeout=1000)
    assert codes == [0, 0], said
    assert_same_result(workdir, alone)
    assert_only_what_a_run_leaves(bucket, workdir)
