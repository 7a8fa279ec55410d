"""The step's two loops, over layers and over micro-batches, and how often each is unrolled.

A compiler's cost analysis counts the body of a loop once, however often it runs. Compiled again
with bodies of two rounds, the step tells what one round costs: `biobert compile` does that.
"""

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import jax

LAYERS, MICRO_BATCHES = "layers", "micro_batches"

_NONE: Mapping[str, int] = MappingProxyType({})
_rounds: contextvars.ContextVar[Mapping[str, int]] = contextvars.ContextVar("rounds", default=_NONE)


@contextlib.contextmanager
def bodies_of(**rounds: int) -> Iterator[None]:
    """Within it, loops are traced with bodies of so many rounds: `bodies_of(layers=2)`."""
    token = _rounds.set({**_rounds.get(), **rounds})
    try:
        yield
    finally:
        _rounds.reset(token)


def scan(name: str, body: Callable, carry: Any, inputs: Any, *, unroll: bool = False) -> Any:
    """`jax.lax.scan`; `unroll` does away with the loop."""
    return jax.lax.scan(body, carry, inputs, unroll=True if unroll else _rounds.get().get(name, 1))
