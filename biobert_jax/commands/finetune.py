"""Fine-tunes a checkpoint on annotated data, scores it on the test file, writes a model card.

    biobert finetune --config experiments/ner.py:ncbi_disease --workdir runs/ncbi \\
        --config.data.dir=data/NCBI-disease --config.init=runs/pretrain

The experiment's `task` says what is learnt: ner, classification or qa. --config.init takes a
workdir, one of its checkpoints, or a Hugging Face folder. Labels are read from the data. The same
command goes on from the newest checkpoint; with another length, under the new schedule, which is
said and kept in WORKDIR/config_changes.jsonl and the model card.
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
    """Fine-tunes, and prints the test scores."""
    from biobert_jax.config import FinetuneConfig

    config = load_config(args, FinetuneConfig)
    join_processes(args)
    from biobert_jax.tasks.finetune import finetune
    from biobert_jax.tasks.task import task_of

    content = finetune(config, args.workdir, profile=args.profile)
    if "test" in content:
        print(f"{args.workdir}: test scores ({config.data.test})")
        print(task_of(config.task).report(content["test"]))
    return 0
