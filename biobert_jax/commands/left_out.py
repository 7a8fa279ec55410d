"""What a verb says of the files, records and members that it left out."""

import sys
from collections.abc import Sequence

from biobert_jax.errors import printable

MAX_NAMED = 20


def print_left_out(reasons: Sequence[str], rest: str = "", total: int = 0) -> None:
    """Prints a line for each reason on standard error; of very many the first, and their number.

    Args:
      rest: where those that are not printed can be found.
      total: how many there are in all, where `reasons` are the first of them alone.
    """
    for reason in reasons[:MAX_NAMED]:
        print(printable(f"error: left out: {reason}"), file=sys.stderr)
    if (more := max(total, len(reasons)) - len(reasons[:MAX_NAMED])) > 0:
        found = f", all in {rest}" if rest else ""
        print(printable(f"error: left out: {more:,} more{found}"), file=sys.stderr)
