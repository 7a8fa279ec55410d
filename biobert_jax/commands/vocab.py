"""Trains a WordPiece vocabulary in BERT's layout from raw corpora.

    biobert vocab --input 'pubmed/*.xml.gz' --format pubmed --size 30000 --output vocab.txt

The text is cased unless --lowercase is given.
"""

import argparse
from pathlib import Path

from biobert_jax.commands.prepare import FORMATS
from biobert_jax.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's options."""
    parser.add_argument("--input", required=True, metavar="GLOB[,GLOB]", help="the raw files")
    parser.add_argument("--format", required=True, choices=FORMATS)
    parser.add_argument("--output", required=True, metavar="FILE")
    parser.add_argument("--size", type=int, default=30000, help="tokens (30000)")
    parser.add_argument("--lowercase", action="store_true", help="an uncased vocabulary")


def run(args: argparse.Namespace) -> int:
    """Trains and writes the vocabulary."""
    from biobert_jax.corpus.pipeline.arguments import expand_inputs
    from biobert_jax.corpus.text.vocabulary import train_wordpiece

    output = Path(args.output)
    if output.exists():
        raise UserError(f"--output {output} exists: choose another name, or remove it")
    tokens = train_wordpiece(
        expand_inputs(args.input), args.format, args.size, lowercase=args.lowercase
    )
    from biobert_jax.files import write_text_atomically

    write_text_atomically(output, "".join(f"{token}\n" for token in tokens))
    print(f"{output}: {len(tokens):,} tokens, {'uncased' if args.lowercase else 'cased'}")
    return 0
