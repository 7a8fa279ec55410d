"""Runs tasks over a local pool of processes, within bounded memory."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from biobert_jax.errors import UserError


class Workers:
    """A pool of processes for one stage of tasks after another; with one worker, this process.

    A context manager: on an error or Ctrl-C, tasks not begun are dropped and the workers ended.
    """

    def __init__(self, count: int):
        self._count = count
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> "Workers":
        return self

    def run(
        self, function: Callable[[Any], Any], tasks: Sequence[Any]
    ) -> Iterator[tuple[int, Any]]:
        """Yields (number of the task, result) as tasks finish.

        `function` must be importable and tasks picklable.
        """
        if self._count <= 1 or len(tasks) <= 1:
            for number, task in enumerate(tasks):
                yield number, function(task)
            return
        pool = self._start()
        try:
            # A worker holds one task; twice as many in flight keep it from waiting.
            pending, rest = {}, iter(enumerate(tasks))
            for number, task in rest:
                pending[pool.submit(function, task)] = number
                if len(pending) >= 2 * self._count:
                    break
            while pending:
                done, _ = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    number = pending.pop(future)
                    yield number, future.result()
                    following = next(rest, None)
                    if following is not None:
                        pending[pool.submit(function, following[1])] = following[0]
        except BrokenProcessPool as error:
            raise UserError(
                "a worker process was killed, for want of memory perhaps: use fewer --workers; the "
                "same command goes on from what is finished"
            ) from error

    def call(self, function: Callable[[Any], Any], argument: Any) -> Any:
        """The function's result, from a worker where there are several: its memory goes with it."""
        if self._count <= 1:
            return function(argument)
        return self._start().submit(function, argument).result()

    def __exit__(self, kind, error, trace) -> None:
        if self._pool is None:
            return
        if kind is not None:
            # There is no public way to end workers at once.
            for process in list((self._pool._processes or {}).values()):  # noqa: SLF001
                process.kill()
        self._pool.shutdown(wait=kind is None, cancel_futures=True)

    def _start(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Spawned, not forked: thread pools of libraries do not survive a fork.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(
                self._count, mp_context=context, initializer=_prepare_worker
            )
        return self._pool


def _prepare_worker() -> None:
    # Ctrl-C reaches every process of the terminal: the parent alone decides what happens.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A parent that is killed must not leave workers behind that write beside a rerun.
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
