"""gcloud, as a process: what it prints as JSON, what its errors mean, or only what would be run."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .config import Config
from .errors import ScriptError, Unanswered

# Words in gcloud's errors, and what to do. The first that is found is taken.
REMEDIES = (
    (
        r"active account|gcloud auth login|[Rr]eauthenticat|invalid_grant|UNAUTHENTICATED",
        "not logged in: gcloud auth login",
    ),
    (
        r"SERVICE_DISABLED|has not been used in project",
        "the API is off: gcloud services enable tpu.googleapis.com --project={project}",
    ),
    (
        r"RESOURCE_EXHAUSTED|[Qq]uota",
        "no quota for {type} as {capacity} in {zone}: the console's quotas page raises it, and "
        "tpu_scripts/delete frees what dead requests hold",
    ),
    (
        r"(?i)accelerator ?type.*(not found|not supported|invalid|unavailable)|"
        r"(invalid|unknown|unsupported|no such) accelerator",
        "{zone} has no {type}: gcloud compute tpus accelerator-types list --zone={zone}",
    ),
    (r"(?i)location .*not found", "{zone} has no TPUs: gcloud compute tpus locations list"),
    (r"PERMISSION_DENIED|\b403\b", "a role is missing: docs/tpu.md names the roles"),
    (r"not in your SSH agent|ssh-add", "ssh-add ~/.ssh/google_compute_engine, then again"),
)
NOT_FOUND = "NOT_FOUND"
PASSING = re.compile(
    r"\b(429|500|502|503|504)\b|UNAVAILABLE|DEADLINE_EXCEEDED|INTERNAL|[Tt]imed out"
)
# Looks at the cloud are tried so often; what changes something is not.
LOOKS = 4


@dataclass(frozen=True)
class Completed:
    """How a command ended."""

    code: int
    stdout: bytes
    stderr: str
    timed_out: bool = False

    @property
    def not_found(self) -> bool:
        """The thing is not there."""
        return self.code != 0 and NOT_FOUND in self.stderr


class Gcloud:
    """Runs gcloud for one config; with `dry_run`, prints what it would run and runs nothing."""

    def __init__(self, config: Config, dry_run: bool, pause: Callable[[float], None] = time.sleep):
        self.config, self.dry_run, self.pause = config, dry_run, pause
        self._running: set[subprocess.Popen] = set()

    def words(self, *args: str, zone: bool = True) -> list[str]:
        """The whole command, which asks nothing."""
        where = [f"--zone={self.config.zone}"] if zone else []
        return ["gcloud", *args, *where, f"--project={self.config.project}", "--quiet"]

    def run(
        self,
        command: list[str],
        timeout: float = 600.0,
        stdout: Any = subprocess.PIPE,
        folder: Path | None = None,
    ) -> Completed:
        """Runs a command without input, in a group of its own that a timeout or Ctrl-C ends whole.

        Args:
          command: its words.
          timeout: seconds.
          stdout: where its output goes; it is returned by default.
          folder: where it runs: scp takes names with a colon for another machine's, so that files
            are named from their folder.

        Raises:
          ScriptError: its program is not there.
        """
        if self.dry_run:
            print(json.dumps(command), flush=True)
            return Completed(0, b"", "")
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.PIPE,
                cwd=folder,
                start_new_session=True,
            )
        except FileNotFoundError:
            raise ScriptError(
                f"{command[0]} is not on PATH: install it; for gcloud, the Google Cloud CLI"
            ) from None
        self._running.add(process)
        timed_out = False
        try:
            printed, stderr = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            printed, stderr = process.communicate()
            timed_out = True
        except BaseException:
            self.end_all()
            raise
        finally:
            self._running.discard(process)
        text = stderr.decode("utf-8", "replace")
        return Completed(process.returncode, printed or b"", text, timed_out)

    def end_all(self) -> None:
        """Ends what runs in any thread."""
        for process in list(self._running):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)

    def each(self, calls: list[Callable[[], Any]]) -> list[Any]:
        """What the calls return, made at the same time, one after the other in a dry run."""
        if self.dry_run:
            return [call() for call in calls]
        pool = ThreadPoolExecutor(max(1, len(calls)))
        try:
            return [future.result() for future in [pool.submit(call) for call in calls]]
        except BaseException:
            self.end_all()
            raise
        finally:
            pool.shutdown()

    def change(self, *args: str, missing_is_fine: bool = False) -> None:
        """Runs what changes something, once.

        Raises:
          ScriptError: it failed; but for a thing that is not there, where that is fine.
        """
        done = self.run(self.words(*args))
        if done.code and not (missing_is_fine and done.not_found):
            raise self.error(done, args)

    def look(self, *args: str) -> Any:
        """What a describe or list says, or None where the thing is not there (and in a dry run).

        Raises:
          Unanswered: it failed several times in a way that may pass.
          ScriptError: it failed in another.
        """
        command = self.words(*args) + ["--format=json"]
        for attempt in range(LOOKS):
            done = self.run(command, timeout=120.0)
            if done.code == 0:
                return json.loads(done.stdout) if done.stdout.strip() else None
            if done.not_found:
                return None
            if not done.timed_out and not PASSING.search(done.stderr):
                raise self.error(done, args)
            if attempt < LOOKS - 1:
                self.pause(min(2.0**attempt, self.config.poll_seconds))
        raise Unanswered(str(self.error(done, args)))

    def error(self, done: Completed, args: tuple[str, ...]) -> ScriptError:
        """One line of what gcloud printed in many."""
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR:")] or lines[-1:]
        said = re.sub(r"^ERROR: \(gcloud\.[^)]*\) ", "", errors[-1]) if errors else ""
        if done.timed_out:
            said = f"no answer in time {said}".strip()
        known = {
            "project": self.config.project,
            "zone": self.config.zone,
            "type": self.config.accelerator.type,
            "capacity": self.config.tpu.capacity,
        }
        remedy = next((text for words, text in REMEDIES if re.search(words, done.stderr)), "")
        what = " ".join(args[2:4]) if args[:2] == ("compute", "tpus") else " ".join(args[:2])
        parts = [remedy.format(**known), f"gcloud {what}: {said or f'exit code {done.code}'}"]
        return ScriptError("; ".join(part for part in parts if part))


def say(text: str) -> None:
    """A line for the person at the terminal; standard output is kept for what was asked for."""
    print(text, file=sys.stderr, flush=True)
