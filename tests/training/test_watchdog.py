"""The watchdog, on a clock of its own; and once for real."""

import os
import subprocess
import sys
import textwrap
import time

import pytest

from biobert_jax.errors import EXIT_STUCK
from biobert_jax.training.watchdog import SLOW_MINUTES, Watchdog


class Watched:
    """A watchdog that is looked at every so many seconds of a clock that only this moves."""

    def __init__(self, workdir, minutes):
        self.now, self.codes, self.published = 0.0, [], []
        self.watchdog = Watchdog(
            minutes,
            workdir,
            publish=lambda: self.published.append((workdir / "watchdog.txt").exists()),
            clock=lambda: self.now,
            end=lambda code: self.codes.append(code),
        )

    def passes(self, seconds, every=1.0):
        for _ in range(round(seconds / every)):
            self.now += every
            self.watchdog.look()


@pytest.fixture
def watched(tmp_path):
    return Watched(tmp_path, minutes=1)


def test_a_step_that_takes_too_long_ends_the_run(watched, tmp_path, capfd):
    watched.watchdog.pat("step 7")
    watched.passes(60)
    assert not watched.codes
    watched.passes(1)
    assert watched.codes == [EXIT_STUCK] == [75]
    errors = capfd.readouterr().err
    assert "step 7 has taken 1.0 minutes" in errors and "test_watchdog.py" in errors
    report = (tmp_path / "watchdog.txt").read_text()
    assert "step 7 has taken" in report and "Current thread" in report
    assert watched.published == [True]


def test_steps_in_time_go_on(watched):
    for step in range(20):
        watched.watchdog.pat(f"step {step}")
        watched.passes(50)
    assert not watched.codes


def test_what_may_compile_has_more_time(watched):
    watched.watchdog.pat("the evaluation", slow=True)
    watched.passes(60 * SLOW_MINUTES)
    assert not watched.codes
    watched.passes(1)
    assert watched.codes


def test_more_time_is_never_less(tmp_path):
    watched = Watched(tmp_path, minutes=2 * SLOW_MINUTES)
    watched.watchdog.pat("the save", slow=True)
    watched.passes(60 * 1.5 * SLOW_MINUTES, every=5)
    assert not watched.codes


def test_time_in_which_the_process_was_stopped_does_not_count(watched):
    watched.watchdog.pat("step 1")
    watched.passes(30)
    watched.now += 3600
    watched.passes(5)
    assert not watched.codes
    watched.passes(30)
    assert watched.codes


def test_zero_watches_nothing(tmp_path):
    with Watchdog(0, tmp_path) as watchdog:
        assert watchdog._thread is None


def test_for_real(tmp_path):
    code = f"""
        import time
        from biobert_jax.training.watchdog import Watchdog
        with Watchdog(0.01, {str(tmp_path)!r}) as watchdog:
            watchdog.pat("step 3")
            time.sleep(60)
    """
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == EXIT_STUCK and time.monotonic() - started < 50
    assert "step 3 has taken" in done.stderr and "time.sleep" not in done.stderr
    assert (tmp_path / "watchdog.txt").exists()
