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
import importlib.util
import sys

from biobert_jax.commands.input_options import add_input
from biobert_jax.commands.progress import StageProgress
from biobert_jax.errors import UserError, printable
from biobert_jax.machine import usable_cpus

FORMATS = ("pubmed", "pmc", "bioc", "text", "jsonl")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    add_input_arguments(parser)
    parser.add_argument(
        "--vocab",
        required=True,
        metavar="FILE",
        help="vocab.txt, a model's folder, or a SentencePiece .model",
    )
    parser.add_argument(
        "--do_lower_case",
        choices=("auto", "yes", "no"),
        default="auto",
        help="auto: as the tokenizer files beside the vocabulary say, else as its pieces do (auto)",
    )
    parser.add_argument("--output", required=True, metavar="DIR", help="the data set's folder")
    _add_row_arguments(parser.add_argument_group("rows"))
    _add_quality_arguments(parser.add_argument_group("documents"))
    _add_run_arguments(parser.add_argument_group("the run"))


def add_input_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say what to read, for every verb that reads raw corpora."""
    add_input(parser)
    parser.add_argument(
        "--format",
        required=True,
        choices=FORMATS,
        help="pmc: JATS articles, single or in .tar.gz packages; text: a sentence or paragraph a "
        'line, a blank line between documents; jsonl: {"id", "text"} a line; all plain or gzip',
    )
    reading = parser.add_argument_group("reading")
    reading.add_argument(
        "--titles",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="titles of articles (yes)",
    )
    reading.add_argument(
        "--section_labels", action="store_true", help="keep labels and titles of sections"
    )
    reading.add_argument(
        "--other_abstracts", action="store_true", help="PubMed's OtherAbstract: mostly translations"
    )
    reading.add_argument("--captions", action="store_true", help="captions of figures and tables")
    _add_list(reading, "--languages", "eng[,fre]", "only records in these languages (all)")
    _add_list(reading, "--publication_types", "TYPE[,TYPE]", "only records with one of these")
    _add_list(reading, "--exclude_publication_types", "TYPE[,TYPE]", "no record with one of these")
    reading.add_argument(
        "--years", default="", metavar="FIRST-LAST", help="of publication, such as 1990-2020 (all)"
    )
    _add_list(reading, "--licenses", "NAME[,NAME]", "PMC: only these, such as 'CC0,CC BY' (all)")


def read_options(args: argparse.Namespace):
    """The `ReadOptions` of the parsed options.

    Raises:
      UserError: --years that are none; an option that the format does not have.
    """
    from biobert_jax.corpus.documents import ReadOptions
    from biobert_jax.corpus.readers import check_options

    first, dash, last = args.years.partition("-")
    years = [part.strip() for part in (first, last if dash else first)]
    if not all(year.isdecimal() or not year for year in years):
        raise UserError(f"--years {args.years}: write FIRST-LAST, such as 1990-2020 or 1990-")
    options = ReadOptions(
        titles=args.titles,
        section_labels=args.section_labels,
        other_abstracts=args.other_abstracts,
        captions=args.captions,
        languages=args.languages,
        publication_types=args.publication_types,
        exclude_publication_types=args.exclude_publication_types,
        first_year=int(years[0] or 0),
        last_year=int(years[1] or 0),
        licenses=args.licenses,
    )
    check_options(args.format, options)
    return options


def _add_list(group, option: str, metavar: str, help: str) -> None:
    group.add_argument(
        option,
        metavar=metavar,
        default=(),
        type=lambda text: tuple(part.strip() for part in text.split(",") if part.strip()),
        help=help,
    )


def _add_row_arguments(group) -> None:
    group.add_argument("--max_seq_length", type=int, default=512, help="positions a row (512)")
    group.add_argument(
        "--objective",
        choices=("mlm", "mlm_nsp"),
        help="mlm_nsp: sentence pairs with next-sentence labels (mlm)",
    )
    group.add_argument(
        "--record_format",
        choices=("packed", "bert"),
        default="packed",
        help="packed: several sequences a row, masked anew at every step; bert: google's records, "
        "one pair a row, masked once (packed)",
    )
    group.add_argument(
        "--sentence_splitter",
        default="rules",
        metavar="NAME",
        help="for pairs: rules, blingfire, syntok, pysbd, none or package.module:function (rules)",
    )
    group.add_argument(
        "--short_seq_prob", type=float, default=0.1, help="pairs: share of shorter ones (0.1)"
    )
    group.add_argument(
        "--dupe_factor",
        type=int,
        default=0,
        help="pairs: times each document is gone through, with other draws (10 with bert, else 1)",
    )
    group.add_argument(
        "--masked_lm_prob", type=float, default=0.15, help="bert: share of masked tokens (0.15)"
    )
    group.add_argument(
        "--max_predictions", type=int, default=0, help="bert: masked tokens a row (length * share)"
    )
    group.add_argument("--whole_word_mask", action="store_true", help="bert: mask whole words")
    group.add_argument("--shards", type=int, default=0, help="training shards (by size)")


def _add_quality_arguments(group) -> None:
    group.add_argument(
        "--duplicates",
        choices=("drop", "keep"),
        default="drop",
        help="documents whose text has come before (drop); where they are kept, the held-out share "
        "is chosen by their text, so that copies are on one side",
    )
    group.add_argument(
        "--near_duplicates",
        type=float,
        default=0.0,
        metavar="SIMILARITY",
        help="drop documents about so similar to an earlier one, such as 0.8 (off)",
    )
    group.add_argument("--min_words", type=int, default=0, help="shortest document (0)")
    group.add_argument(
        "--held_out",
        type=float,
        default=0.01,
        metavar="SHARE",
        help="share of documents kept for evaluation, chosen by a hash of their ids (0.01); none "
        "has the text of a training one, and near twins of training ones are counted: "
        "--near_duplicates leaves them out",
    )


def _add_run_arguments(group) -> None:
    group.add_argument("--seed", type=int, default=0, help="of the shuffle and of pairs (0)")
    group.add_argument(
        "--workers",
        type=int,
        default=usable_cpus(),
        help="processes (one a core that this process may use)",
    )
    group.add_argument(
        "--runner",
        choices=("local", "beam"),
        default="local",
        help="beam: Apache Beam, whose own options follow after --: "
        "... -- --runner=DataflowRunner --project=P --region=R --temp_location=gs://B/tmp (local)",
    )
    group.add_argument(
        "--on_error", choices=("skip", "fail"), default="skip", help="for files that are bad"
    )


def run(args: argparse.Namespace) -> int:
    """Prepares, and prints what the data set holds."""
    from biobert_jax.corpus.formats import FORMATS
    from biobert_jax.corpus.inputs import expand_inputs, standard_input_as_file

    if args.workers < 1:
        raise UserError(f"--workers {args.workers}: give a number above 0")
    inputs = expand_inputs(args.input, FORMATS[args.format].suffixes)
    with standard_input_as_file(inputs, args.output) as files:
        return _prepare(args, tuple(files))


def _prepare(args: argparse.Namespace, inputs: tuple[str, ...]) -> int:
    from biobert_jax.corpus.pipeline.arguments import PrepareArguments
    from biobert_jax.corpus.pipeline.prepare import prepare

    arguments = PrepareArguments(
        inputs=inputs,
        format=args.format,
        vocab=args.vocab,
        do_lower_case=args.do_lower_case,
        options=read_options(args),
        objective=args.objective or ("mlm_nsp" if args.record_format == "bert" else "mlm"),
        **{
            name: getattr(args, name)
            for name in (
                "record_format",
                "max_seq_length",
                "sentence_splitter",
                "short_seq_prob",
                "dupe_factor",
                "masked_lm_prob",
                "max_predictions",
                "whole_word_mask",
                "duplicates",
                "near_duplicates",
                "min_words",
                "shards",
                "held_out",
                "seed",
                "on_error",
            )
        },
    )
    if args.runner == "beam":
        manifest = _beam()(arguments, args.output, args.passed_on, notice=_notice)
    else:
        with StageProgress() as progress:
            manifest = prepare(
                arguments, args.output, workers=args.workers, progress=progress, notice=_notice
            )
    dropped = ", ".join(f"{count:,} {name}" for name, count in manifest.dropped.items())
    print(
        f"{printable(args.output)}: {manifest.num_documents:,} documents "
        f"({dropped or 'none'} left out), {manifest.num_tokens:,} tokens, "
        f"{manifest.num_rows:,} rows of {manifest.max_seq_length}, fill {manifest.fill:.2%}, "
        f"{len(manifest.split('train'))} training and {len(manifest.split('heldout'))} held-out "
        "shards"
    )
    twins = manifest.statistics.get("held_out_near_twins", 0)
    if twins:
        held_out = manifest.statistics["held_out_documents"]
        print(
            f"held-out documents with a near twin in training: about {twins:,} of {held_out:,} "
            "(--near_duplicates 0.8 leaves such out)"
        )
    for reason in manifest.failed.values():
        print(printable(f"error: left out: {reason}"), file=sys.stderr)
    return 1 if manifest.failed else 0


def _notice(line: str) -> None:
    print(printable(f"note: {line}"), file=sys.stderr, flush=True)


def _beam():
    if importlib.util.find_spec("apache_beam") is None:
        raise UserError("--runner beam needs Apache Beam: pip install 'biobert-jax[beam]'")
    from biobert_jax.corpus.pipeline.beam import prepare_with_beam

    return prepare_with_beam
