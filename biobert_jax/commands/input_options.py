"""What to read: the options of every verb that reads files, and of those that read raw corpora."""

import argparse
from collections.abc import Sequence

from biobert_jax.commands.field_options import add_fields, field_values
from biobert_jax.corpus.documents import ReadOptions
from biobert_jax.corpus.formats import FORMATS
from biobert_jax.errors import UsageError, UserError

HELP = (
    "files; patterns in quotes, with ** for any folders; folders, with all in them and below that "
    "has the format's ending; @list.txt, a path a line; - for standard input. Commas separate "
    "several, and the option may be given again"
)


def add_input(parser: argparse.ArgumentParser, help: str = HELP) -> None:
    """Adds --input, which may be given several times: `args.input` is the list of its values."""
    parser.add_argument("--input", required=True, action="append", metavar="GLOB[,GLOB]", help=help)


def add_corpus_options(parser: argparse.ArgumentParser) -> None:
    """Adds --input, --format and what to read of the files."""
    add_input(parser)
    described = "; ".join(f"{name}: {format.description}" for name, format in FORMATS.items())
    parser.add_argument(
        "--format", required=True, choices=tuple(FORMATS), help=f"{described}; all plain or gzip"
    )
    add_fields(parser, ReadOptions)
    (reading,) = (g for g in parser._action_groups if g.title == "reading")  # noqa: SLF001
    reading.add_argument(
        "--years", default="", metavar="FIRST-LAST", help="of publication, such as 1990-2020 (all)"
    )


def read_options(args: argparse.Namespace) -> ReadOptions:
    """The options of `add_corpus_options`.

    Raises:
      UserError: --years that are none; an option that the format does not have.
    """
    from biobert_jax.corpus.readers import check_options

    first, dash, last = args.years.partition("-")
    years = [part.strip() for part in (first, last if dash else first)]
    if not all(year.isdecimal() or not year for year in years):
        raise UserError(f"--years {args.years}: write FIRST-LAST, such as 1990-2020 or 1990-")
    options = ReadOptions(
        **field_values(args, ReadOptions),
        first_year=int(years[0] or 0),
        last_year=int(years[1] or 0),
    )
    check_options(args.format, options)
    return options


def refuse_stray_words(args: argparse.Namespace, words: Sequence[str]) -> None:
    """Says what to do about words that belong to no option, where they may be files.

    They could be taken as they are, but a pattern would then mean something else with quotes and
    without as soon as a name begins with a dash or holds a comma.

    Raises:
      UsageError: the verb has --input, and the first word is no option.
    """
    if words and hasattr(args, "input") and not words[0].startswith("-"):
        raise UsageError(
            f"several files after --input ({words[0]}{', ...' if len(words) > 1 else ''}): put the "
            "pattern in quotes, such as --input 'notes/*.txt', or give --input again for each"
        )
