"""Each line of `biobert doctor`: what it guards is broken, and it says so; alone it is all well."""

import json
import socket
import types

import jax
import pytest

from biobert_jax import cli, storage
from biobert_jax.doctor import compare, devices, host
from biobert_jax.errors import UserError
from biobert_jax.model import kernel_checks
from tests.model.test_kernel_checks import wrong as wrong_attention
from tests.training.test_joining import slurm, start


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    return folder


@pytest.fixture
def doctor(capsys, tmp_path, monkeypatch):
    """Runs it on this machine; returns {check: (ok, text)}."""
    monkeypatch.setenv("BIOBERT_STORAGE_PATIENCE", "30")

    def run(*words):
        path = tmp_path / "findings.json"
        code = cli.main(["doctor", *map(str, words), "--json", str(path)])
        shown = capsys.readouterr().out.splitlines()
        findings = json.loads(path.read_text())
        assert len(shown) == len(findings)
        for line, each in zip(shown, findings, strict=True):
            assert ("  ok  " in line) == each["ok"] and ("  WRONG  " in line) != each["ok"]
            assert line.endswith(each["text"])
        assert code == (0 if all(each["ok"] for each in findings) else 1)
        return {each["check"]: (each["ok"], each["text"]) for each in findings}

    return run


def is_wrong(findings, check, *words, alone=True):
    ok, text = findings[check]
    assert not ok and all(word in text for word in words), text
    assert not alone or [name for name, (fine, _) in findings.items() if not fine] == [check]


def test_a_laptop_needs_no_argument(doctor):
    findings = doctor()
    assert all(ok for ok, _ in findings.values()), findings
    assert list(findings) == [
        *("devices", "kernels", "device memory", "memory", "disk", "versions", "clock")
    ]
    assert f"jax {jax.__version__}" in findings["versions"][1]


def test_a_run_is_looked_at_and_nothing_is_left(doctor, tmp_path, data):
    workdir = tmp_path / "runs/new"
    findings = doctor(
        *("--config", "pretrain_quickstart", "--workdir", workdir, f"--config.data.dir={data}")
    )
    assert all(ok for ok, _ in findings.values()), findings
    assert "needed" in findings["memory"][1] and "needed" in findings["disk"][1]
    assert not list(tmp_path.glob("**/.biobert*")) and not workdir.exists()


def test_devices(doctor, monkeypatch):
    here = jax.device_count()
    assert doctor("--topology", here)["devices"][0]
    is_wrong(doctor("--topology", here + 1), "devices", f"has {here + 1} chips: start all")
    is_wrong(doctor("--topology", "v5e:2x2"), "devices", "is of TPU v5e, these are cpu")
    monkeypatch.setattr(devices, "has_tpu", lambda: True)
    is_wrong(doctor(), "devices", "this machine has a TPU")
    monkeypatch.setenv("TPU_ACCELERATOR_TYPE", "v4-16")
    assert devices.expected(None).chips == 8  # v4 counts cores


def test_devices_of_several_hosts():
    facts = {"local": 4, "all": 8, "chips": 8, "chip": "TPU v5e", "kind": "TPU v5 lite"}
    facts["wrong"] = []
    assert all(each.ok for each in compare.devices([facts, facts], None))
    # One host was started twice, or not at all; and one has lost chips.
    [only] = compare.devices([facts], None)
    assert not only.ok and "have 4 together" in only.text
    first, second = compare.devices([facts, {**facts, "local": 3}], None)
    assert not second.ok and "process 0 has 4 TPU v5 lite" in second.text


def test_config(doctor):
    words = ("--config", "pretrain_quickstart", "--config.mesh.layout=fsdp+tp")
    is_wrong(doctor(*words, "--config.mesh.tensor=7"), "config", "mesh.tensor 7")


def test_kernels(doctor, monkeypatch):
    words = ("--config", "pretrain_quickstart", "--config.model.attention=fused")
    words += ("--config.model.max_position_embeddings=32",)
    assert doctor(*words)["kernels"][0]
    monkeypatch.setattr(kernel_checks, "attention", wrong_attention)
    is_wrong(doctor(*words), "kernels", "differs by", "model.attention to 'xla'")


def test_memory_and_disk(doctor, monkeypatch, tmp_path):
    words = ("--config", "pretrain_quickstart", "--workdir", tmp_path)
    large = ("--config.model.hidden_size=65536", "--config.model.num_hidden_layers=99")
    findings = doctor(*words, *large)
    is_wrong(findings, "memory", "TB needed", alone=False)
    is_wrong(findings, "disk", "TB of disk are needed", alone=False)
    monkeypatch.setattr(host, "free_bytes", lambda place: 1000)
    is_wrong(doctor(*words), "disk", "1.0 kB are free")


def test_memory_is_what_the_container_leaves(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal: 99 kB\nMemAvailable: 8 kB\n")
    assert host.available_memory(tmp_path / "meminfo", tmp_path) == 8192
    (tmp_path / "memory.max").write_text("max\n")
    assert host.available_memory(tmp_path / "meminfo", tmp_path) == 8192
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("4000\n")
    assert host.available_memory(tmp_path / "meminfo", tmp_path) == 1000


def test_device_memory(doctor, monkeypatch):
    chip = types.SimpleNamespace(
        memory_stats=lambda: {"bytes_limit": 16 * 10**9, "bytes_in_use": 10**9}
    )
    monkeypatch.setattr(devices.jax, "local_devices", lambda: [chip])
    assert devices.device_memory(14 * 10**9) == "15.0 GB free a device, 14.0 GB of state"
    large = ("--config.model.hidden_size=4096", "--config.model.num_hidden_layers=99")
    findings = doctor("--config", "pretrain_quickstart", *large)
    is_wrong(findings, "device memory", "15.0 GB free on a device", alone=False)


def test_a_workdir_that_cannot_be_written(doctor, tmp_path, monkeypatch):
    findings = doctor("--workdir", "/proc/none/run")
    is_wrong(findings, "workdir", "/proc: cannot be written", alone=False)
    (tmp_path / "here").mkdir()
    monkeypatch.setattr(host.Path, "read_bytes", lambda path: b"")
    is_wrong(doctor("--workdir", tmp_path / "here"), "workdir", "is not read back")


def test_data_that_cannot_be_read(doctor, tmp_path, data):
    assert doctor("--data", data)["data"][0]
    is_wrong(doctor("--data", tmp_path / "none"), "data", "none: cannot be read (No such file")
    (tmp_path / "empty").mkdir()
    is_wrong(doctor("--data", tmp_path / "empty"), "data", "no file is there")


def test_buckets(doctor, bucket):
    words = ("--workdir", "gs://bucket/doctor/run")
    findings = doctor(*words)
    assert all(ok for ok, _ in findings.values()), findings
    assert "bucket's" in findings["clock"][1] and "disk" not in findings
    assert not [name for name in bucket.names() if "doctor" in name]
    is_wrong(doctor("--workdir", "gs://no-such-bucket/run"), "workdir", "no-such-bucket")
    is_wrong(doctor("--data", "gs://bucket/nothing"), "data", "nothing is there")
    storage.write_bytes("gs://bucket/doctor/data/manifest.json", b"{}")
    findings = doctor("--data", "gs://bucket/doctor/data")
    assert findings["data"][0] and "20.0 GB needed" in findings["staging disk"][1]
    for request in ("POST /upload", "DELETE "):
        with bucket.refusing((request, 403)):
            is_wrong(doctor(*words), "workdir", "gs://bucket")


def test_clocks():
    fine = compare.clocks([100.0, 100.4], [None, None])
    assert [each.ok for each in fine] == [True, True] and "+0.4 s" in fine[1].text
    assert [each.ok for each in compare.clocks([100.0, 110.0], [None, None])] == [True, False]
    [alone] = compare.clocks([100.0], [-300.0])
    assert not alone.ok and "+300 s of the bucket's" in alone.text


# What process 1 has otherwise.
OTHERWISE = """
from biobert_jax.doctor import examine, host
versions = host.versions
host.versions = lambda: {**versions(), %r: "0.1"}
time = examine.time.time
examine.time = type("time", (), {"time": staticmethod(lambda: time() + 1000)})
"""
RUN = """
import sys
from biobert_jax import cli, storage
sys.exit(cli.main(["doctor", "--workdir", sys.argv[1]]))
"""


@pytest.mark.parametrize("place", ["{tmp_path}", "gs://bucket/doctor/shared"])
def test_a_workdir_that_hosts_do_not_share(place, bucket, tmp_path):
    mark = host.leave_mark(place.format(tmp_path=tmp_path))
    assert host.see_mark(mark) == "what process 0 wrote is there"
    host.remove_mark(mark)
    with pytest.raises(UserError, match="what process 0 wrote is not there: give a workdir"):
        host.see_mark(mark)
    assert host.leave_mark("/proc/none") == ""


@pytest.mark.parametrize("package", ["flax", pytest.param("jax", marks=pytest.mark.slow)])
def test_two_hosts_that_differ(package, monkeypatch, tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = {"JAX_COORDINATOR_PORT": str(free.getsockname()[1])}
    programs = [RUN, OTHERWISE % package + RUN]
    processes = [
        start(["-c", program, str(tmp_path)], {**slurm(index), **port})
        for index, program in enumerate(programs)
    ]
    said = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [1, 1], said
    lines = [line.split(maxsplit=2) for line in said[0][0].splitlines() if line[:1] in "01"]
    wrong = [(index, rest) for index, _, rest in lines if "  WRONG  " in rest]
    assert {index for index, _ in wrong} == ({"1"} if package == "flax" else {"0", "1"})
    texts = " ".join(rest for _, rest in wrong)
    assert f"{package} 0.1, not " in texts and "+1000" in texts
    assert ("not looked at" in texts) == (package == "jax")
    if package == "flax":
        assert "1 of 2 cpu (2 chips in all)" in said[0][0]
    assert "ok     what process 0 wrote is there" in said[0][0] and not list(tmp_path.iterdir())
