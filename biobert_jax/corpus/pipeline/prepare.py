"""Raw files to a data set: read and tokenize, resolve, pack, write shards; reads in that order.

Everything is made in `.work/` and renamed into place when whole; a rerun of the same command skips
what is finished.
"""

import contextlib
import dataclasses
import errno
import fcntl
import functools
import os
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from biobert_jax.corpus.dataset.manifest import (
    NAME,
    SPLITS,
    Manifest,
    Shard,
    read_manifest,
    write_manifest,
)
from biobert_jax.corpus.dataset.report import render_report
from biobert_jax.corpus.dataset.statistics import Histogram
from biobert_jax.corpus.dataset.tfds import tfds_metadata
from biobert_jax.corpus.pipeline.arguments import (
    PrepareArguments,
    fingerprint,
    input_sizes,
    work_claim,
)
from biobert_jax.corpus.pipeline.encode import encode_task
from biobert_jax.corpus.pipeline.encoded import read_index
from biobert_jax.corpus.pipeline.pack import pack_task
from biobert_jax.corpus.pipeline.resolve import KEPT, REASONS, resolve
from biobert_jax.corpus.pipeline.runners import Workers
from biobert_jax.corpus.pipeline.shards import plan_shards, shard_task
from biobert_jax.corpus.pipeline.tasks import Task, plan_tasks, task_path
from biobert_jax.corpus.readers import GLOBAL_IDS
from biobert_jax.corpus.text.tokenization import Tokenizer
from biobert_jax.errors import UserError
from biobert_jax.files import write_text_atomically

Progress = Callable[[str, int, int], None]
# In `.work/`: the hash of the arguments that it belongs to.
CLAIM = "fingerprint"
MAX_INPUTS_NAMED = 1000
# In the error of a corpus of which nothing could be read.
_REASONS_SHOWN = 3


def prepare(
    arguments: PrepareArguments,
    output: str | os.PathLike,
    *,
    workers: int = 1,
    progress: Progress = lambda stage, done, total: None,
) -> Manifest:
    """Makes the data set in `output` and returns its manifest; finished work is not done twice.

    Args:
      progress: told the stage ("read" counts bytes of input, "pack" documents, "write" rows),
        what is done and the total.

    Raises:
      UserError: bad arguments; `output` holds another data set, or another run is at work there.
      CorpusFileError: a bad input file, with `on_error="fail"`.
    """
    output = Path(output)
    tokenizer = arguments.load_tokenizer()
    claim = fingerprint(arguments, tokenizer)
    finished = finished_before(output, claim)
    if finished is not None:
        return finished
    with _claimed(output, work_claim(arguments, tokenizer)) as work, Workers(workers) as pool:
        run = functools.partial(_run, pool, progress=progress)
        # Tasks name their files: a list of millions must not travel with each.
        common = dataclasses.replace(arguments, inputs=())

        tasks = plan_tasks(arguments.inputs, input_sizes(arguments.inputs))
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
        write = functools.partial(shard_task, format, str(work))
        rows = sum(result[split]["rows"] for result in packed for split in SPLITS)
        shards = run("write", write, shard_tasks, [rows / len(shard_tasks)] * len(shard_tasks))

        manifest = build_manifest(
            arguments, tokenizer, claim, encoded, counts, packed, failed, shards
        )
        _publish(manifest, tokenizer, work, output)
    return manifest


def resolve_documents(
    arguments: PrepareArguments, tasks: Sequence[Task], work: str
) -> list[np.ndarray]:
    """`resolve`, as the arguments ask for it."""
    return resolve(
        tasks,
        work,
        ids_are_global=arguments.format in GLOBAL_IDS,
        drop_duplicates=arguments.duplicates == "drop",
        near_duplicates=bool(arguments.near_duplicates),
    )


def count_documents(
    tasks: Sequence[Task],
    verdicts: Sequence[np.ndarray],
    encoded: Sequence[dict[str, Any]],
    work: str,
) -> dict[str, Any]:
    """Counts of the documents kept, their `document_tokens` histogram, and `dropped` by reason."""
    names = ("words", "tokens", "unknown", "sentences")
    counts = dict.fromkeys(("documents", "held_out_documents", *names), 0)
    dropped: Counter[str] = Counter()
    lengths = Histogram()
    for task, verdict, result in zip(tasks, verdicts, encoded, strict=True):
        dropped.update(result["dropped"])
        index = read_index(task_path(work, task, "index"))
        for number, reason in enumerate(REASONS):
            if number != KEPT:
                dropped[reason] += int(np.count_nonzero(verdict == number))
        kept = index[verdict == KEPT]
        counts["documents"] += len(kept)
        counts["held_out_documents"] += int(kept["held_out"].sum())
        for name in names:
            counts[name] += int(kept[name].sum(dtype=np.int64))
        lengths.add_all(kept["tokens"])
    present = {reason: count for reason, count in sorted(dropped.items()) if count}
    return {**counts, "dropped": present, "document_tokens": lengths.counts}


def build_manifest(
    arguments: PrepareArguments,
    tokenizer: Tokenizer,
    claim: str,
    encoded: Sequence[dict[str, Any]],
    counts: dict[str, Any],
    packed: Sequence[dict[str, Any]],
    failed: dict[str, str],
    shards: Sequence[dict[str, Any]],
) -> Manifest:
    """Puts the stages' results together."""

    def total(name: str) -> int:
        return sum(result[split][name] for result in packed for split in SPLITS)

    def merged(name: str) -> dict[str, int]:
        histogram = Histogram()
        for result in packed:
            for split in SPLITS:
                histogram.merge(result[split].get(name, {}))
        return dict(sorted(histogram.counts.items(), key=lambda item: int(item[0])))

    format = arguments.format_of_records(tokenizer.vocab_size)
    return Manifest(
        num_documents=counts["documents"],
        num_sequences=total("sequences"),
        num_tokens=counts["tokens"],
        num_rows=total("rows"),
        fill=round(total("positions") / (total("rows") * arguments.max_seq_length), 4),
        max_seq_length=arguments.max_seq_length,
        record_format=format.record_format,
        objective=format.objective,
        max_predictions=format.max_predictions,
        dropped=counts["dropped"],
        statistics={
            "bytes_of_text_read": sum(result["bytes"] for result in encoded),
            "held_out_documents": counts["held_out_documents"],
            "words": counts["words"],
            "unknown_tokens": counts["unknown"],
            "sentences": counts["sentences"],
            "document_tokens": dict(
                sorted(counts["document_tokens"].items(), key=lambda item: int(item[0]))
            ),
            **{
                name: merged(name) for name in ("sentence_tokens", "row_positions", "row_sequences")
            },
        },
        tokenizer={
            "file": tokenizer.file_name,
            "kind": tokenizer.kind,
            "cased": tokenizer.cased,
            **tokenizer.options.to_dict(),
            "vocab_size": tokenizer.vocab_size,
            "sha256": tokenizer.vocab_sha256(),
            "special": tokenizer.special._asdict(),
        },
        arguments=dataclasses.asdict(arguments) | {"inputs": _some(arguments.inputs)},
        fingerprint=claim,
        failed=dict(sorted(failed.items())),
        # Ranges of random keys: a tiny data set may leave one empty.
        shards=tuple(Shard(**shard) for shard in shards if shard["rows"]),
    )


def _some(paths: Sequence[str]) -> list[str]:
    """Input files as a manifest names them: all, or of very many the first and the last."""
    if len(paths) <= MAX_INPUTS_NAMED:
        return list(paths)
    half = MAX_INPUTS_NAMED // 2
    return [*paths[:half], f"... {len(paths) - 2 * half:,} more ...", *paths[-half:]]


def _run(
    pool: Workers,
    stage: str,
    function: Callable[[Any], dict],
    tasks: Sequence[Any],
    sizes: Sequence[float],
    *,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Runs a stage's tasks; returns their results in the order of the tasks."""
    results: dict[int, dict] = {}
    done = 0.0
    for number, result in pool.run(function, tasks):
        results[number] = result
        done += sizes[number]
        progress(stage, round(done), round(sum(sizes)))
    return [results[number] for number in range(len(tasks))]


def is_lost(task: Task, lost: Collection[str]) -> bool:
    """Whether a task holds nothing but a lost file; of several files, lost ones left nothing."""
    return len(task.paths) == 1 and task.paths[0] in lost


def nothing_to_write(dropped: dict[str, int], failed: dict[str, str]) -> UserError:
    """The error of a corpus that gave no document: what went wrong with its files comes first."""
    counts = ", ".join(f"{count:,} {reason}" for reason, count in dropped.items() if count)
    left_out = f" (left out: {counts})" if counts else ""
    reasons = list(failed.values())[:_REASONS_SHOWN]
    if len(failed) > len(reasons):
        reasons.append(f"{len(failed) - len(reasons):,} more files could not be read")
    return UserError("; ".join([*reasons, f"no document is left to write{left_out}"]))


def _publish(manifest: Manifest, tokenizer: Tokenizer, work: Path, output: Path) -> None:
    """Moves the files into place and, last, writes the manifest that makes them a data set."""
    vocab = manifest.tokenizer["file"]
    (work / vocab).write_bytes(tokenizer.vocab_bytes())
    names = {vocab, *(shard.name for shard in manifest.shards)}
    # What a run that died here had moved, of files that have changed since.
    for path in output.glob("*.tfrecord"):
        if path.name not in names:
            path.unlink()
    for name in names:
        if (work / name).exists():  # else a run that died here has moved it already
            os.replace(work / name, output / name)
    for name, text in (render_report(manifest, output) | tfds_metadata(manifest)).items():
        write_text_atomically(work / name, text)
        os.replace(work / name, output / name)
    write_manifest(work, manifest)
    os.replace(work / NAME, output / NAME)
    shutil.rmtree(work, ignore_errors=True)


def finished_before(output: Path, claim: str) -> Manifest | None:
    """The manifest of a set that is finished there; None where there is none.

    Raises:
      UserError: another set, or other files.
    """
    if not (output / NAME).exists():
        if output.is_dir() and any(output.iterdir()) and not (output / ".work").exists():
            raise UserError(f"--output {output} holds other files: choose an empty folder")
        return None
    manifest = read_manifest(output)
    if manifest.fingerprint == claim:
        shutil.rmtree(output / ".work", ignore_errors=True)  # of a run that died at its very end
        return manifest
    raise UserError(
        f"--output {output} holds another data set (other inputs or arguments): "
        "choose another folder, or remove it"
    )


@contextlib.contextmanager
def _claimed(output: Path, claim: str) -> Iterator[Path]:
    """The folder to work in, taken for this run alone, and for these arguments alone."""
    work = output / ".work"
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output {output}: cannot be made ({error.strerror})") from error
    try:
        with open(work / "lock", "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"--output {output}: another `biobert prepare` is at work there"
                ) from None
            path = work / CLAIM
            if path.exists() and path.read_text(encoding="utf-8") != claim:
                raise UserError(
                    f"--output {output} holds an unfinished run with other inputs or arguments: "
                    f"finish that, choose another folder, or remove {work}"
                )
            write_text_atomically(path, claim)
            yield work
    except OSError as error:
        # A full disk is said to be that of `output`: what fails is a write, which names no file.
        if error.errno in (errno.ENOSPC, errno.EDQUOT) and not error.filename:
            error.filename = str(output)
        raise
