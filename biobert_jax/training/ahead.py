"""A step's programs for batches of later shapes, compiled while the first ones are trained on.

A phase with longer rows needs a program of its own, minutes of work for a large model, in which a
whole pod would stand still in the middle of a run.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import jax
from jax.sharding import Mesh

Batch = Mapping[str, Any]


class CompiledAhead:
    """A jitted step (state, batch), with the programs of `later` batches made in a thread.

    The thread begins after the first call, which has the machine for itself. It holds no arrays:
    what it takes is the host's memory for compiling. A process that ends meanwhile waits for it,
    since XLA cannot be stopped.
    """

    def __init__(
        self, step: Callable[..., Any], mesh: Mesh, state: Any, later: Sequence[Batch] = ()
    ):
        """Prepares; nothing is compiled yet.

        Args:
          step: what `jax.jit` returns.
          state: the first argument of every call, of abstract arrays with shardings.
          later: batches of abstract arrays with shardings, in the order in which they will come.
        """
        self._step, self._mesh, self._state = step, mesh, state
        self._later = {_kind(batch): batch for batch in later}
        self._programs: dict[Any, Future] = {}
        self._started = False

    def __call__(self, state: Any, batch: Batch) -> Any:
        """One step; waits for a program that is just being compiled.

        Raises:
          Exception: what compiling one of the later programs ended with, at the next call.
        """
        for program in self._programs.values():
            if program.done():
                program.result()
        program = self._programs.get(kind := _kind(batch))
        result = (program.result() if program else self._step)(state, batch)
        if not self._started:
            self._started = True
            self._later.pop(kind, None)
            self._programs = {kind: Future() for kind in self._later}
            if self._later:
                threading.Thread(target=self._compile, name="compile-ahead").start()
        return result

    def _compile(self) -> None:
        for kind, batch in self._later.items():
            try:
                with jax.set_mesh(self._mesh):
                    self._programs[kind].set_result(self._step.lower(self._state, batch).compile())
            except Exception as error:
                self._programs[kind].set_exception(error)


def _kind(batch: Batch) -> tuple[Any, ...]:
    """What tells programs apart: shapes and types."""
    return tuple(sorted((name, x.shape, str(x.dtype)) for name, x in batch.items()))
