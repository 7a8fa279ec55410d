"""The config of the scripts: what is refused, by key, in one line."""

import re
import runpy
import sys

import pytest
from pod import config
from pod.accelerators import accelerator
from pod.main import main

from tests.tpu_scripts.conftest import CONFIG, ROOT, SCRIPTS


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("slices = 2", "slicse = 2", "tpu.slicse: no such key; did you mean tpu.slices?"),
        ("[watch]", "[wach]", "wach: no such key; did you mean watch?"),
        ("slices = 2", 'slices = "2"', "tpu.slices = '2': it must be a whole number"),
        ("poll_seconds = 0.05", "poll_seconds = 0", "poll_seconds = 0: more than 0"),
        ("slices = 2", "slices = 0", "tpu.slices = 0: at least one"),
        ('zone = "us-east5-a"', "", "zone is missing"),
        ('"demo"', '"Demo run"', "name = 'Demo run': it names requests"),
        ('"demo"', '"-x"', "name = '-x': it names requests"),
        ('"us-east5-a"', '"--force"', "zone = '--force': that is no zone's name"),
        ('"v5e-8"', '"v7-8"', "tpu.accelerator_type: 'v7-8' is none of v4-N, v5litepod-N"),
        ('"v5e-8"', '"v5e-6"', "no slice is a v5e-6: v5litepod-N counts chips"),
        ('"v5e-8"', '"v4-9"', "no slice is a v4-9: v4-N counts cores, two a chip"),
        ("slices = 2", 'capacity = "spto"', "tpu.capacity = 'spto': did you mean spot?"),
        ("[watch]", '[env]\n"A B" = "x"\n[watch]', "env: 'A B' is no name of an environment var"),
        ("[watch]", "[env]\nA = 1\n[watch]", "env = {'A': 1}: it must be a table of texts"),
        ("[watch]", '[env]\nA = "\\u0000"\n[watch]', "it must be a table of texts"),
        ("slices = 2", "slices = ", "Invalid value"),
    ],
)
def test_a_fault_is_one_line_that_names_the_key(tmp_path, capsys, old, new, said):
    text = CONFIG.format(top="", tpu="", watch="", tables="")
    assert old in text
    path = tmp_path / "run.toml"
    path.write_text(text.replace(old, new, 1))
    assert main("status", ["--config", str(path), "--dry_run"]) == 1
    [error] = capsys.readouterr().err.splitlines()
    assert error.startswith(f"error: {path}: ") and said in error


def test_no_file_and_unknown_options(run, tmp_path):
    run.config.unlink()
    assert "no such file; copy tpu_scripts/example.toml" in run.fails("create")
    assert run("create", "--dryrun", code=2).stderr.count("\n") == 2
    assert "nothing comes behind --" in run("status", "--", "x", code=2).stderr


def test_the_example_is_complete_and_shows_the_defaults(tmp_path):
    text = (SCRIPTS / "example.toml").read_text()
    loaded = config.load(SCRIPTS / "example.toml")
    # With every key that is commented out brought in, nothing changes but the examples' own.
    whole = tmp_path / "whole.toml"
    whole.write_text(re.sub(r"^# (\w+ = )", r"\1", text, flags=re.M))
    changed = config.load(whole)
    shown = {"fetch", "secrets", "env"}
    for name in ("poll_seconds", "deadlines", "setup", "watch"):
        if name != "setup":
            assert getattr(changed, name) == getattr(loaded, name)
    for name in shown:
        assert getattr(changed, name) != getattr(loaded, name)
    keys = set(re.findall(r"^(?:# )?(\w+) = ", text, flags=re.M))
    known = {
        field
        for kind in (
            config.Config,
            config.Tpu,
            config.Deadlines,
            config.Ssh,
            config.Setup,
            config.Watch,
        )
        for field in kind.__dataclass_fields__
    }
    tables = {"tpu", "deadlines", "ssh", "setup", "watch", "env", "path"}
    assert known - tables <= keys


@pytest.mark.parametrize(
    "name, chips, hosts, image",
    [
        ("v4-32", 16, 4, "tpu-ubuntu2204-base"),
        ("v5litepod-8", 8, 1, "v2-alpha-tpuv5-lite"),
        ("v5e-16", 16, 4, "v2-alpha-tpuv5-lite"),
        ("v5p-8", 4, 1, "v2-alpha-tpuv5"),
        ("v6e-256", 256, 64, "v2-alpha-tpuv6e"),
    ],
)
def test_accelerators(name, chips, hosts, image):
    one = accelerator(name)
    assert (one.chips, one.hosts, one.runtime_version) == (chips, hosts, image)


def test_the_lock_for_workers_has_what_a_pod_needs():
    lock = (ROOT / config.Setup().lock).read_text()
    assert {"jax", "libtpu", "gcsfs"} <= set(re.findall(r"^([\w-]+)==", lock, flags=re.M))


def test_an_old_python_is_told_so(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 12))
    with pytest.raises(SystemExit, match="need Python 3.11 or newer"):
        runpy.run_path(str(SCRIPTS / "pod" / "__init__.py"))


def test_the_scripts_are_not_in_the_package():
    assert "tpu_scripts" not in (ROOT / "setup.py").read_text()
