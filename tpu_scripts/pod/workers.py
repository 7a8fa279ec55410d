"""Commands on all workers at once: how they are quoted, sent, and what each worker says."""

import contextlib
import functools
import json
import os
import re
import shlex
import time
from pathlib import Path
from typing import Any

from .config import Config
from .errors import ScriptError
from .gcloud import Completed, Gcloud

TEXT = Path(__file__).with_name("worker.sh")
REPORT = "@tpu_scripts "
# The kernel takes 128 KiB in one argument, and the whole command is one.
MAX_COMMAND = 120_000
# gcloud's words where ssh did not come through.
SSH_FAILED = re.compile(r"exited with return code \[\d+\]")

Worker = tuple[int, int]  # slice, and worker within it
Reports = dict[Worker, dict[str, Any]]


def remote_command(command: str, run: str, slice_index: int, *args: str) -> str:
    """What a worker's shell is given: it writes worker.sh, and runs it with exactly these words.

    gcloud splits this text at blanks, ssh joins it again with blanks: it arrives as it is.

    Raises:
      ScriptError: the words are too many.
    """
    words = (command, run, str(slice_index), *args)
    text = (
        'umask 077 && mkdir -p "$HOME/biobert_tpu" && cd "$HOME/biobert_tpu" && '
        f"printf %s {shlex.quote(_worker_script())} >.worker.$$ && mv .worker.$$ worker.sh && "
        f'cd && exec sh "$HOME/biobert_tpu/worker.sh" {" ".join(map(shlex.quote, words))}'
    )
    if len(os.fsencode(text)) > MAX_COMMAND:
        raise ScriptError(
            f"the command's words take more than {MAX_COMMAND // 1000} kB: put them into a file "
            "that is in the checkout or the bucket"
        )
    return text


def ask(
    gcloud: Gcloud,
    nodes: tuple[str, ...],
    command: str,
    *args: str,
    timeout: float | None = None,
    only: set[Worker] | None = None,
) -> Reports:
    """Runs one of worker.sh's commands on all workers of all nodes, or only on some.

    Returns:
      What each said that answered.

    Raises:
      ScriptError: gcloud refuses, and that is not for the workers to mend.
    """
    config = gcloud.config
    timeout = config.ssh.timeout_seconds if timeout is None else timeout
    calls, reports = [], {}
    for index, node in enumerate(nodes):
        wanted = sorted(worker for at, worker in only or () if at == index)
        if only is None or wanted:
            which = ",".join(map(str, wanted)) or "all"
            text = remote_command(command, config.name, index, *args)
            words = ssh(gcloud, node, text, which)
            calls.append(functools.partial(gcloud.run, words, timeout))
    done: list[Completed] = gcloud.each(calls)
    for completed in done:
        for line in completed.stdout.decode("utf-8", "replace").splitlines():
            if line.startswith(REPORT):
                with contextlib.suppress(ValueError):  # of a connection that broke
                    report = json.loads(line.removeprefix(REPORT))
                    reports[report["slice"], report["worker"]] = report
    # A worker that is not reached, or whose command failed, is missing from the reports; where
    # gcloud itself has said why nobody was, that is an error.
    for completed in done:
        failed = "ERROR: (gcloud" in completed.stderr and not SSH_FAILED.search(completed.stderr)
        if completed.code and not reports and failed:
            raise gcloud.error(completed, ("compute", "tpus", "tpu-vm", "ssh"))
    return reports


def ssh(gcloud: Gcloud, node: str, command: str, workers: str = "all") -> list[str]:
    """The words of gcloud's ssh."""
    user = gcloud.config.ssh.user
    return gcloud_ssh(gcloud, "ssh", (f"{user}@{node}" if user else node,), workers) + [
        "--ssh-flag=-oConnectTimeout=20",
        "--ssh-flag=-oServerAliveInterval=15",
        f"--command={command}",
    ]


def scp(gcloud: Gcloud, node: str, name: str, destination: str) -> list[str]:
    """The words that copy a file of this folder to all workers of a node, below their homes."""
    user = gcloud.config.ssh.user
    target = f"{user}@{node}" if user else node
    return gcloud_ssh(gcloud, "scp", (f"./{name}", f"{target}:{destination}"), "all")


def gcloud_ssh(gcloud: Gcloud, verb: str, what: tuple[str, ...], workers: str) -> list[str]:
    """What ssh and scp have in common; the tunnel is in the alpha track alone."""
    options = gcloud.config.ssh
    track = ["alpha"] if options.tunnel_through_iap else []
    flags = ["--tunnel-through-iap"] if options.tunnel_through_iap else []
    flags += ["--internal-ip"] if options.internal_ip else []
    words = (*track, "compute", "tpus", "tpu-vm", verb, *what, f"--worker={workers}", *flags)
    return gcloud.words(*words)


def send(gcloud: Gcloud, nodes: tuple[str, ...], source: Path, destination: str) -> None:
    """Copies a file to all workers, each node tried a few times.

    Raises:
      ScriptError: a worker did not take it.
    """

    def copy(node: str) -> None:
        for attempt in range(gcloud.config.setup.tries):
            words = scp(gcloud, node, source.name, destination)
            done = gcloud.run(words, folder=source.parent)
            if done.code == 0:
                return
            gcloud.pause(min(5.0 * 2**attempt, gcloud.config.poll_seconds))
        raise gcloud.error(done, ("compute", "tpus", "tpu-vm", "scp"))

    gcloud.each([functools.partial(copy, node) for node in nodes])


def expected(config: Config) -> set[Worker]:
    """All workers that the accelerator has."""
    hosts = range(config.accelerator.hosts)
    return {(index, worker) for index in range(config.tpu.slices) for worker in hosts}


def missing(config: Config, reports: Reports) -> list[Worker]:
    """Those that did not answer."""
    return sorted(expected(config) - set(reports))


def wait_until_ready(gcloud: Gcloud, nodes: tuple[str, ...]) -> bool:
    """Asks until every worker answers, or the deadline has passed."""
    deadline = time.monotonic() + 60 * gcloud.config.deadlines.ready
    while True:
        try:
            silent = missing(gcloud.config, ask(gcloud, nodes, "status"))
        except ScriptError:
            # Keys take a while to arrive on a fresh machine.
            if time.monotonic() > deadline:
                raise
            silent = sorted(expected(gcloud.config))
        if not silent or gcloud.dry_run:
            return True
        if time.monotonic() > deadline:
            return False
        gcloud.pause(gcloud.config.poll_seconds)


def named(workers: list[Worker]) -> str:
    """For messages: `slice 0 worker 3`, a few of many."""
    shown = [f"slice {index} worker {worker}" for index, worker in workers[:4]]
    rest = [f"{len(workers) - 4} more"] if len(workers) > 4 else []
    return ", ".join(shown + rest)


@functools.cache
def _worker_script() -> str:
    """worker.sh without comments and indentation, since every call carries it."""
    lines = [line.strip() for line in TEXT.read_text(encoding="utf-8").splitlines()]
    return "\n".join(line for line in lines if line and not line.startswith("#")) + "\n"
