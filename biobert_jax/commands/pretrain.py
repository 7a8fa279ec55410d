"""Pre-trains BERT on a prepared data set, or goes on from a checkpoint.

    biobert pretrain --config experiments/pretrain_base.py --workdir runs/base \\
        --config.data.dir=data/pubmed --config.train.num_steps=100000

The same command run again goes on from the newest checkpoint, bit for bit as if it had never
stopped. Ctrl-C and SIGTERM save first; a second Ctrl-C does not. With another train.num_steps it
goes on under the new schedule, which is said and kept in WORKDIR/config_changes.jsonl.
"""

import argparse

from biobert_jax.commands.config_file import add_config_arguments, load_config
from biobert_jax.commands.run_options import (
    add_process_arguments,
    add_profile_argument,
    join_processes,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    add_config_arguments(parser)
    add_profile_argument(parser)
    add_process_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Trains, and prints the last evaluation."""
    from biobert_jax.config import PretrainConfig
    from biobert_jax.training.distributed import is_first
    from biobert_jax.training.pretrain import pretrain

    config = load_config(args, PretrainConfig)
    join_processes(args)
    evaluation = pretrain(config, args.workdir, profile=args.profile)
    if not is_first():
        return 0
    print(f"{args.workdir}: done" + "".join(f"  {k} {v:.4f}" for k, v in evaluation.items()))
    return 0
