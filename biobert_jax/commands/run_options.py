"""Options of the verbs that train: several processes, and a trace."""

import argparse
from typing import Any


def add_profile_argument(parser: argparse.ArgumentParser) -> None:
    """Adds --profile."""
    parser.add_argument(
        "--profile",
        action="store_true",
        help="trace five steps into WORKDIR/profile, for TensorBoard",
    )


def add_process_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds how several processes find each other."""
    several = parser.add_argument_group(
        "several processes, one a host: the same command on each, and one WORKDIR for all"
    )
    several.add_argument(
        "--distributed",
        nargs="?",
        choices=("auto", "on", "off"),
        default="auto",
        const="on",
        help="auto: the other processes are found where a TPU slice, Slurm, Open MPI or Kubernetes "
        "started several; on: there must be some; off: each works alone (auto)",
    )
    several.add_argument("--coordinator", metavar="HOST:PORT", help="or name process 0's address,")
    several.add_argument("--num_processes", type=int, metavar="N", help="how many there are,")
    several.add_argument("--process_id", type=int, metavar="I", help="and which this is, from 0 on")
    several.add_argument(
        "--join_timeout",
        type=int,
        metavar="SECONDS",
        default=300,
        help="within which all must have been started (300)",
    )


def join_processes(args: argparse.Namespace) -> None:
    """Joins the other processes, if there are any; before anything else of JAX is used.

    Raises:
      UserError: see `joining.initialize`.
    """
    from biobert_jax.training.joining import initialize

    initialize(
        args.coordinator,
        args.num_processes,
        args.process_id,
        detect=args.distributed,
        timeout=args.join_timeout,
    )


def find_processes(args: argparse.Namespace) -> Any:
    """Where the other processes are met, a `joining.Meeting`; None: there are none.

    Raises:
      UserError: see `joining.find_meeting`.
    """
    from biobert_jax.training.joining import find_meeting

    return find_meeting(
        args.coordinator,
        args.num_processes,
        args.process_id,
        detect=args.distributed,
        timeout=args.join_timeout,
    )


def add_alone_argument(parser: argparse.ArgumentParser) -> None:
    """Adds --distributed to a verb that works in one process."""
    parser.add_argument(
        "--distributed",
        choices=("auto", "off"),
        default="auto",
        help="auto: refused where a cluster started several processes; off: each works by itself",
    )


def check_alone(args: argparse.Namespace) -> None:
    """Refuses a verb of one process where it would run several times, or wait for other hosts.

    Raises:
      UserError: see `joining.refuse_several`.
    """
    from biobert_jax.training.joining import refuse_part_of_slice, refuse_several

    if args.distributed == "off":
        refuse_part_of_slice()
    else:
        refuse_several()
