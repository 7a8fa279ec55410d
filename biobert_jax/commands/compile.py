"""Compiles the training step for TPUs that are not there: does it fit, how fast can it be.

    biobert compile --config experiments/pretrain_base.py --topology v5e:16x16 --rows_per_chip 32 \\
        --config.model.attention_probs_dropout_prob=0 --config.train.gradient_dtype=bfloat16

    biobert compile --config ner:ncbi_disease --topology v5e:2x2

It is the step that `pretrain` or `finetune` runs, with its optimizer, layout, masks and dropout,
compiled by libtpu (pip install 'biobert-jax[tpu]'); no TPU is needed. Of fine-tuning, what
evaluation and scoring run is compiled too, and must fit beside the optimizer's state; BERT-base
stands in where --config.init is not given. The exit code is 1 where it does not fit. Step times are
bounds from below: arithmetic at the chip's peak, traffic at its bandwidth.
"""

import argparse

from biobert_jax.commands.at_hand import WRITE
from biobert_jax.commands.config_file import (
    HELP,
    METAVAR,
    add_gin_arguments,
    load_config,
)
from biobert_jax.commands.output_options import check_output
from biobert_jax.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.set_defaults(paths={"json": WRITE})
    parser.add_argument("--config", required=True, metavar=METAVAR, help=HELP)
    add_gin_arguments(parser)
    parser.add_argument(
        "--topology",
        required=True,
        metavar="NAME",
        help="v4, v5e, v5p or v6e and the chips along each axis: v5e:16x16, v4:4x4x8",
    )
    parser.add_argument(
        "--slices", type=int, default=1, metavar="N", help="such slices (%(default)s)"
    )
    parser.add_argument(
        "--max_seq_length",
        type=int,
        metavar="L",
        help="positions a row (default: that of data.dir, else 512)",
    )
    parser.add_argument(
        "--rows_per_chip",
        type=int,
        metavar="N",
        help="instead of data.batch_size, which counts the rows of all chips",
    )
    parser.add_argument(
        "--labels", type=int, metavar="N", help="of a classifier, which data say otherwise (3)"
    )
    parser.add_argument(
        "--sequences_a_row",
        type=int,
        metavar="N",
        help="texts that a packed row of fine-tuning holds at most (8)",
    )
    parser.add_argument("--json", metavar="FILE", help="writes all figures there too")


def run(args: argparse.Namespace) -> int:
    """Compiles, and prints what it found."""
    import dataclasses
    import json

    from biobert_jax.aot.topology import describe
    from biobert_jax.commands.config_file import experiment_class
    from biobert_jax.config_finetuning import FinetuneConfig
    from biobert_jax.files import write_text_atomically

    cls = experiment_class(args.config)
    config = load_config(args, cls)
    if args.json is not None:
        check_output("--json", args.json, [args.config, args.config.rpartition(":")[0]])
    topology = describe(args.topology, args.slices)

    from biobert_jax.aot.cost import analyse
    from biobert_jax.aot.program import make_program
    from biobert_jax.aot.table import table

    if cls is FinetuneConfig:
        report = _finetuning(config, topology, args)
    elif args.labels or args.sequences_a_row:
        raise UserError("--labels and --sequences_a_row are of fine-tuning: leave them out")
    else:
        report = analyse(
            make_program(
                config,
                topology,
                max_seq_length=args.max_seq_length,
                rows_per_chip=args.rows_per_chip,
            )
        )
    print(table(report, topology.chip))
    if args.json is not None:
        text = json.dumps(dataclasses.asdict(report), indent=2) + "\n"
        write_text_atomically(args.json, text)
    return 0 if report.fits else 1


def _finetuning(config, topology, args: argparse.Namespace):
    """The step's costs; what evaluation and scoring run is compiled too."""
    import dataclasses

    from biobert_jax.aot.cost import analyse
    from biobert_jax.aot.finetuning import (
        DEFAULT_LABELS,
        DEFAULT_SEQUENCES,
        make_finetune_program,
    )

    if args.max_seq_length is not None:
        data = dataclasses.replace(config.data, max_seq_length=args.max_seq_length)
        config = dataclasses.replace(config, data=data)
    for name in ("labels", "sequences_a_row"):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise UserError(f"--{name} is {getattr(args, name)}: it must be at least 1")
    program = make_finetune_program(
        config,
        topology,
        rows_per_chip=args.rows_per_chip,
        num_labels=args.labels or DEFAULT_LABELS,
        sequences_a_row=args.sequences_a_row or DEFAULT_SEQUENCES,
    )
    return analyse(program, outputs=program.outputs())
