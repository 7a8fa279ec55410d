"""Pre-training by its command in several processes: a short form of the benchmark's failures."""

import os
import subprocess
import sys

import pytest

from biobert_jax import cli
from tests.end_to_end.conftest import ROOT, prepare_command, pretrain_command


def test_options_that_do_not_go_together_are_one_line(data, tmp_path, capsys):
    command = pretrain_command(data, tmp_path / "run", "--num_processes", "2")
    assert cli.main(command) == 1
    error = capsys.readouterr().err.strip()
    assert "--coordinator, --process_id not given" in error and "\n" not in error
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_one_of_two_dies_stands_still_or_is_told_to_stop(vocab, tmp_path):
    assert cli.main(prepare_command(vocab, tmp_path / "data", "--shards", "4")) == 0
    (tmp_path / "runs").mkdir()
    done = subprocess.run(
        [sys.executable, "benchmarks/multiprocess_failures.py", "--data", str(tmp_path / "data")]
        + ["--scratch", str(tmp_path / "runs"), "--processes", "2", "--times", "1"]
        + ["--steps", "60"],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 of 3: ended in time" in done.stdout
