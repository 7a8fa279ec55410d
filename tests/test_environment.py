"""What other libraries are told before they are imported."""

import os
from pathlib import Path

import pytest

from biobert_jax import environment


def pci(folder, *chips):
    for number, (vendor, kind) in enumerate(chips):
        (folder / str(number)).mkdir()
        (folder / str(number) / "vendor").write_text(vendor + "\n")
        (folder / str(number) / "class").write_text(kind + "\n")
    return folder


@pytest.mark.parametrize(
    "chips, found",
    [
        ([], False),
        # Intel's bridge, and Google's network card and disk.
        ([("0x8086", "0x060000"), ("0x1ae0", "0x020000"), ("0x1ae0", "0x010802")], False),
        ([("0x1ae0", "0x020000"), ("0x1ae0", "0x120000")], True),  # something else: a TPU
    ],
)
def test_tpus_are_found_on_the_bus(tmp_path, chips, found):
    assert environment.has_tpu(pci(tmp_path, *chips)) is found


@pytest.fixture
def variables(monkeypatch):
    monkeypatch.setattr(os, "environ", {})
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: name == "libtpu")
    return os.environ


def test_libtpu_without_a_tpu_is_not_started(variables, monkeypatch):
    monkeypatch.setattr(environment, "has_tpu", lambda: False)
    monkeypatch.setattr(environment.Path, "exists", lambda path: False)
    environment.quiet_libraries()
    assert variables["JAX_PLATFORMS"] == "cpu"


def test_a_gpu_or_a_tpu_beside_it_is_found_by_jax(variables, monkeypatch):
    monkeypatch.setattr(environment, "has_tpu", lambda: False)
    monkeypatch.setattr(environment.Path, "exists", lambda path: True)
    environment.quiet_libraries()
    assert "JAX_PLATFORMS" not in variables and variables["TPU_SKIP_MDS_QUERY"] == "1"
    variables.clear()
    monkeypatch.setattr(environment, "has_tpu", lambda: True)
    environment.quiet_libraries()
    assert not any(name.startswith(("JAX", "TPU")) for name in variables)


def test_what_the_user_says_stands(variables, monkeypatch):
    monkeypatch.setattr(environment, "has_tpu", lambda: False)
    variables.update(JAX_PLATFORMS="tpu,cpu", TF_CPP_MIN_LOG_LEVEL="0")
    environment.quiet_libraries()
    assert variables["JAX_PLATFORMS"] == "tpu,cpu" and variables["TF_CPP_MIN_LOG_LEVEL"] == "0"


def test_compiled_programs_are_kept_by_kind_of_machine(variables, tmp_path, monkeypatch):
    variables["XDG_CACHE_HOME"] = str(tmp_path)
    environment.keep_compiled_programs()
    folder = Path(variables["JAX_COMPILATION_CACHE_DIR"])
    assert folder.parent == tmp_path / "biobert_jax/compiled" and folder.is_dir()
    kinds = []
    for number, flags in enumerate(("fpu avx2", "fpu avx2", "fpu avx512f")):
        (tmp_path / "cpuinfo").write_text(
            f"processor : 0\ncpu MHz : {number}\nflags : {flags}\nprocessor : 1\nflags : {flags}\n"
        )
        kinds.append(environment.kind_of_machine(tmp_path / "cpuinfo"))
    assert kinds[0] == kinds[1] != kinds[2]


@pytest.mark.parametrize("name", ["JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE"])
def test_a_users_own_cache_is_left_alone(variables, name, tmp_path):
    variables |= {"XDG_CACHE_HOME": str(tmp_path), name: ""}
    environment.keep_compiled_programs()
    assert variables[name] == "" and not any(tmp_path.iterdir())
    assert variables.get("JAX_COMPILATION_CACHE_DIR", "") == ""


def test_a_home_that_cannot_be_written_keeps_nothing(variables, tmp_path):
    (tmp_path / "file").write_text("")
    variables["XDG_CACHE_HOME"] = str(tmp_path / "file")
    environment.keep_compiled_programs()
    assert "JAX_COMPILATION_CACHE_DIR" not in variables


def test_an_emulator_of_buckets_is_named_once(monkeypatch):
    for name in ("EPATH_USE_TF", "TENSORSTORE_GCS_HTTP_URL", "GOOGLE_CLOUD_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "127.0.0.1:9000")
    environment.set_up_storage()
    assert os.environ["EPATH_USE_TF"] == "false"
    assert os.environ["TENSORSTORE_GCS_HTTP_URL"] == "http://127.0.0.1:9000"
    assert os.environ["GOOGLE_CLOUD_PROJECT"]
