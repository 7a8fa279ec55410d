"""A rehearsal of a run on spot TPUs: created, set up, launched, preempted, and carried to its end.

gcloud is the tests' (tests/tpu_scripts/fake_gcloud.py): its two workers are folders, and what is
sent to them runs as real processes, which meet by jax.distributed.
"""

import json
import random
import socket
import subprocess
import time

import pytest

from benchmarks.resume_kills import compare, last_step
from tests.end_to_end.conftest import SHRUNK
from tests.tpu_scripts.conftest import UV, Run
from tests.tpu_scripts.fake_gcloud import Cloud

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

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
"""


@pytest.fixture
def rehearse(tmp_path, data):
    """`rehearse(name)` is a run whose TPUs are there and set up, and its command."""
    runs = []

    def make(name: str) -> tuple[Run, list[str]]:
        folder = tmp_path / name
        (folder / "programs").mkdir(parents=True)
        (folder / "programs" / "uv").write_text(UV)
        (folder / "programs" / "uv").chmod(0o755)
        cloud = Cloud(folder / "cloud").start(hosts=2, bin=str(folder / "programs"))
        run = Run(folder, cloud)
        runs.append(run)
        run.config.write_text(CONFIG.format(cache=json.dumps(str(tmp_path / "compiled"))))
        return run, pretraining(data, folder / "workdir")

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


def test_preempted_three_times_it_ends_as_if_it_had_never_been(rehearse):
    undisturbed, command = rehearse("undisturbed")
    undisturbed("create", "--yes")
    undisturbed("setup")
    undisturbed("launch", "--", *command)
    assert undisturbed("watch").stderr.count("request rehearsal: ACTIVE") == 0
    assert last_step(undisturbed.folder / "workdir") == STEPS

    run, command = rehearse("preempted")
    run("create", "--yes")
    run("setup")
    run("launch", "--", *command)
    watch = run.process("watch", stderr=open(run.folder / "watch.err", "w"))
    rng = random.Random(0)
    workdir = run.folder / "workdir"
    try:
        # Killed at once, told half a minute ahead, and killed while it is starting again.
        for number, grace in enumerate((0, 20, 0)):
            if number < 2:
                step = rng.randrange(STEPS // 3) + 1 + number * STEPS // 3
                wait_for(watch, lambda step=step: last_step(workdir) >= step)
            else:
                wait_for(watch, lambda: run.cloud.requests() == {"rehearsal": "ACTIVE"})
                time.sleep(rng.uniform(0, 6))
            run.cloud.set(grace=grace)
            run.cloud.preempt("rehearsal")
        code = watch.wait(600)
    finally:
        watch.kill()
        watch.wait()
    said = (run.folder / "watch.err").read_text()
    assert code == 0, said
    assert sum("create" in words for words in run.cloud.calls()) == 4
    assert run.cloud.requests() == {} and run.cloud.nodes() == []
    assert compare(workdir, undisturbed.folder / "workdir") == ""


def wait_for(watch: subprocess.Popen, holds) -> None:
    """Waits for a moment of a run that is being watched."""
    while not holds():
        assert watch.poll() is None, "the run is over"
        time.sleep(0.02)
