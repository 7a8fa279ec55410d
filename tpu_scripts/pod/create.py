"""Asks for TPUs as a queued resource, and waits until every worker answers.

Says first how many chips that is, and what they cost where the config gives a price. What does not
come in time, or fails, is deleted again.
"""

import argparse
import sys

from . import queued, workers
from .config import Config
from .errors import ScriptError
from .gcloud import Gcloud, say

STAYS = "it is still there and may cost money: tpu_scripts/delete"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options beyond those of all scripts."""
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(args: argparse.Namespace, gcloud: Gcloud) -> int:
    """Asks the user, then the cloud."""
    say(announcement(gcloud.config))
    if not gcloud.dry_run and not args.yes and not confirmed():
        raise ScriptError("nothing was asked for; --yes answers without being asked")
    request = create(gcloud)
    say(f"request {request.name}: every worker answers; tpu_scripts/setup comes next")
    return 0


def announcement(config: Config) -> str:
    """Chips, hosts and money of the whole run."""
    tpu, one = config.tpu, config.accelerator
    chips = one.chips * tpu.slices
    text = (
        f"run {config.name}: {counted(tpu.slices, 'slice')} of {one.type} in {config.zone}, "
        f"{tpu.capacity}: "
        f"{counted(chips, 'chip')} of {one.generation} in {counted(one.hosts * tpu.slices, 'host')}"
    )
    if tpu.price_per_chip_hour:
        hourly = chips * tpu.price_per_chip_hour
        text += (
            f", {hourly:,.2f} {tpu.currency} an hour ({24 * hourly:,.2f} a day) at "
            f"{tpu.price_per_chip_hour:g} a chip hour, while they are there"
        )
    return text


def counted(number: int, noun: str) -> str:
    """`1 host`, `2 hosts`."""
    return f"{number} {noun}{'s' * (number != 1)}"


def confirmed() -> bool:
    """The answer to the question, from standard input."""
    print("Ask for them? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def create(gcloud: Gcloud) -> queued.Request:
    """A request that serves, with all its workers answering.

    Raises:
      ScriptError: there is one already; it was refused, or lost while waiting, and is deleted.
    """
    requests = queued.find(gcloud)
    alive = [request for request in requests if not request.is_dead]
    if alive and not gcloud.dry_run:
        raise ScriptError(
            f"run {gcloud.config.name} has request {alive[-1].name} ({alive[-1].state}): use it, "
            "or tpu_scripts/delete first"
        )
    name = free_name(gcloud.config.name, requests if not gcloud.dry_run else [])
    try:
        queued.ask(gcloud, name)
    except ScriptError:
        # It may have been taken all the same, where the answer was lost.
        if not gcloud.dry_run and queued.describe(gcloud, name) is not None:
            queued.delete_request(gcloud, name)
        raise
    return serve(gcloud, name)


def serve(gcloud: Gcloud, name: str) -> queued.Request:
    """Waits for a request that was sent, and deletes it if it is lost.

    Raises:
      Lost: it was.
    """
    try:
        request = queued.wait(gcloud, name)
        if not workers.wait_until_ready(gcloud, request.nodes):
            minutes = gcloud.config.deadlines.ready
            raise queued.Lost(
                f"request {name}: workers did not answer in {minutes:g} minutes: deadlines.ready"
            )
    except queued.Lost as error:
        gone = queued.delete_request(gcloud, name)
        raise queued.Lost(f"{error}; {'it is deleted' if gone else STAYS}") from None
    except ScriptError as error:
        raise ScriptError(f"{error}; request {name}: {STAYS}") from None
    return request


def free_name(run: str, requests: list[queued.Request]) -> str:
    """The run's name, or with a number where a dead request that would not go still has it."""
    taken = {request.name for request in requests}
    number = 2
    name = run
    while name in taken:
        name, number = f"{run}-{number}", number + 1
    return name
