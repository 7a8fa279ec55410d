"""The option --input, the same in every verb that reads files."""

import argparse
from collections.abc import Sequence

from biobert_jax.errors import UsageError

HELP = (
    "files; patterns in quotes, with ** for any folders; folders, with all in them and below that "
    "has the format's ending; @list.txt, a path a line; - for standard input. Commas separate "
    "several, and the option may be given again"
)


def add_input(parser: argparse.ArgumentParser, help: str = HELP) -> None:
    """Adds --input, which may be given several times: `args.input` is the list of its values."""
    parser.add_argument("--input", required=True, action="append", metavar="GLOB", help=help)


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
