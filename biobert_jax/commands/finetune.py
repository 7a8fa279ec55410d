"""Fine-tunes a checkpoint on tagged data, scores it on the test file, and writes a model card.

    biobert finetune --config experiments/ner.py:ncbi_disease --workdir runs/ncbi \\
        --config.data.dir=data/NCBI-disease --config.init=runs/pretrain

--config.init takes a workdir, one of its checkpoints, or a Hugging Face folder. Files hold a word
and its label on each line, and a blank line between sentences; labels are read from the data. The
same command goes on from the newest checkpoint; with another length, under the new schedule, which
is said and kept in WORKDIR/config_changes.jsonl and the model card.
"""

import argparse

from biobert_jax.commands.config_file import add_config_arguments, load_config
from biobert_jax.commands.run_options import add_profile_argument


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    add_config_arguments(parser)
    add_profile_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Fine-tunes, and prints the test scores."""
    from biobert_jax.config import NerConfig

    config = load_config(args, NerConfig)
    from biobert_jax.scoring.conlleval import report
    from biobert_jax.tasks.ner import finetune_ner

    scores = finetune_ner(config, args.workdir, profile=args.profile)
    print(f"{args.workdir}: test scores ({config.data.test})")
    print(report(scores))
    return 0
