"""Tags raw text: entities with the offsets of their code points, as JSON lines or an HTML page.

    biobert predict --checkpoint runs/ncbi --input notes.txt --output tagged.jsonl
    biobert predict --checkpoint runs/ncbi --input 'notes/*.txt' --output tagged.html
    biobert predict --checkpoint runs/ncbi --input abstracts.jsonl.gz

    echo 'Aspirin may worsen gastric ulcers.' | biobert predict --checkpoint runs/ncbi --input -

Input is text (a file is a document) or JSON lines with "id" and "text", plain or gzip. Without
--output, JSON lines go to standard output. Several --output are written from one run.

A line of the output is a document: {"id", "text", "entities"}, an entity {"start", "end", "type",
"text", "score"}. Offsets count Unicode code points of the text, and "end" is the first after it.
The score is the entity's probability, from 0 to 1: that all of its words have the labels that spell
it, and the next one does not go on; calibrated where the checkpoint was fine-tuned with data.eval.
--min_score and --target_precision leave out what is less sure. The type is that of the training
data's labels. A document of text has the file's name as its id, or, where two files have one name,
its path below the folder that all have in common; a line without an id, that and its number.

A file or line that cannot be read is left out and named, and the exit code is 1; with --on_error
fail nothing is written then.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from biobert_jax.commands.at_hand import CHECKPOINT, WRITE
from biobert_jax.commands.input_options import add_input
from biobert_jax.commands.left_out import print_left_out
from biobert_jax.commands.output_options import check_output, is_same_file
from biobert_jax.commands.progress import counted, working
from biobert_jax.commands.run_options import add_alone_argument, check_alone
from biobert_jax.errors import Interrupted, UsageError, UserError, printable
from biobert_jax.units import plural


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.set_defaults(in_buckets=("input",), paths={"checkpoint": CHECKPOINT, "output": WRITE})
    parser.add_argument(
        "--checkpoint",
        required=True,
        metavar="CHECKPOINT",
        help="a fine-tuned tagger: a workdir, one of its checkpoints, or a Hugging Face folder",
    )
    add_input(parser)
    parser.add_argument("--input_format", choices=("text", "jsonl"), help="(by the file's name)")
    parser.add_argument(
        "--output", action="append", default=[], metavar="FILE", help=".jsonl or .html"
    )
    parser.add_argument(
        "--min_score", type=float, default=0.0, metavar="P", help="least probability (0)"
    )
    parser.add_argument(
        "--target_precision",
        type=float,
        metavar="P",
        help="instead, the least one from which on the held-out file's entities were that precise",
    )
    parser.add_argument("--title", default="Tagged text", help="of the HTML page")
    parser.add_argument("--batch_size", type=int, default=32, help="packed rows at a time (32)")
    parser.add_argument(
        "--on_error",
        choices=("skip", "fail"),
        default="skip",
        help="skip: what is bad is left out and named; fail: it stops the run (skip)",
    )
    add_alone_argument(parser)


def run(args: argparse.Namespace) -> int:
    """Tags, and says how much."""
    if args.batch_size < 1:
        raise UserError(f"--batch_size {args.batch_size}: give a number above 0")
    for name in ("min_score", "target_precision"):
        value = getattr(args, name)
        if value is not None and not 0 <= value <= 1:
            raise UserError(f"--{name} {value}: give a number from 0 to 1")
    if args.min_score and args.target_precision is not None:
        raise UsageError("give --min_score or --target_precision")
    # All that can be wrong with the arguments is said before JAX is imported, which takes seconds.
    from biobert_jax.corpus.formats import FORMATS
    from biobert_jax.corpus.inputs import expand_inputs
    from biobert_jax.predict import formats
    from biobert_jax.predict.inputs import INPUT_FORMATS, Reading, read_documents

    inputs = expand_inputs(args.input, [s for f in INPUT_FORMATS for s in FORMATS[f].suffixes])
    outputs = [Path(name) for name in args.output]
    for number, path in enumerate(outputs):
        formats.check_name(path)
        if any(is_same_file(path, other) for other in outputs[:number]):
            raise UserError(f"--output {path} is given twice")
        check_output("--output", path, inputs)
    check_alone(args)

    reading, count = Reading(), _Count()
    raw = read_documents(
        inputs, args.input_format or "", on_error=args.on_error, say=_say, reading=reading
    )
    try:
        from biobert_jax.predict.tagger import EntityTagger

        with working(f"load {args.checkpoint}"):
            tagger = EntityTagger(
                args.checkpoint,
                batch_size=args.batch_size,
                min_score=args.min_score,
                target_precision=args.target_precision,
            )
        tagged = count.counting(counted(tagger.tag(raw), "tag", "documents"))
        if outputs:
            formats.write_documents(outputs, _some(tagged, reading), args.title)
        else:
            _print_json_lines(tagged)
    except KeyboardInterrupt:
        kept = f": {', '.join(args.output)}: not written" if outputs else ""
        done = plural(count.documents, "document")
        raise Interrupted(f"interrupted after {done}{kept}", 130) from None
    if outputs:
        print(
            f"{plural(count.documents, 'document')}, {plural(count.entities, 'entity')}: "
            f"{', '.join(args.output)}"
        )
    return _tell(reading, count)


class _Count:
    """Documents and entities that have passed through `counting`."""

    documents = entities = 0

    def counting(self, documents):
        for document in documents:
            self.documents += 1
            self.entities += len(document.entities)
            yield document


def _some(documents: Iterable, reading) -> Iterator:
    """Passes documents on. Raises a UserError where all that there was had to be left out."""
    passed = False
    for document in documents:
        passed = True
        yield document
    if reading.left_out and not passed:
        more = f" (and {reading.left_out - 1:,} more)" if reading.left_out > 1 else ""
        raise UserError(f"{reading.faults[0]}{more}: nothing is left to tag")


def _print_json_lines(documents: Iterable) -> None:
    from biobert_jax.predict.formats import to_json_line

    if hasattr(sys.stdout, "reconfigure"):  # JSON is UTF-8, whatever the terminal's language is
        sys.stdout.reconfigure(encoding="utf-8", errors="replace")
    for document in documents:
        sys.stdout.write(to_json_line(document))


def _tell(reading, count: _Count) -> int:
    """Says what was left out; the exit code."""
    if reading.repeated:
        _say(
            f"warning: {reading.repeated:,} documents have the id of an earlier one, so that "
            "their entities cannot be told apart by it"
        )
    if not count.documents and not reading.left_out:
        _say("warning: there is no document in the input")
    print_left_out(reading.faults, total=reading.left_out)
    return 1 if reading.left_out else 0


def _say(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)
