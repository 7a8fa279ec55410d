"""Trains a vocabulary, WordPiece in BERT's layout or SentencePiece, from raw corpora.

    biobert vocab --input 'pubmed/*.xml.gz' --format pubmed --size 30000 --output vocab.txt
    biobert vocab --input 'pubmed/*.xml.gz' --format pubmed --kind sentencepiece \\
        --output pubmed.model --compare bert-base-cased/vocab.txt

It is trained on a sample of documents, drawn by hashes of the seed and the documents: the same
files and seed give the same vocabulary. Of many files, a choice drawn in the same way is read: 8
at least, then as many as it takes to see 4 times the sample's text. Documents whose ids fall into
the held-out share are never trained on; on them the new vocabulary is set beside that of
--compare, in a table and in FILE.report.json. The text is cased unless --lowercase is given. A file
that cannot be read stops it; bad lines and members of archives are left out and named, and the exit
code is 1.
"""

import argparse
import contextlib
import dataclasses
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from biobert_jax.commands.at_hand import CREATE, READ
from biobert_jax.commands.input_options import add_corpus_options, read_options
from biobert_jax.commands.left_out import print_left_out
from biobert_jax.commands.output_options import check_output
from biobert_jax.commands.progress import StageProgress
from biobert_jax.corpus.formats import FORMATS
from biobert_jax.errors import UserError
from biobert_jax.units import plural, size

KINDS = ("wordpiece", "sentencepiece")
# SentencePiece's trainer takes some 25 bytes of memory a character of the sample.
SAMPLE_MB = {"wordpiece": 200, "sentencepiece": 50}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.set_defaults(in_buckets=("input",), paths={"compare": READ, "output": CREATE})
    add_corpus_options(parser)
    parser.add_argument(
        "--output", required=True, metavar="FILE", help="vocab.txt, or for SentencePiece a .model"
    )
    parser.add_argument("--size", type=int, default=30000, help="tokens at most (30000)")
    parser.add_argument("--kind", choices=KINDS, default="wordpiece", help="(wordpiece)")
    parser.add_argument("--lowercase", action="store_true", help="an uncased vocabulary")
    parser.add_argument(
        "--sample_mb",
        type=float,
        metavar="MB",
        help="text to train on, in 10^6 bytes (wordpiece 200, sentencepiece 50)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the sample (0)")
    parser.add_argument(
        "--held_out",
        type=float,
        default=0.02,
        metavar="SHARE",
        help="share of documents kept for the table, chosen by a hash of their ids (0.02); those "
        "that prepare holds out are among them if its share is not larger",
    )
    parser.add_argument(
        "--compare",
        metavar="VOCAB",
        help="another vocabulary for the table, such as bert-base-cased/vocab.txt",
    )


def run(args: argparse.Namespace) -> int:
    """Trains and writes the vocabulary, and prints how it fits held-out text."""
    from biobert_jax.corpus.inputs import expand_inputs
    from biobert_jax.corpus.text.tokenization import load_tokenizer
    from biobert_jax.corpus.text.vocabulary import draw_sample
    from biobert_jax.corpus.text.vocabulary_report import format_fits, measure_fit
    from biobert_jax.corpus.text.vocabulary_trainers import train_sentencepiece, train_wordpiece
    from biobert_jax.files import write_bytes_atomically, write_text_atomically

    output = Path(args.output)
    report_path = Path(f"{output}.report.json")
    sample_mb = SAMPLE_MB[args.kind] if args.sample_mb is None else args.sample_mb
    _check(args, output, sample_mb)
    inputs = expand_inputs(args.input, FORMATS[args.format].suffixes)
    for path in (output, report_path):
        check_output("--output", path, [*inputs, args.compare or ""])
    others = [load_tokenizer(args.compare)] if args.compare else []

    with StageProgress(brief=True) as progress:
        sample = draw_sample(
            inputs,
            args.format,
            options=read_options(args),
            sample_bytes=round(sample_mb * 1e6),
            held_out=args.held_out,
            seed=args.seed,
            progress=lambda _, text_bytes: progress("read", text_bytes),
        )
    sample_bytes = sum(map(len, sample.documents))
    drawn = (
        f"{plural(len(sample.documents), 'document')} ({size(sample_bytes)}) of "
        f"{sample.num_documents:,} ({size(sample.num_bytes)}) in {sample.num_files:,} of "
        f"{plural(len(inputs), 'file')}"
    )
    print(f"training on {drawn}", file=sys.stderr, flush=True)
    with _ctrl_c_ends_at_once():
        if args.kind == "wordpiece":
            tokens = train_wordpiece(sample.documents, args.size, lowercase=args.lowercase)
            content = "".join(f"{token}\n" for token in tokens).encode()
        else:
            content = train_sentencepiece(sample.documents, args.size, lowercase=args.lowercase)
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder, output.name)  # The tokenizers open files.
        trial.write_bytes(content)
        tokenizer = load_tokenizer(trial, do_lower_case=args.lowercase)
    tokenizer.path = output
    fits = []
    if sample.held_out:
        fits = [measure_fit(sample.held_out, one) for one in (tokenizer, *others)]
    report = {
        "sample": {
            "seed": args.seed,
            "files": sample.num_files,
            "files_given": len(inputs),
            "documents_read": sample.num_documents,
            "bytes_read": sample.num_bytes,
            "documents": len(sample.documents),
            "bytes": sample_bytes,
            "held_out_documents": len(sample.held_out),
            "held_out_bytes": sum(map(len, sample.held_out)),
        },
        "held_out": [dataclasses.asdict(fit) for fit in fits],
    }
    # The vocabulary comes last: while it is not there, the same command can be run again.
    write_text_atomically(report_path, json.dumps(report, indent=2) + "\n")
    write_bytes_atomically(output, content)

    cased = "cased" if tokenizer.cased else "uncased"
    fewer = (
        "" if tokenizer.vocab_size >= args.size else f" ({args.size:,} asked: no more in the text)"
    )
    print(f"{output}: {tokenizer.vocab_size:,} tokens, {cased}{fewer}")
    if fits:
        held_out_mb = sum(map(len, sample.held_out)) / 1e6
        print(f"on {len(sample.held_out):,} held-out documents ({held_out_mb:,.3f} MB):")
        print(format_fits(fits))
    else:
        print("no document was held out: no table", file=sys.stderr)
    print_left_out([f"{place}: {reason}" for place, reason in sample.failed.items()])
    return 1 if sample.failed else 0


def _check(args: argparse.Namespace, output: Path, sample_mb: float) -> None:
    from biobert_jax.corpus.text.vocabulary_trainers import check_size

    if (output.suffix == ".model") != (args.kind == "sentencepiece"):
        wanted = "needs a name that ends" if args.kind == "sentencepiece" else "must not end"
        raise UserError(f"--output {output}: --kind {args.kind} {wanted} in .model")
    if not sample_mb > 0:
        raise UserError(f"--sample_mb {sample_mb:g}: give a number above 0")
    if not 0 <= args.held_out < 1:
        raise UserError(f"--held_out {args.held_out:g}: give a share from 0 to below 1")
    if args.seed < 0:
        raise UserError(f"--seed {args.seed}: give a number from 0 on")
    check_size(args.size)
    if os.path.exists(output):
        raise UserError(f"--output {output} exists: choose another name, or remove it")


@contextlib.contextmanager
def _ctrl_c_ends_at_once() -> Iterator[None]:
    """The trainers run for minutes outside Python, whose own handler would wait for their end.

    Nothing is on the disk yet, so that the process can just die.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
