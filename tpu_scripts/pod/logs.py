"""Prints the end of every worker's log, each line headed by slice and worker."""

import argparse
import functools

from . import queued, workers
from .gcloud import Gcloud


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--lines and --follow."""
    parser.add_argument("--lines", type=_count, default=20, metavar="N", help="of each log (20)")
    parser.add_argument("--follow", action="store_true", help="go on as they grow, until Ctrl-C")


def run(args: argparse.Namespace, gcloud: Gcloud) -> int:
    """Shows them as they come."""
    request, calls = queued.active(gcloud), []
    timeout = 366 * 86400.0 if args.follow else gcloud.config.ssh.timeout_seconds
    words = [str(args.lines)] + ["follow"] * args.follow
    for index, node in enumerate(request.nodes):
        text = workers.remote_command("logs", gcloud.config.name, index, *words)
        command = workers.ssh(gcloud, node, text)
        calls.append(functools.partial(gcloud.run, command, timeout, stdout=None))
    for done in gcloud.each(calls):
        if done.code:
            raise gcloud.error(done, ("compute", "tpus", "tpu-vm", "ssh"))
    return 0


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value
