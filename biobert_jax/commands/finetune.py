"""Fine-tunes a checkpoint on annotated data, scores it on the test file, writes a model card.

    biobert finetune --config experiments/ner.py:ncbi_disease --workdir runs/ncbi \\
        --config.data.dir=data/NCBI-disease --config.init=runs/pretrain

    biobert finetune --config classification:gad --folds all --seeds 3 --workdir runs/gad \\
        --config.data.dir=data/GAD --config.init=runs/pretrain

The experiment's `task` says what is learnt: ner, classification or qa. --config.init takes a
workdir, one of its checkpoints, or a Hugging Face folder. Labels are read from the data. The same
command goes on from the newest checkpoint; with another length, under the new schedule, which is
said and kept in WORKDIR/config_changes.jsonl and the model card. With --folds, --seeds, --grid or
--search, or config.retrain, each run has a folder of its own below WORKDIR/runs; the same command
goes on.
"""

import argparse

from biobert_jax import storage
from biobert_jax.commands.config_file import add_config_arguments, load_config
from biobert_jax.commands.run_options import (
    add_process_arguments,
    add_profile_argument,
    join_processes,
)
from biobert_jax.errors import UserError
from biobert_jax.storage import anywhere


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    add_config_arguments(parser)
    several = parser.add_argument_group("several runs, gathered in WORKDIR/scores.json")
    several.add_argument(
        "--folds", metavar="all|1,2,…", help="folders of data.dir, each with the data's files"
    )
    several.add_argument("--seeds", type=int, metavar="N", help="from config.seed on")
    several.add_argument(
        "--grid", action="store_true", help="choose among config.grid's settings on data.eval"
    )
    several.add_argument(
        "--search",
        type=int,
        metavar="N",
        help="choose among N points between config.grid's bounds on data.eval (optuna)",
    )
    add_profile_argument(parser)
    add_process_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Fine-tunes, and prints the test scores."""
    from biobert_jax.config_finetuning import FinetuneConfig
    from biobert_jax.training.distributed import is_first

    config = load_config(args, FinetuneConfig)
    join_processes(args)
    if args.seeds is not None and args.seeds < 1:
        raise UserError(f"--seeds {args.seeds}: give a number above 0")
    if args.search is not None and args.search < 1:
        raise UserError(f"--search {args.search}: give a number above 0")
    if args.search and args.grid:
        raise UserError("--grid tries all points, --search some: give one of them")
    if args.folds or args.seeds or args.grid or args.search or config.retrain:
        from biobert_jax.tasks import protocol

        folds = protocol.folds_of(config, args.folds) if args.folds else ()
        gathered = protocol.finetune_all(
            config,
            args.workdir,
            folds=folds,
            seeds=args.seeds or 1,
            grid=args.grid,
            search=args.search or 0,
        )
        if is_first():
            print(protocol.table(gathered))
        return 0
    if anywhere.is_folder(storage.path(args.workdir) / "runs"):
        raise UserError(
            f"--workdir {args.workdir} holds several runs: choose another folder for a single one"
        )
    from biobert_jax.tasks.finetune import finetune
    from biobert_jax.tasks.task import task_of

    content = finetune(config, args.workdir, profile=args.profile)
    if is_first() and "test" in content:
        print(f"{args.workdir}: test scores ({config.data.test})")
        print(task_of(config.task).report(content["test"]))
    return 0
