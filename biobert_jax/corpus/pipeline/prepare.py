"""Raw files to a data set: read and tokenize, resolve, pack, write shards; reads in that order.

Everything is made in `.work/` and renamed into place when whole; a rerun of the same command skips
what is finished.
"""

import dataclasses
import functools
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from biobert_jax.corpus.dataset.manifest import SPLITS, Manifest
from biobert_jax.corpus.pipeline.arguments import (
    PrepareArguments,
    fingerprint,
    input_sizes,
    work_claim,
)
from biobert_jax.corpus.pipeline.encode import encode_task
from biobert_jax.corpus.pipeline.estimate import (
    SMALL_BYTES,
    NothingFound,
    check_disk,
    estimate,
    usable_bytes,
)
from biobert_jax.corpus.pipeline.finish import (
    build_manifest,
    count_documents,
    is_lost,
    nothing_to_write,
    resolve_documents,
)
from biobert_jax.corpus.pipeline.output import (
    Notice,
    claimed,
    finished_before,
    input_record,
    publish,
)
from biobert_jax.corpus.pipeline.pack import forget_rows, pack_task
from biobert_jax.corpus.pipeline.runners import Workers
from biobert_jax.corpus.pipeline.shards import SpillRemover, missing_spills, plan_shards, shard_task
from biobert_jax.corpus.pipeline.tasks import (
    count_task,
    file_states,
    plan_tasks,
    with_numbers,
)
from biobert_jax.units import size

Progress = Callable[[str, int, int], None]


def prepare(
    arguments: PrepareArguments,
    output: str | os.PathLike,
    *,
    workers: int = 1,
    progress: Progress = lambda stage, done, total: None,
    notice: Notice = lambda line: None,
    needs_space: bool = True,
) -> Manifest:
    """Makes the data set in `output` and returns its manifest; finished work is not done twice.

    Args:
      progress: told the stage ("count" and "read" count bytes of input, "pack" documents, "write"
        rows), what is done and the total.
      notice: told in a line why a set that was finished is made anew, and the disk needed.
      needs_space: whether a large corpus is refused where its estimate exceeds the free disk.

    Raises:
      UserError: bad arguments; `output` holds another data set, or one of inputs that have changed
        since; another run is at work there; too little disk.
      CorpusFileError: a bad input file, with `on_error="fail"`.
    """
    tokenizer = arguments.load_tokenizer()
    finished = finished_before(arguments, tokenizer, output, notice)
    if finished is not None:
        return finished
    if needs_space and sum(input_sizes(arguments.inputs)) >= SMALL_BYTES:
        _check_disk(arguments, output, workers, notice)
    claim = work_claim(arguments, tokenizer)
    with claimed(output, claim) as folder, Workers(workers) as pool:
        work = Path(folder)
        # As they are before the first is read: what changes after that shows.
        states, content = file_states(arguments.inputs), fingerprint(arguments, tokenizer)
        run = functools.partial(_run, pool, progress=progress)
        # Tasks name their files: a list of millions must not travel with each.
        common = dataclasses.replace(arguments, inputs=())

        sizes = [size for size, _ in states]
        tasks = plan_tasks(arguments.inputs, sizes, arguments.format)
        uncounted = [task for task in tasks if task.share.stop is not None]
        counted = run("count", count_task, uncounted, [task.bytes for task in uncounted])
        tasks = with_numbers(tasks, counted)
        encode = functools.partial(encode_task, common, str(work))
        encoded = run("read", encode, tasks, [task.bytes for task in tasks])
        failed = {k: v for result in encoded for k, v in result["failed"].items()}
        # A share of a lost file may have ended before the fault: the file is out as a whole.
        lost = {path for result in encoded for path in result["lost"]}
        good = [i for i, task in enumerate(tasks) if not is_lost(task, lost)]
        tasks, encoded = [tasks[i] for i in good], [encoded[i] for i in good]

        verdicts = resolve_documents(arguments, tasks, str(work))
        counts = count_documents(tasks, verdicts, encoded, str(work))
        if not counts["documents"]:
            shutil.rmtree(work)  # other arguments may do better
            raise nothing_to_write(counts["dropped"], failed)

        pack = functools.partial(pack_task, common, str(work))
        pieces = [(task, v.tobytes()) for task, v in zip(tasks, verdicts, strict=True)]
        packed = run("pack", pack, pieces, [len(v) for v in verdicts])

        format = arguments.format_of_records(tokenizer.vocab_size)
        shard_tasks = plan_shards(packed, work, arguments.shards, format.row_dtype)
        if missing := missing_spills(work, shard_tasks):
            forget_rows(str(work), tasks, packed, missing)
            packed = run("pack", pack, pieces, [len(v) for v in verdicts])
        write = functools.partial(shard_task, format, str(work))
        rows = sum(result[split]["rows"] for result in packed for split in SPLITS)
        sizes = [rows / len(shard_tasks)] * len(shard_tasks)
        shards = run("write", write, shard_tasks, sizes, SpillRemover(work, shard_tasks))

        manifest = build_manifest(
            arguments, tokenizer, content, encoded, counts, packed, failed, shards
        )
        inputs = input_record(arguments.inputs, states, claim, failed)
        return publish(manifest, tokenizer.vocab_bytes(), inputs, output)


def _check_disk(
    arguments: PrepareArguments, output: str | os.PathLike, workers: int, notice: Notice
) -> None:
    """Says the disk needed, and refuses what does not fit.

    Raises:
      UserError: too little disk.
    """
    try:
        # In a process of its own, where there are several: what it takes is given back.
        with Workers(min(workers, 2)) as apart:
            found = apart.call(functools.partial(estimate, workers=workers), arguments)
    except NothingFound:
        return
    check_disk(found, output)
    needed, free = size(found.disk_bytes), size(usable_bytes(output))
    notice(f"{output}: about {needed} of disk are needed, {free} are free")


def _run(
    pool: Workers,
    stage: str,
    function: Callable[[Any], dict],
    tasks: Sequence[Any],
    sizes: Sequence[float],
    finished: Callable[[int], None] = lambda number: None,
    *,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Runs a stage's tasks; returns their results in the order of the tasks."""
    results: dict[int, dict] = {}
    done = 0.0
    for number, result in pool.run(function, tasks):
        results[number] = result
        finished(number)
        done += sizes[number]
        progress(stage, round(done), round(sum(sizes)))
    return [results[number] for number in range(len(tasks))]
