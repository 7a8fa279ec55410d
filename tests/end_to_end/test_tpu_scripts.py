"""A rehearsal of a run on spot TPUs: created, set up, launched, preempted, and carried to its end.

gcloud is the tests' (tests/tpu_scripts/fake_gcloud.py): its two workers are folders, and what is
sent to them runs as real processes, which meet by jax.distributed. They have no disk in common:
data and workdir are in a bucket.
"""

import json
import random
import socket
import subprocess
import time

import jax
import numpy as np
import pytest

from biobert_jax import storage
from biobert_jax.checkpoints import manifest, orbax
from tests.end_to_end.conftest import SHRUNK
from tests.tpu_scripts.conftest import UV, Run
from tests.tpu_scripts.fake_gcloud import Cloud
from tests.training.toy_processes import lines

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

STEPS = 60
CONFIG = """
name = "rehearsal"
project = "my-project"
zone = "us-central2-b"
poll_seconds = 0.3
[tpu]
accelerator_type = "v4-16"
[watch]
tries = 9
backoff_seconds = 0.2
settle_seconds = 2
[env]
JAX_PLATFORMS = "cpu"
JAX_COMPILATION_CACHE_DIR = {cache}
JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS = "0"
STORAGE_EMULATOR_HOST = {server}
"""


@pytest.fixture
def rehearse(tmp_path, bucket):
    """`rehearse(name)` is a run with a cloud of its own."""
    runs = []

    def make(name: str) -> Run:
        folder = tmp_path / name
        (folder / "programs").mkdir(parents=True)
        (folder / "programs" / "uv").write_text(UV)
        (folder / "programs" / "uv").chmod(0o755)
        cloud = Cloud(folder / "cloud").start(hosts=2, bin=str(folder / "programs"))
        run = Run(folder, cloud)
        runs.append(run)
        cache, server = json.dumps(str(tmp_path / "compiled")), json.dumps(bucket.url)
        run.config.write_text(CONFIG.format(cache=cache, server=server))
        return run

    yield make
    for run in runs:
        for node in run.cloud.nodes():
            run.cloud.forget_node(node)


def pretraining(data, workdir) -> list[str]:
    """The command: one for both workers, which differ by a variable alone."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    words = ["biobert", "pretrain", "--config", "experiments/pretrain_quickstart.py"]
    words += ["--workdir", str(workdir), f"--config.data.dir={data}", *SHRUNK]
    words += [f"--config.train.num_steps={STEPS}", "--config.train.checkpoint_every=5"]
    words += ["--config.train.eval_every=20", f"--coordinator=localhost:{port}"]
    words += ["--num_processes=2"]
    return ["sh", "-c", 'exec "$@" --process_id="$TPU_SCRIPTS_WORKER"', "sh", *words]


def test_preempted_three_times_it_ends_as_if_it_had_never_been(rehearse, bucket, data):
    undisturbed = rehearse("undisturbed")
    local = undisturbed.folder / "workdir"
    undisturbed("create", "--yes")
    undisturbed("setup")
    undisturbed("launch", "--", *pretraining(data, local))
    undisturbed("watch")
    assert lines(local)[-1]["step"] == STEPS

    run = rehearse("preempted")
    workdir = f"{bucket.bucket}/rehearsal/workdir"
    storage.upload_folder(data, f"{bucket.bucket}/rehearsal/data")
    run("create", "--yes")
    run("setup")
    run("launch", "--", *pretraining(f"{bucket.bucket}/rehearsal/data", workdir))
    said = open(run.folder / "watch.err", "w+")
    watch = run.process("watch", stderr=said)
    rng = random.Random(0)
    try:
        # Killed at once, told half a minute ahead, and killed while it is starting again.
        for number, grace in enumerate((0, 20, 0)):
            if number < 2:
                step = rng.randrange(STEPS // 3) + 1 + number * STEPS // 3
                wait_for(watch, said, lambda step=step: last_step(workdir) >= step)
            else:
                wait_for(watch, said, lambda: run.cloud.requests() == {"rehearsal": "ACTIVE"})
            time.sleep(rng.uniform(0, 6 if number == 2 else 0.5))
            run.cloud.set(grace=grace)
            run.cloud.preempt("rehearsal")
        code = watch.wait(600)
    finally:
        watch.kill()
        watch.wait()
    said.seek(0)
    assert code == 0, said.read()
    assert sum("create" in words for words in run.cloud.calls()) == 4
    assert run.cloud.requests() == {} and run.cloud.nodes() == []
    [ours, *_], [theirs, *_] = manifest.checkpoints_of(workdir), manifest.checkpoints_of(local)
    assert ours.name == theirs.name == str(STEPS) and manifest.check_files(ours) == []
    for item in ("params", "optimizer"):
        trees = [orbax.read_arrays(path / item) for path in (ours, theirs)]
        jax.tree.map(np.testing.assert_array_equal, *trees)
    assert lines(workdir) == lines(local)
    assert "lease" not in " ".join(bucket.names("rehearsal/"))


def last_step(workdir: str) -> int:
    """The last step whose metrics are in the bucket."""
    return max((line["step"] for line in lines(workdir)), default=0)


def wait_for(watch: subprocess.Popen, said, holds) -> None:
    """Waits for a moment of a run that is being watched."""
    while not holds():
        if watch.poll() is not None:
            said.seek(0)
            raise AssertionError(f"the run is over: {said.read()}")
        time.sleep(0.05)
