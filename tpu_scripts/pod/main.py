"""Where all scripts begin: arguments, the config, and how errors and Ctrl-C end."""

import argparse
import importlib
import os
import shlex
import signal
import sys
from pathlib import Path

from .config import load
from .errors import ScriptError
from .gcloud import Gcloud, say

# These are given a command behind `--`.
WITH_COMMAND = ("launch", "watch")
# After them nothing can be left that costs money.
HARMLESS = ("delete",)


class Terminated(BaseException):
    """SIGTERM, which ends a script as Ctrl-C does."""


def main(verb: str, argv: list[str] | None = None) -> int:
    """Runs a script; returns its exit code."""
    argv = sys.argv[1:] if argv is None else argv
    command: list[str] = []
    if "--" in argv:
        at = argv.index("--")
        argv, command = argv[:at], argv[at + 1 :]
    module = importlib.import_module(f".{verb}", __package__)
    parser = build_parser(verb, module)
    args = parser.parse_args(argv)
    if command and verb not in WITH_COMMAND:
        parser.error("nothing comes behind --")
    args.command = command
    signal.signal(signal.SIGTERM, _terminate)
    try:
        gcloud = Gcloud(load(args.config), args.dry_run)
    except ScriptError as error:
        say(f"error: {error}")
        return 1
    return guarded(verb, lambda: module.run(args, gcloud), gcloud)


def build_parser(verb: str, module) -> argparse.ArgumentParser:
    """What all scripts take, and what this one takes."""
    parser = argparse.ArgumentParser(
        prog=f"tpu_scripts/{verb}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        usage=f"%(prog)s --config FILE [options]{' -- COMMAND …' * (verb in WITH_COMMAND)}",
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="of the run")
    parser.add_argument(
        "--dry_run",
        action="store_true",
        help="run nothing; print each command as a JSON array of its arguments, one a line",
    )
    module.add_arguments(parser)
    return parser


def guarded(verb: str, work, gcloud: Gcloud) -> int:
    """Errors are one line; a stop says what may still cost money."""
    code = 0
    try:
        return work()
    except ScriptError as error:
        say(f"error: {error}")
        return 1
    except BrokenPipeError:
        # Whoever read the output has gone.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        code = 130
    except Terminated:
        code = 143
    gcloud.end_all()
    if verb not in HARMLESS and not gcloud.dry_run:
        config, path = gcloud.config, shlex.quote(str(gcloud.config.path))
        say(
            f"stopped; what run {config.name} has in {config.zone} is still there and may cost "
            f"money: tpu_scripts/status --config {path} shows it, tpu_scripts/delete --config "
            f"{path} ends it"
        )
    return code


def _terminate(*_) -> None:
    raise Terminated
