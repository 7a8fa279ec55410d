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


def run_tasks(
    function: Callable[[Any], Any], tasks: Sequence[Any], workers: int
) -> Iterator[tuple[int, Any]]:
    """Yields (number of the task, result) as tasks finish; with one worker, in this process.

    `function` must be importable and tasks picklable. On an error or Ctrl-C, tasks not begun
    are dropped and the workers ended.
    """
    if workers <= 1 or len(tasks) <= 1:
        for number, task in enumerate(tasks):
            yield number, function(task)
        return
    # Spawned, not forked: the Rust and TensorFlow thread pools do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        min(workers, len(tasks)), mp_context=context, initializer=_prepare_worker
    )
    processes = pool._processes  # noqa: SLF001 - the only way to end them at once
    try:
        # A worker holds one task; twice as many in flight keep it from waiting.
        pending, rest = {}, iter(enumerate(tasks))
        for number, task in rest:
            pending[pool.submit(function, task)] = number
            if len(pending) >= 2 * workers:
                break
        while pending:
            done, _ = wait(pending, return_when=FIRST_COMPLETED)
            for future in done:
                number = pending.pop(future)
                yield number, future.result()
                following = next(rest, None)
                if following is not None:
                    pending[pool.submit(function, following[1])] = following[0]
        pool.shutdown()
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process was killed, for want of memory perhaps: use fewer --workers; the "
            "same command goes on from what is finished"
        ) from error
    except BaseException:
        for process in list((processes or {}).values()):
            process.kill()
        pool.shutdown(wait=False, cancel_futures=True)
        raise


def _prepare_worker() -> None:
    # Ctrl-C reaches every process of the terminal: the parent alone decides what happens.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A parent that is killed must not leave workers behind that write beside a rerun.
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
