"""The pod's experiment, shrunk: LAMB on short rows and then on long ones, from exported arrays."""

import json
import shutil
import socket
import threading

import jax
import numpy as np
import pytest
from jax._src.dispatch import BACKEND_COMPILE_EVENT
from jax._src.monitoring import unregister_event_duration_listener

from biobert_jax import cli
from biobert_jax.checkpoints import manifest, orbax
from biobert_jax.checkpoints.tree import flatten
from biobert_jax.training import pretrain
from tests.end_to_end.conftest import ROOT, SHRUNK, prepare_command
from tests.training.test_joining import slurm, start

# Phases have batch sizes of their own; what is not in the pod's config of the shrunk quickstart's.
OVERRIDES = [
    *(option for option in SHRUNK if "batch_size" not in option and "optimizer" not in option),
    "--config.model.num_hidden_layers=1",
    "--config.model.dtype=float32",
    "--config.train.gradient_dtype=float32",
    "--config.data.phases.0.batch_size=16",
    "--config.data.phases.1.batch_size=8",
    "--config.data.phases.1.start_step=5",
]


@pytest.fixture(scope="module")
def folders(data, vocab, tmp_path_factory):
    """Rows of 32 as prepared, and rows of 64 as exported arrays."""
    root = tmp_path_factory.mktemp("phases")
    words = prepare_command(vocab, root / "short")
    words[words.index("--max_seq_length") + 1] = "32"
    assert cli.main(words) == 0
    assert cli.main(["export", str(data), "--output", str(root / "long")]) == 0
    return root


def command(folders, workdir, *more):
    config = str(ROOT / "experiments/pretrain_pod.py")
    folder = [
        f"--config.data.phases.{i}.dir={folders / n}" for i, n in enumerate(("short", "long"))
    ]
    options = [*folder, *OVERRIDES, *more]
    return ["pretrain", "--config", config, "--workdir", str(workdir), *options]


def train(folders, workdir, *more):
    return cli.main(command(folders, workdir, *more))


@pytest.fixture(scope="module")
def whole_run(folders, tmp_path_factory):
    """Its workdir, and of each compilation: thread, program, whether the later phase had begun."""
    compiled, shapes = [], set()

    def listen(event, seconds, **more):
        if event == BACKEND_COMPILE_EVENT:
            thread = threading.current_thread().name
            compiled.append((thread, more.get("fun_name"), len(shapes) > 1))

    def device_batch(mesh, batch, place=pretrain.device_batch):
        shapes.add(batch["input_ids"].shape)
        return place(mesh, batch)

    workdir = tmp_path_factory.mktemp("trained") / "run"
    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(pretrain, "device_batch", device_batch)
            assert train(folders, workdir) == 0
    finally:
        unregister_event_duration_listener(listen)
    return workdir, compiled


@pytest.fixture(scope="module")
def trained(whole_run):
    return whole_run[0]


def test_a_phase_finds_its_step_compiled(whole_run):
    """By a thread beside the first phase; the loop itself compiles nothing from then on."""
    compiled = whole_run[1]
    steps = [thread for thread, name, _ in compiled if "update" in name]
    assert steps == ["MainThread", "compile-ahead"]
    main = [(name, later) for thread, name, later in compiled if thread == "MainThread"]
    assert [name for name, later in main if later] == []


def training_lines(workdir):
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text().splitlines())
    return [line for line in lines if "loss" in line]


def test_the_schedule_runs_through_the_phases(trained):
    lines = training_lines(trained)
    rates = [line["learning_rate"] for line in lines]
    # Warm-up of one step, then a line to zero at step 8, whatever the phase.
    expected = [0.0] + [2e-3 * (1 - step / 8) for step in range(1, 8)]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_compile_ahead_beside_their_collectives(folders, trained, tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = {"JAX_COORDINATOR_PORT": str(free.getsockname()[1])}
    words = ["-m", "biobert_jax", *command(folders, tmp_path / "run")]
    processes = [start(words, {**slurm(index), **port}) for index in (0, 1)]
    said = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    ours, expected = training_lines(tmp_path / "run"), training_lines(trained)
    assert [line["batch_crc"] for line in ours] == [line["batch_crc"] for line in expected]
    for one, other in zip(ours, expected, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-4)


# From step 4 the run goes through the change of phase; from 6 its step is not compiled ahead.
@pytest.mark.parametrize("step", [4, 6])
def test_a_run_goes_on_in_either_phase_bit_for_bit(trained, folders, tmp_path, step):
    shutil.copytree(trained, tmp_path / "run")
    for path in manifest.checkpoints_of(tmp_path / "run"):
        if int(path.name) > step:
            shutil.rmtree(path)
    assert train(folders, tmp_path / "run") == 0
    assert [x["batch_crc"] for x in training_lines(tmp_path / "run")] == [
        x["batch_crc"] for x in training_lines(trained)
    ]
    ours, theirs = (
        flatten(orbax.restore_params(manifest.checkpoints_of(workdir)[0]))
        for workdir in (tmp_path / "run", trained)
    )
    assert all(np.array_equal(ours[path], theirs[path]) for path in theirs)


@pytest.mark.parametrize(
    "override, word",
    [
        ("data.phases.1.start_step=0", "must start at 0, and each later"),
        ("data.phases.1.start_step=8", "has a phase from step 8 on"),
        ("data.phases.2.dir=x", "is a list of 2"),
        ("data.dir=x", "both set"),
        ("data.phases.1.batch_size=0", "at least 1"),
    ],
)
def test_phases_that_do_not_fit_are_refused(folders, tmp_path, capsys, override, word):
    assert train(folders, tmp_path / "run", f"--config.{override}") == 1
    [line] = [x for x in capsys.readouterr().err.splitlines() if "error" in x]
    assert word in line
