"""Processes that a cluster started, noticed by what it says, in real processes on one machine."""

import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import jax
import jaxlib
import pytest
from jax._src.clusters import cloud_tpu_cluster, cluster

import biobert_jax
from biobert_jax import cli
from biobert_jax.errors import UserError
from biobert_jax.training import clusters
from biobert_jax.training.joining import find_meeting, initialize, refuse_several
from biobert_jax.training.roll_call import roll_call

OURS = ("SLURM_", "OMPI_", "PMI_", "TPU_", "MEGASCALE_", "KUBERNETES_", "JOB_COMP", "JAX_PLAT")


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    """The tests' own machine may be a cluster's."""
    for name in os.environ:
        if name.startswith(OURS):
            monkeypatch.delenv(name)


def slurm(index, tasks=2, step=None, nodes=None, **more):
    return {
        "SLURM_JOB_ID": "61",
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": str(tasks),
        "SLURM_STEP_NUM_TASKS": str(step or tasks),
        "SLURM_STEP_NUM_NODES": str(nodes or tasks),
        "SLURM_PROCID": str(index),
        "SLURM_LOCALID": "0",
        **more,
    }


def open_mpi(index, tasks=2):
    return {
        "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://127.0.0.1:34911",
        "OMPI_COMM_WORLD_SIZE": str(tasks),
        "OMPI_COMM_WORLD_RANK": str(index),
        "OMPI_COMM_WORLD_LOCAL_RANK": str(index),
        "OMPI_COMM_WORLD_LOCAL_SIZE": str(tasks),
    }


def tpu_slice(index, tasks=2):
    """Of GKE; JAX_FORCE_TPU_INIT makes JAX take a machine without chips for a TPU VM."""
    return {
        "JAX_FORCE_TPU_INIT": "1",
        "TPU_WORKER_HOSTNAMES": ",".join(["localhost"] * tasks),
        "TPU_WORKER_ID": str(index),
        # What is not said here, JAX asks the machine's metadata server.
        "MEGASCALE_NUM_SLICES": "1",
        "MEGASCALE_SLICE_ID": "0",
        "MEGASCALE_COORDINATOR_ADDRESS": "localhost",
    }


def found(monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return clusters.find()


@pytest.mark.parametrize(
    "variables, expected",
    [
        (slurm(1, 4), ("Slurm", 4, 1, None)),
        # Four tasks on two hosts: each takes one GPU, but for those that Slurm shows one alone.
        (slurm(1, 4, nodes=2, SLURM_LOCALID="1"), ("Slurm", 4, 1, [1])),
        (slurm(1, 4, nodes=2, SLURM_LOCALID="1", CUDA_VISIBLE_DEVICES="3"), ("Slurm", 4, 1, None)),
        (open_mpi(1), ("Open MPI", 2, 1, [1])),
    ],
)
def test_one_of_several(monkeypatch, variables, expected):
    assert found(monkeypatch, variables)[:4] == expected


@pytest.mark.parametrize(
    "variables",
    [
        {},
        slurm(0, 1),
        slurm(0, 8, step=1),  # a shell inside a job of eight tasks
        # The batch script of a job, not started by srun.
        {k: v for k, v in slurm(0, 4).items() if "STEP" not in k},
        open_mpi(0, 1),
        {"KUBERNETES_SERVICE_HOST": "10.0.0.1"},  # a pod of no job
        {"PMI_SIZE": "1"},
    ],
)
def test_a_process_alone_waits_for_nobody(monkeypatch, variables):
    assert found(monkeypatch, variables) is None
    initialize(detect="auto")


@pytest.mark.parametrize(
    "variables, message",
    [
        ({"OMPI_COMM_WORLD_SIZE": "2"}, r"--process_id \$OMPI_COMM_WORLD_RANK"),
        ({"PMI_SIZE": "2"}, r"--process_id \$PMI_RANK"),
        # Hydra starts its proxies by srun: one a host, each with two processes.
        ({**slurm(0, 1), "PMI_SIZE": "2"}, r"--process_id \$PMI_RANK"),
        (
            {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "1"},
            "pod 1 of a Kubernetes job",
        ),
        ({**slurm(0), "SLURM_PROCID": "x"}, "Slurm: its processes cannot be found out"),
    ],
)
def test_several_that_cannot_find_each_other_are_refused(monkeypatch, variables, message):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=message) as raised:
        found(monkeypatch, variables)
    assert "--distributed=off" in str(raised.value)
    assert find_meeting(None, None, None, detect="off") is None


def test_a_tpu_vm_asks_its_metadata(monkeypatch):
    """On TPU VMs of Compute Engine the workers are named by the metadata server alone."""
    answers = {"agent-worker-number": "1", "worker-network-endpoints": "a:1:10.0.0.2,b:2:10.0.0.3"}
    answers["tpu-env"] = "MEGASCALE_NUM_SLICES: '1'"
    monkeypatch.setattr(cloud_tpu_cluster, "running_in_cloud_tpu_vm", True)
    monkeypatch.setattr(cluster, "running_in_cloud_tpu_vm", True)
    monkeypatch.setattr(cloud_tpu_cluster, "get_metadata", lambda key: (answers[key], 200))
    assert clusters.find()[:4] == ("TPU slice", 2, 1, None)
    assert find_meeting(None, None, None, detect="auto")[:3] == ("10.0.0.2:8482", 2, 1)
    # Where libtpu would wait for the other host, one host alone is refused at once.
    monkeypatch.setenv("JAX_PLATFORMS", "tpu,cpu")
    for alone in (lambda: initialize(detect="off"), refuse_several):
        with pytest.raises(UserError, match="one of 2 hosts of a TPU slice"):
            alone()
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    initialize(detect="off")
    refuse_several()
    answers["worker-network-endpoints"] = "a:1:10.0.0.2"
    assert clusters.find() is None

    def unreachable(key):
        raise OSError("no route to host")

    monkeypatch.setattr(cloud_tpu_cluster, "get_metadata", unreachable)
    with pytest.raises(UserError, match="TPU slice: .*no route to host"):
        clusters.find()
    monkeypatch.setenv("TPU_WORKER_HOSTNAMES", "localhost")  # Colab
    assert clusters.find() is None


@pytest.mark.parametrize("verb", ["predict", "evaluate", "convert"])
def test_verbs_of_one_process_are_refused_in_several(monkeypatch, capsys, tmp_path, verb):
    for name, value in slurm(1).items():
        monkeypatch.setenv(name, value)
    (tmp_path / "x.txt").write_text("No fever.")
    words = {
        "predict": ["--checkpoint", "c", "--input", str(tmp_path / "x.txt")],
        "evaluate": ["--checkpoint", "c", "--data", str(tmp_path / "x.txt")],
        "convert": ["--from", "c", "--to", str(tmp_path / "c"), "--format", "hf"],
    }[verb]
    assert cli.main([verb, *words]) == 1
    assert "Slurm started 2 processes, and this command works in one" in capsys.readouterr().err
    assert cli.main([verb, *words, "--distributed=off"]) == 1
    assert "c: no such" in capsys.readouterr().err


def test_other_versions_are_refused_before_jax_joins(port):
    """JAX would hang, or end with a stack of C++."""
    versions = {"biobert_jax": biobert_jax.__version__, "jax": "0.1", "jaxlib": jaxlib.__version__}
    address = f"localhost:{port}"
    with ThreadPoolExecutor(1) as pool:
        pool.submit(roll_call, address, 2, 0, versions, timeout=20)
        with pytest.raises(UserError, match=f"process 1 has jax {jax.__version__}, process 0 0.1"):
            initialize(address, 2, 1, timeout=20)


PROGRAM = (
    "from biobert_jax.environment import quiet_libraries; quiet_libraries()\n"
    "from biobert_jax.training.joining import initialize\n"
    "initialize(detect='auto')\n"
    "import jax; print(jax.process_index(), jax.process_count(), jax.device_count())"
)


def start(words, variables):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
    return subprocess.Popen(
        [sys.executable, *words],
        env={**environment, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def port():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return str(free.getsockname()[1])


@pytest.mark.parametrize("kind", [slurm, pytest.param(open_mpi, marks=pytest.mark.slow), tpu_slice])
def test_two_join_without_being_told(kind, port):
    processes = [
        start(["-c", PROGRAM], {**kind(index), "JAX_COORDINATOR_PORT": port}) for index in (0, 1)
    ]
    said = [process.communicate(timeout=60) for process in processes]
    lines = [out.splitlines()[-1] for out, _ in said]  # behind gloo's own
    assert lines == ["0 2 2", "1 2 2"], said


@pytest.mark.parametrize(
    "verb, index",
    [
        ("finetune", 1),
        pytest.param("pretrain", 0, marks=pytest.mark.slow),
        pytest.param("pretrain", 1, marks=pytest.mark.slow),
        pytest.param("finetune", 0, marks=pytest.mark.slow),
    ],
)
def test_one_started_alone_ends_in_a_line(tmp_path, port, verb, index):
    """By the command, on either host of two."""
    config = {"pretrain": "pretrain_quickstart", "finetune": "ner:quickstart"}[verb]
    words = ["-m", "biobert_jax", verb, "--config", config, "--workdir", str(tmp_path / "w")]
    words += ["--config.data.dir=x", "--config.init=x", "--join_timeout", "2"]
    started = time.monotonic()
    process = start(words, {**slurm(index), "JAX_COORDINATOR_PORT": port})
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1 and not out
    (line,) = err.splitlines()
    who = ["process 1 of 2 did not come", "process 0 of 2 did not answer process 1"][index]
    assert who in line and "within 2 s" in line
    assert time.monotonic() - started < 60 and not (tmp_path / "w").exists()
