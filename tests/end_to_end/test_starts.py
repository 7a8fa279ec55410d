"""A second start finds what the first one compiled, also where hosts have no cache in common."""

import re
import shutil
import socket

import pytest

from tests.end_to_end.conftest import pretrain_command
from tests.training.test_joining import slurm, start

PROGRAM = """
from biobert_jax.environment import keep_compiled_programs, set_up_storage
set_up_storage()
keep_compiled_programs()
import jax, sys
from biobert_jax.training.compiled import share_compiled_programs
share_compiled_programs(sys.argv[1])
events = []
jax.monitoring.register_event_listener(lambda event, **_: events.append(event))
print(jax.jit(lambda x: x + 1)(1), "/jax/compilation_cache/cache_hits" in events)
"""
HIT = re.compile(r"[Cc]ache hit for '(jit_\w+)'")


def run(words, cache, *, processes, **more):
    """Starts the command as Slurm would, without options; what each said on both outputs."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = str(free.getsockname()[1])
    variables = {
        "XDG_CACHE_HOME": str(cache),
        "JAX_COORDINATOR_PORT": port,
        "JAX_DEBUG_LOG_MODULES": "jax._src.compiler",
        **more,
    }
    started = [
        start(["-m", "biobert_jax", *words], {**slurm(index, processes), **variables})
        for index in range(processes)
    ]
    said = [process.communicate(timeout=300) for process in started]
    assert [process.returncode for process in started] == [0] * processes, said
    return said


def test_a_workdir_in_a_bucket_keeps_the_programs(bucket, tmp_path, monkeypatch):
    """Whose machine may be gone at the next start: each has a cache of its own here."""
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    for machine, expected in (("one", "2 False\n"), ("another", "2 True\n")):
        variables = {"XDG_CACHE_HOME": str(tmp_path / machine)}
        process = start(["-c", PROGRAM, "gs://bucket/run"], variables)
        out, error = process.communicate(timeout=120)
        assert (process.returncode, out) == (0, expected), error


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_processes_share_their_programs(data, tmp_path, monkeypatch):
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    workdir, words = tmp_path / "run", pretrain_command(data, tmp_path / "run")
    first = run(words, tmp_path / "cache", processes=2)
    assert "done" in first[0][0] and not any("jit_update" in HIT.findall(e) for _, e in first)
    assert list((workdir / "compiled").rglob("jit_update-*"))
    shutil.rmtree(workdir / "checkpoints")
    for path in [*workdir.glob("*.json*"), *workdir.glob("events*")]:
        path.unlink()
    second = run(words, tmp_path / "cache", processes=2)
    # Process 0's: on CPUs the other's keys are its own, see `training.compiled`.
    assert {"jit_update", "jit_sums"} <= set(HIT.findall(second[0][1]))
    assert second[0][0].splitlines()[-1] == first[0][0].splitlines()[-1]
