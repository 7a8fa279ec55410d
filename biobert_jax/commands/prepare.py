"""Turns raw corpora into TFRecord shards of packed rows and a manifest.

    biobert prepare --input 'pubmed/*.xml.gz' --format pubmed --vocab vocab.txt --output data/pubmed

Long documents are cut at word starts and short ones put together, so that rows are nearly full;
rows are shuffled globally. The same command run again goes on where it was stopped. A file that
cannot be read is left out and named, and the exit code is 1; with --on_error fail nothing is
written then.
"""

import argparse
import os
import sys

from biobert_jax.commands.progress import StageProgress
from biobert_jax.errors import UserError

FORMATS = ("pubmed", "text", "jsonl")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument("--input", required=True, metavar="GLOB[,GLOB]", help="the raw files")
    parser.add_argument("--format", required=True, choices=FORMATS)
    parser.add_argument(
        "--vocab", required=True, metavar="FILE", help="vocab.txt, or a SentencePiece .model"
    )
    parser.add_argument("--output", required=True, metavar="DIR", help="the data set's folder")
    parser.add_argument("--max_seq_length", type=int, default=512, help="positions a row (512)")
    parser.add_argument("--objective", choices=("mlm",), default="mlm")
    parser.add_argument("--record_format", choices=("packed",), default="packed")
    parser.add_argument("--shards", type=int, default=0, help="training shards (by size)")
    parser.add_argument(
        "--held_out",
        type=float,
        default=0.01,
        metavar="SHARE",
        help="share of documents kept for evaluation, chosen by a hash of their ids (0.01)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the shuffle (0)")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="processes (one a core)"
    )
    parser.add_argument("--runner", choices=("local",), default="local")
    parser.add_argument(
        "--on_error", choices=("skip", "fail"), default="skip", help="for files that are bad"
    )


def run(args: argparse.Namespace) -> int:
    """Prepares, and prints what the data set holds."""
    from biobert_jax.corpus.pipeline.arguments import PrepareArguments, expand_inputs
    from biobert_jax.corpus.pipeline.prepare import prepare

    if args.workers < 1:
        raise UserError(f"--workers {args.workers}: give a number above 0")
    arguments = PrepareArguments(
        inputs=expand_inputs(args.input),
        format=args.format,
        vocab=args.vocab,
        max_seq_length=args.max_seq_length,
        shards=args.shards,
        held_out=args.held_out,
        seed=args.seed,
        on_error=args.on_error,
    )
    with StageProgress() as progress:
        manifest = prepare(arguments, args.output, workers=args.workers, progress=progress)
    print(
        f"{args.output}: {manifest.num_documents:,} documents "
        f"({manifest.num_empty_documents:,} empty ones left out), {manifest.num_tokens:,} tokens, "
        f"{manifest.num_rows:,} rows of {manifest.max_seq_length}, fill {manifest.fill:.2%}, "
        f"{len(manifest.split('train'))} training and {len(manifest.split('heldout'))} held-out "
        "shards"
    )
    for reason in manifest.failed.values():
        print(f"error: left out: {reason}", file=sys.stderr)
    return 1 if manifest.failed else 0
