"""Starts a command on all workers of all slices; it goes on when this script has ended.

    tpu_scripts/launch --config FILE -- biobert pretrain --config pretrain_base --workdir gs://…

The words behind -- arrive as they are. The command runs in the checkout that setup has sent, with
its environment first on PATH, the config's variables, and TPU_SCRIPTS_SLICE and TPU_SCRIPTS_WORKER.
Each worker has its log and its exit code: tpu_scripts/logs and tpu_scripts/status show them.
"""

import argparse
import os
import secrets
import shlex
import time
from pathlib import Path

from . import queued, remembered, workers
from .config import Config
from .errors import ScriptError
from .gcloud import Gcloud, say

# Seconds that a run has to save and end.
SECONDS_TO_STOP = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None beyond those of all scripts."""


def run(args: argparse.Namespace, gcloud: Gcloud) -> int:
    """Starts the command that was given."""
    check_command(gcloud.config, args.command)
    environment(gcloud.config)
    launch(gcloud, queued.active(gcloud), args.command)
    return 0


def launch(gcloud: Gcloud, request: queued.Request, command: list[str]) -> str:
    """Starts a command on all workers of a request, or on none.

    Returns:
      The id of this launch.

    Raises:
      ScriptError: a worker does not answer, is not set up, or has a run that lives.
    """
    config = gcloud.config
    launch_id = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{secrets.token_hex(3)}"
    reports = workers.ask(gcloud, request.nodes, "prepare")
    if not gcloud.dry_run:
        _check_workers(config, reports)
        remembered.write(config, remembered.LAUNCHED, {"id": launch_id, "command": command})
    send_environment(gcloud, request.nodes)
    reports = workers.ask(gcloud, request.nodes, "start", launch_id, *command)
    started = {worker for worker, report in reports.items() if "started" in report}
    left = sorted(workers.expected(config) - started)
    if left and not gcloud.dry_run:
        workers.ask(gcloud, request.nodes, "stop", "0", only=started)
        said = reports.get(left[0], {}).get("refused", "it does not answer")
        raise ScriptError(f"launch: {workers.named(left)}: {said}; nothing is left running")
    say(f"{launch_id} runs on {len(started)} workers; tpu_scripts/logs shows what it says")
    return launch_id


def stop(gcloud: Gcloud, request: queued.Request) -> None:
    """Ends the run on all workers, with time to save."""
    workers.ask(
        gcloud,
        request.nodes,
        "stop",
        str(SECONDS_TO_STOP),
        timeout=SECONDS_TO_STOP + gcloud.config.ssh.timeout_seconds,
    )


def check_command(config: Config, command: list[str]) -> None:
    """A command must be a program's name and its arguments.

    Raises:
      ScriptError: it is not.
    """
    if not command or not command[0]:
        raise ScriptError("no command: give it behind --, as in -- biobert pretrain …")
    if "=" in command[0]:
        raise ScriptError(f"{command[0]!r} is no program; variables stand in the config's [env]")
    workers.remote_command("start", config.name, 0, "", *command)


def environment(config: Config) -> dict[str, str]:
    """The variables of the command: the config's, and secrets from this script's own environment.

    Raises:
      ScriptError: a secret is not there.
    """
    absent = [name for name in config.secrets if name not in os.environ]
    if absent:
        raise ScriptError(f"secrets: {', '.join(absent)} not set in this environment: export them")
    return config.env | {name: os.environ[name] for name in config.secrets}


def send_environment(gcloud: Gcloud, nodes: tuple[str, ...]) -> None:
    """Brings the variables to the workers in a file that only its owner reads, never in words."""
    variables = environment(gcloud.config)
    if not variables:
        return
    path = remembered.state_folder(gcloud.config, create=not gcloud.dry_run) / "env"
    text = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())
    try:
        if not gcloud.dry_run:
            _write_private(path, text)
        workers.send(gcloud, nodes, path, f"biobert_tpu/runs/{gcloud.config.name}/env.new")
    finally:
        if not gcloud.dry_run:
            path.unlink(missing_ok=True)


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(os.fsencode(text))


def _check_workers(config: Config, reports: workers.Reports) -> None:
    silent = workers.missing(config, reports)
    if silent:
        raise ScriptError(f"launch: {workers.named(silent)} does not answer; tpu_scripts/status")
    alive = sorted(w for w, report in reports.items() if report["state"] == "running")
    if alive:
        raise ScriptError(
            f"launch: a run is alive on {workers.named(alive)}: wait for it, or tpu_scripts/delete"
        )
    bare = sorted(w for w, report in reports.items() if not report["setup"])
    if bare:
        raise ScriptError(f"launch: {workers.named(bare)} is not set up: tpu_scripts/setup first")
