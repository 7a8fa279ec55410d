"""Short forms of `benchmarks/resume_kills.py`, and a run that stops being finite."""

import os
import subprocess
import sys

import pytest

from biobert_jax import cli
from tests.end_to_end.conftest import ROOT, pretrain_command


@pytest.mark.slow
def test_a_run_that_is_not_finite_stops_and_says_what_is_good(data, tmp_path, capsys):
    more = ["--config.optimizer.learning_rate=1e30", "--config.optimizer.warmup_steps=6"]
    more += ["--config.train.max_nonfinite_steps=3", "--config.train.num_steps=100"]
    assert cli.main(pretrain_command(data, tmp_path / "run", *more)) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: step ") and "not finite in 3 updates in a row" in error
    assert f"the last good checkpoint is {tmp_path}/run/checkpoints/" in error
    assert "lower optimizer.learning_rate" in error


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_and_terminated_at_random(data, tmp_path):
    done = subprocess.run(
        [sys.executable, "benchmarks/resume_kills.py", "--data", str(data)]
        + ["--scratch", str(tmp_path), "--kills", "6", "--terms", "3", "--steps", "100"],
        cwd=ROOT,
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 of 6 kills and 3 of 3 terminations" in done.stdout
