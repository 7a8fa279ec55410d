"""Tags raw text: entities with the offsets of their code points, as JSON lines or an HTML page.

    biobert predict --checkpoint runs/ncbi --input notes.txt --output tagged.jsonl
    biobert predict --checkpoint runs/ncbi --input 'notes/*.txt' --output tagged.html
    biobert predict --checkpoint runs/ncbi --input abstracts.jsonl.gz

Input is text (a file is a document) or JSON lines with "id" and "text", plain or gzip. Without
--output, JSON lines go to standard output. Several --output are written from one run.
"""

import argparse
import sys
from pathlib import Path

from biobert_jax.commands.input_options import add_input
from biobert_jax.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument("--checkpoint", required=True, metavar="CHECKPOINT")
    add_input(parser)
    parser.add_argument("--input_format", choices=("text", "jsonl"), help="(by the file's name)")
    parser.add_argument(
        "--output", action="append", default=[], metavar="FILE", help=".jsonl or .html"
    )
    parser.add_argument("--title", default="Tagged text", help="of the HTML page")
    parser.add_argument("--batch_size", type=int, default=32, help="packed rows at a time (32)")


def run(args: argparse.Namespace) -> int:
    """Tags, and says how much."""
    if args.batch_size < 1:
        raise UserError(f"--batch_size {args.batch_size}: give a number above 0")
    from biobert_jax.corpus.pipeline.arguments import expand_inputs
    from biobert_jax.predict import formats
    from biobert_jax.predict.tagger import EntityTagger

    outputs = [Path(name) for name in args.output]
    for path in outputs:
        formats.check_output(path)
        if not path.absolute().parent.is_dir():
            raise UserError(f"--output {path}: no such folder: {path.absolute().parent}")
    inputs = expand_inputs(args.input)
    tagger = EntityTagger(args.checkpoint, batch_size=args.batch_size)
    raw = (d for name in inputs for d in formats.read_raw(name, args.input_format or ""))
    tagged = tagger.tag(raw)
    if not outputs:
        for document in tagged:
            sys.stdout.write(formats.to_json_line(document))
        return 0
    if len(outputs) > 1 or outputs[0].suffix == ".html":
        tagged = list(tagged)
    count = formats.Counting(tagged)
    for path in outputs:
        formats.write_documents(path, count, args.title)
    print(f"{count.documents:,} documents, {count.entities:,} entities: {', '.join(args.output)}")
    return 0
