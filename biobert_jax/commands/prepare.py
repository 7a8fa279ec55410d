"""Turns raw corpora into TFRecord shards of token ids, a manifest and a report.

    biobert prepare --input 'pubmed/*.xml.gz' --format pubmed --vocab vocab.txt --output data/pubmed

Long documents are cut at word starts and short ones put together, so that rows are nearly full;
rows are shuffled globally. With --objective mlm_nsp rows hold sentence pairs with labels; with
--record_format bert the files are those that google's run_pretraining.py reads.

Of several versions of a PubMed or PMC article the newest counts, deletions are honoured, and a
document whose text has come before is left out. The same command run again goes on where it was
stopped. A file that cannot be read is left out and named, and the exit code is 1; with --on_error
fail nothing is written then.
"""

import argparse
import contextlib
import importlib.util
import os
import sys
from pathlib import Path

from biobert_jax import storage
from biobert_jax.commands.field_options import add_fields, field_values
from biobert_jax.commands.input_options import add_corpus_options, read_options
from biobert_jax.commands.left_out import print_left_out
from biobert_jax.commands.progress import StageProgress
from biobert_jax.corpus.formats import FORMATS
from biobert_jax.corpus.pipeline.arguments import PrepareArguments
from biobert_jax.errors import UsageError, UserError, printable
from biobert_jax.machine import usable_cpus
from biobert_jax.units import plural


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.set_defaults(in_buckets=("input", "vocab", "output"))
    add_corpus_options(parser)
    parser.add_argument(
        "--vocab",
        required=True,
        metavar="FILE",
        help="vocab.txt, a SentencePiece .model or a model's folder; `biobert vocab` makes one",
    )
    parser.add_argument("--output", required=True, metavar="DIR", help="the data set's folder")
    add_fields(parser, PrepareArguments)
    running = parser.add_argument_group("machines")
    running.add_argument(
        "--workers",
        type=int,
        default=usable_cpus(),
        help="processes (one a CPU that this command may use: %(default)s)",
    )
    running.add_argument(
        "--runner",
        choices=("local", "beam"),
        default="local",
        help="beam: Apache Beam, whose own options follow after --: ... -- --runner=DataflowRunner "
        "--project=P --region=R --temp_location=gs://B/tmp (%(default)s)",
    )
    running.add_argument(
        "--scratch",
        metavar="DIR",
        help="where to work at an output in a bucket (~/.cache/biobert_jax/scratch)",
    )
    running.add_argument(
        "--dry_run",
        action="store_true",
        help="read a sample, say what the run would take (rows, disk, time), and write nothing",
    )
    running.add_argument(
        "--check_space",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="estimate the disk needed by a large corpus, and refuse what does not fit (yes)",
    )


def run(args: argparse.Namespace) -> int:
    """Prepares, and prints what the data set holds."""
    from biobert_jax.corpus.inputs import expand_inputs, standard_input_as_file
    from biobert_jax.corpus.pipeline.bucket import scratch_folder

    if args.workers < 1:
        raise UserError(f"--workers {args.workers}: give a number above 0")
    inputs = expand_inputs(args.input, FORMATS[args.format].suffixes, output=args.output)
    if args.runner == "beam":
        return _prepare(args, inputs, args.output)
    with contextlib.ExitStack() as stack:
        place = Path(args.output)  # where files are made
        if storage.is_remote(args.output):
            place = stack.enter_context(scratch_folder(args.output, args.scratch or ""))
        elif args.scratch:
            raise UsageError("--scratch is for an --output in a bucket")
        files = stack.enter_context(standard_input_as_file(inputs, place))
        return _prepare(args, tuple(files), place)


def _prepare(args: argparse.Namespace, inputs: tuple[str, ...], place: str | os.PathLike) -> int:
    from biobert_jax.corpus.inputs import without_copies
    from biobert_jax.corpus.pipeline.bucket import prepare_for_bucket
    from biobert_jax.corpus.pipeline.prepare import prepare

    arguments = PrepareArguments(
        inputs=inputs,
        format=args.format,
        vocab=args.vocab,
        options=read_options(args),
        **field_values(args, PrepareArguments),
    )
    if args.dry_run:
        _dry_run(arguments, args, place)
        return 0
    if args.runner == "beam":
        manifest = _beam()(arguments, args.output, args.passed_on, notice=_notice)
    else:
        with StageProgress() as progress:
            options = {
                "workers": args.workers,
                "progress": progress,
                "notice": _notice,
                "needs_space": args.check_space,
            }
            if storage.is_remote(args.output):
                manifest = prepare_for_bucket(arguments, args.output, Path(place), **options)
            else:
                manifest = prepare(arguments, place, **options)
    dropped = ", ".join(f"{count:,} {name}" for name, count in manifest.dropped.items())
    print(
        f"{printable(args.output)}: {plural(manifest.num_documents, 'document')} "
        f"({dropped or 'none'} left out), {plural(manifest.num_tokens, 'token')}, "
        f"{plural(manifest.num_rows, 'row')} of {manifest.max_seq_length}, "
        f"fill {manifest.fill:.2%}, {len(manifest.split('train'))} training and "
        f"{plural(len(manifest.split('heldout')), 'held-out shard')}"
    )
    twins = manifest.statistics.get("held_out_near_twins", 0)
    if twins:
        held_out = manifest.statistics["held_out_documents"]
        print(
            f"held-out documents with a near twin in training: about {twins:,} of {held_out:,} "
            "(--near_duplicates 0.8 leaves such out)"
        )
    if alone := manifest.statistics.get("documents_alone", 0):
        print(
            f"warning: of {alone:,} of {manifest.num_documents:,} documents, alone in their part "
            "of the input, all random next sentences come from the same document, and teach "
            "nothing: give more documents, in text with blank lines between them",
            file=sys.stderr,
        )
    reasons = [without_copies(reason) for reason in manifest.failed.values()]
    print_left_out(reasons, f"{args.output}/manifest.json")
    return 1 if manifest.failed else 0


def _dry_run(arguments, args: argparse.Namespace, place: str | os.PathLike) -> None:
    """Prints what a sample says of the run; an error where the disk is too small."""
    from biobert_jax.corpus.pipeline import estimate
    from biobert_jax.units import duration, size

    found = estimate.estimate(arguments, args.workers)
    rate = found.input_bytes / found.cpu_seconds
    seconds = max(1, found.cpu_seconds / args.workers)
    print(
        f"input: {plural(found.files, 'file')}, {size(found.input_bytes)}, in "
        f"{plural(found.tasks, 'task')}\n"
        f"about {plural(found.documents, 'document')}, {plural(found.tokens, 'token')}, "
        f"{plural(found.rows, 'row')} of {arguments.max_seq_length}, duplicates counted in\n"
        f"disk: about {size(found.output_bytes)} for the data set, {size(found.disk_bytes)} while "
        f"it is made\n"
        f"time: about {duration(seconds)} with {plural(args.workers, 'worker')}, by {size(rate)} "
        f"of input a second and core on a sample of {size(found.sample_bytes)} of text; nothing is "
        "written"
    )
    if args.check_space and args.runner == "local":
        estimate.check_disk(found, place)


def _notice(line: str) -> None:
    print(printable(f"note: {line}"), file=sys.stderr, flush=True)


def _beam():
    if importlib.util.find_spec("apache_beam") is None:
        raise UserError("--runner beam needs Apache Beam: pip install 'biobert-jax[beam]'")
    from biobert_jax.corpus.pipeline.beam import prepare_with_beam

    return prepare_with_beam
