"""Deletes all that a run has in the cloud: requests, their nodes, and what was left behind.

Everything that carries the run's label goes, dead requests too, which keep quota.
"""

import argparse

from . import queued, remembered
from .errors import ScriptError
from .gcloud import Gcloud, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None beyond those of all scripts."""


def run(args: argparse.Namespace, gcloud: Gcloud) -> int:
    """Deletes, and says so."""
    if gcloud.dry_run:
        delete(gcloud)
        return 0
    # A watch at work would create it all anew.
    with remembered.one_at_a_time(gcloud.config):
        delete(gcloud)
        remembered.forget(gcloud.config)
    return 0


def delete(gcloud: Gcloud) -> None:
    """Deletes whatever carries the run's label.

    Raises:
      ScriptError: something would not go; everything has been tried.
    """
    left = sweep(gcloud)
    if left:
        raise ScriptError(f"{'; '.join(left)}: it may still cost money, run this again")
    say(f"run {gcloud.config.name}: nothing is left in {gcloud.config.zone}")


def sweep(gcloud: Gcloud) -> list[str]:
    """Deletes whatever carries the run's label; returns what would not go, and why."""
    left = []
    for request in queued.find(gcloud):
        say(f"deleting request {request.name} ({request.state})")
        try:
            if not queued.delete_request(gcloud, request.name):
                left.append(f"request {request.name} is still being deleted")
        except ScriptError as error:
            left.append(f"request {request.name}: {error}")
    for node in queued.stray_nodes(gcloud):
        say(f"deleting node {node}, which no request holds")
        try:
            gcloud.change(*queued.VM, "delete", node, missing_is_fine=True)
        except ScriptError as error:
            left.append(f"node {node}: {error}")
    return left
