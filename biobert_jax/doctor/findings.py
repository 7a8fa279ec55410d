"""What a look at a host found."""

from collections.abc import Callable
from typing import NamedTuple

from biobert_jax.errors import UserError, one_line


class Finding(NamedTuple):
    """One line about one host.

    Attributes:
      check: what was looked at: devices, versions, kernels, …
      ok: whether it is as it must be.
      text: what was seen and, where it is wrong, what to do.
    """

    check: str
    ok: bool
    text: str


def found(check: str, look: Callable[[], str]) -> Finding:
    """The finding of a look that returns what it saw, or raises what is wrong."""
    try:
        return Finding(check, True, look())
    except UserError as error:
        return Finding(check, False, " ".join(str(error).split()))
    except Exception as error:
        return Finding(check, False, one_line(error) or f"{type(error).__name__}: {error}")
