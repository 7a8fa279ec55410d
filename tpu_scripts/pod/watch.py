"""Keeps a run going until it has finished: looks, and does what is missing.

    tpu_scripts/watch --config FILE [-- biobert pretrain …]

What is preempted, suspended or failed is deleted, created anew, set up and launched again, with
growing pauses, within the tries and hours of the config. The command is the one that launch was
given last, or stands behind --. What was spent is kept in FILE.state: killed and run again, this
goes on.

It ends with 0 where every worker has, and with the command's own exit code where that comes time
after time while the TPU is well. Logs are brought then, and the TPU is deleted (watch.when_done).
"""

import argparse
import dataclasses
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import create, delete, fetch, launch, queued, remembered, setup, workers
from .errors import ScriptError
from .gcloud import Gcloud, say

# A run that was seen alive for so long has shown that it can; what failed before is forgiven.
HEALTHY_SECONDS = 1800.0


@dataclass
class Memory:
    """What outlives this process."""

    began: float  # seconds since 1970
    starts: int = 0
    streak: int = 0  # starts since the run was last well
    code: str = ""  # of the last failure that was the run's own
    same_code: int = 0
    finished: int | None = None
    launch: str = ""  # the id of the launch that finished


@dataclass(frozen=True)
class Seen:
    """How things stand."""

    what: str  # absent, waiting, lost, silent, bare, idle, running, ending, failed, done
    detail: str = ""
    request: queued.Request | None = None
    code: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None beyond those of all scripts."""


def run(args: argparse.Namespace, gcloud: Gcloud) -> int:
    """Watches; in a dry run shows what one new start takes."""
    if gcloud.dry_run:
        command = args.command or _remembered_command(gcloud)
        delete.delete(gcloud)
        request = create.create(gcloud)
        setup.setup(gcloud, request)
        launch.launch(gcloud, request, command)
        return 0
    with remembered.one_at_a_time(gcloud.config):
        return Watcher(gcloud, args.command).watch()


class Watcher:
    """One run being watched."""

    def __init__(self, gcloud: Gcloud, command: list[str]):
        self.gcloud, self.config = gcloud, gcloud.config
        launched = remembered.read(self.config, remembered.LAUNCHED)
        if command and launched and launched["command"] != command:
            raise ScriptError(
                "watch: this run was launched with another command: leave the words behind -- out, "
                "or tpu_scripts/delete first"
            )
        self.command = command or _remembered_command(gcloud)
        launch.check_command(self.config, self.command)
        launch.environment(self.config)
        setup.pack_checkout(gcloud)
        self.launch_id = launched["id"] if launched else ""
        kept = remembered.read(self.config, remembered.WATCHED)
        self.memory = Memory(**kept) if kept else Memory(began=time.time())
        if self.memory.finished is not None and self.memory.launch != self.launch_id:
            self.memory = Memory(began=time.time())
        # Since when things stand as they do; a new process begins to count anew.
        self.what, self.since = "", time.monotonic()

    def watch(self) -> int:
        """Looks and acts until the run has ended; returns its exit code.

        Raises:
          ScriptError: the budget is spent.
        """
        if self.memory.finished is not None:
            note(f"the run has ended with {self.memory.finished}; launch begins anew")
            return self.memory.finished
        self.remember()
        while True:
            seen = self.look()
            if seen.what != self.what:
                self.what, self.since = seen.what, time.monotonic()
                note(f"{seen.what}{': ' if seen.detail else ''}{seen.detail}")
            lasted = time.monotonic() - self.since
            if seen.what == "done":
                return self.finish(0)
            if seen.what in ("absent", "lost"):
                self.start_anew(seen)
            elif seen.what == "silent" and lasted > 60 * self.config.watch.silent_minutes:
                self.start_anew(seen)
            elif seen.what == "waiting":
                self.attempt(create.serve, self.gcloud, seen.request.name)
            elif seen.what in ("bare", "idle"):
                self.attempt(self.launch, seen.request)
            elif seen.what == "ending" and lasted > self.config.watch.settle_seconds:
                self.attempt(launch.stop, self.gcloud, seen.request)
            elif seen.what == "failed" and lasted > self.config.watch.settle_seconds:
                if self.gives_up(seen.code):
                    return self.finish(int(seen.code) if seen.code.isdigit() else 1)
                self.spend(f"exit code {seen.code}")
                self.attempt(self.launch, seen.request)
            elif seen.what == "running" and lasted > HEALTHY_SECONDS and self.memory.streak:
                self.memory.streak, self.memory.same_code = 0, 0
                self.remember()
            else:
                self.gcloud.pause(self.config.poll_seconds)

    def look(self) -> Seen:
        """How things stand. Where the cloud does not say, they stand as before."""
        try:
            return self.observe()
        except ScriptError as error:
            note(f"no look: {error}")
            return Seen("no look")

    def observe(self) -> Seen:
        """Requests, nodes, workers, in this order: what is above decides."""
        request = queued.current(self.gcloud)
        if request is None:
            return Seen("absent")
        if request.state != "ACTIVE":
            return Seen("waiting", f"{request.name} is {request.state}", request)
        problems = queued.lost_nodes(self.gcloud, request)
        if problems:
            return Seen("lost", ", ".join(problems), request)
        reports = workers.ask(self.gcloud, request.nodes, "status")
        silent = workers.missing(self.config, reports)
        if silent:
            return Seen("silent", workers.named(silent), request)
        bare = sorted(worker for worker, report in reports.items() if not report["setup"])
        if bare:
            return Seen("bare", f"{workers.named(bare)} is not set up", request)
        alive = {report["launch"] for report in reports.values() if report["state"] == "running"}
        if len(alive) == 1 and alive != {self.launch_id}:
            [self.launch_id] = alive
            known = {"id": self.launch_id, "command": self.command}
            remembered.write(self.config, remembered.LAUNCHED, known)
        if any(report["launch"] != self.launch_id for report in reports.values()):
            return Seen("idle", f"{request.name} has another launch or none", request)
        return self.judge(request, reports)

    def judge(self, request: queued.Request, reports: workers.Reports) -> Seen:
        """What the workers' states and exit codes say together."""
        bad = {
            worker: report["code"] or report["state"]
            for worker, report in sorted(reports.items())
            if report["state"] == "vanished" or report["code"] not in ("", "0")
        }
        running = any(report["state"] == "running" for report in reports.values())
        if not bad:
            return Seen("running" if running else "done", request.name, request)
        # Of several the one that is not a signal's or the watchdog's tells the cause.
        codes = sorted(bad.values(), key=lambda code: code in ("75", "137", "143", "vanished"))
        detail = f"{workers.named([next(iter(bad))])} ended with {codes[0]}"
        return Seen("ending" if running else "failed", detail, request, codes[0])

    def start_anew(self, seen: Seen) -> None:
        """Deletes what is dead, and starts on new TPUs."""
        first = seen.what == "absent" and not self.memory.starts
        self.spend(seen.detail or seen.what, pause=not first)

        def start() -> None:
            for left in delete.sweep(self.gcloud):
                note(left)
            self.launch(create.create(self.gcloud))

        self.attempt(start)

    def launch(self, request: queued.Request) -> None:
        """Sets up and launches, some times; what will not do it is deleted, to be replaced.

        Raises:
          ScriptError: it was.
        """
        tries = self.config.setup.tries
        for left in reversed(range(tries)):
            try:
                setup.setup(self.gcloud, request)
                self.launch_id = launch.launch(self.gcloud, request, self.command)
                return
            except ScriptError as error:
                if not left:
                    queued.delete_request(self.gcloud, request.name)
                    raise
                note(str(error))
                self.gcloud.pause(self.config.poll_seconds)

    def attempt(self, step: Callable[..., Any], *args: Any) -> None:
        """Does a step; that it fails is for the next look to see."""
        try:
            step(*args)
        except ScriptError as error:
            note(str(error))
        self.what = ""

    def spend(self, reason: str, pause: bool = True) -> None:
        """Takes one start from the budget, and waits.

        Raises:
          ScriptError: nothing is left; what there is in the cloud is deleted, or named.
        """
        budget, memory = self.config.watch, self.memory
        hours = (time.time() - memory.began) / 3600
        if memory.starts >= budget.tries or hours > budget.hours:
            self.settle_up()
            raise ScriptError(
                f"watch: {reason}, and the budget is spent: {memory.starts} starts of "
                f"{budget.tries}, {hours:.1f} hours of {budget.hours:g}"
            )
        memory.starts += 1
        memory.streak += 1
        self.remember()
        if pause:
            seconds = budget.backoff_seconds * 2.0 ** min(memory.streak - 1, 30)
            seconds = min(seconds, budget.backoff_limit_seconds)
            note(f"{reason}: start {memory.starts} of {budget.tries} in {seconds:.0f} s")
            self.gcloud.pause(seconds)

    def gives_up(self, code: str) -> bool:
        """Counts a failure of the run's own; True where it was the last that is tried."""
        memory = self.memory
        memory.same_code = memory.same_code + 1 if memory.code == code else 1
        memory.code = code
        self.remember()
        return memory.same_code >= self.config.watch.same_code

    def finish(self, code: int) -> int:
        """Remembers the end, brings the results, and deletes or names what costs money."""
        self.memory.finished, self.memory.launch = code, self.launch_id
        self.remember()
        note(f"the run has ended with {code}")
        self.settle_up()
        return code

    def settle_up(self) -> None:
        """Results first; without them nothing is deleted."""
        config = self.config
        try:
            request = queued.current(self.gcloud)
            if request is not None and request.state == "ACTIVE":
                output = config.state / "fetched"
                paths = [path for path in config.fetch if not path.startswith("gs://")]
                fetch.fetch_workers(self.gcloud, request, paths, output)
                note(f"logs are in {output}")
            if config.watch.when_done == "delete":
                delete.delete(self.gcloud)
                return
        except ScriptError as error:
            note(str(error))
        note(
            f"what the run has in {config.zone} still costs money: "
            f"tpu_scripts/delete --config {shlex.quote(str(config.path))}"
        )

    def remember(self) -> None:
        """Writes the memory."""
        remembered.write(self.config, remembered.WATCHED, dataclasses.asdict(self.memory))


def note(text: str) -> None:
    """A line with the time, since this goes on for days."""
    say(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} watch: {text}")


def _remembered_command(gcloud: Gcloud) -> list[str]:
    launched = remembered.read(gcloud.config, remembered.LAUNCHED)
    if not launched:
        raise ScriptError("watch: no command was launched: give it behind --")
    return launched["command"]
