"""Options of the verbs that train: several processes, and a trace."""

import argparse


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
        action="store_true",
        help="find the other processes by what the cluster says: TPU pods, Slurm, Open MPI",
    )
    several.add_argument("--coordinator", metavar="HOST:PORT", help="or name process 0's address,")
    several.add_argument("--num_processes", type=int, metavar="N", help="how many there are,")
    several.add_argument("--process_id", type=int, metavar="I", help="and which this is, from 0 on")


def join_processes(args: argparse.Namespace) -> None:
    """Joins the other processes, if there are any; before anything else of JAX is used.

    Raises:
      UserError: see `distributed.initialize`.
    """
    from biobert_jax.training.distributed import initialize

    initialize(args.coordinator, args.num_processes, args.process_id, auto=args.distributed)
