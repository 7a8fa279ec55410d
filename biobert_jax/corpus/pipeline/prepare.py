"""Raw files to a data set: plan, tasks (file to sorted rows), shards, manifest.

A task is a file, or every n-th block of documents of a large one, so that its output depends on
the input, the arguments and the seed alone, whatever the number of workers. Everything is made in
`.work/` and renamed into place when whole; a rerun of the same command skips what is finished.
"""

import fcntl
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from biobert_jax.corpus.dataset.manifest import (
    NAME,
    SPLITS,
    Manifest,
    Shard,
    read_manifest,
    write_manifest,
)
from biobert_jax.corpus.dataset.records import require_tensorflow
from biobert_jax.corpus.documents import CorpusFileError
from biobert_jax.corpus.pipeline.arguments import PrepareArguments, fingerprint
from biobert_jax.corpus.pipeline.encode import Task, plan_tasks, run_task
from biobert_jax.corpus.pipeline.runners import run_tasks
from biobert_jax.corpus.pipeline.shards import plan_shards, run_shard_task
from biobert_jax.corpus.text.tokenization import Tokenizer, load_tokenizer
from biobert_jax.errors import UserError
from biobert_jax.files import file_sha256, write_text_atomically

Progress = Callable[[str, int, int], None]


def prepare(
    arguments: PrepareArguments,
    output: str | os.PathLike,
    *,
    workers: int = 1,
    progress: Progress = lambda stage, done, total: None,
) -> Manifest:
    """Makes the data set in `output` and returns its manifest; finished work is not done twice.

    Args:
      progress: told the stage ("tokenize" counts bytes of input, "write" rows), what is done
        and the total.

    Raises:
      UserError: bad arguments; `output` holds another data set, or another run is at work there.
      CorpusFileError: a bad input file, with `on_error="fail"`.
    """
    require_tensorflow()
    output = Path(output)
    tokenizer = load_tokenizer(arguments.vocab)
    claim = fingerprint(arguments, tokenizer)
    finished = _finished_before(output, claim)
    if finished is not None:
        return finished
    work = output / ".work"
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--output {output}: cannot be made ({error.strerror})") from error
    with open(work / "lock", "w") as lock:
        _lock_and_claim(lock, output, work, claim)
        results, failed = _tokenize(plan_tasks(arguments, work), workers, progress)
        if not any(result[split]["rows"] for result in results for split in SPLITS):
            reasons = "".join(f"; {reason}" for reason in failed.values())
            raise UserError(f"nothing to write: the input holds no readable text{reasons}")
        shards = _write_shards(arguments, tokenizer, work, results, workers, progress)
        manifest = _build_manifest(arguments, tokenizer, claim, results, failed, shards)
        _publish(manifest, tokenizer, work, output)
    return manifest


def _tokenize(
    tasks: list[Task], workers: int, progress: Progress
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Runs the first half; returns the good files' results and the bad files' errors.

    A part of a bad file may have ended before the fault: a file is in or out as a whole.
    """
    sizes = {task.index: os.path.getsize(task.path) / task.num_parts for task in tasks}
    results: dict[int, dict] = {}
    for task, result in run_tasks(run_task, tasks, workers):
        if "error" in result and task.arguments.on_error == "fail":
            raise CorpusFileError(task.path, result["position"], result["reason"])
        results[task.index] = result
        progress("tokenize", round(sum(sizes[i] for i in results)), round(sum(sizes.values())))
    failed = {r["path"]: r["error"] for _, r in sorted(results.items()) if "error" in r}
    return [results[t.index] for t in tasks if t.path not in failed], failed


def _write_shards(arguments, tokenizer, work, results, workers, progress) -> list[Shard]:
    tasks = plan_shards(
        results, work, arguments.shards, arguments.max_seq_length, tokenizer.vocab_size
    )
    total = sum(result[split]["rows"] for result in results for split in SPLITS)
    shards: dict[str, Shard] = {}
    for task, result in run_tasks(run_shard_task, tasks, workers):
        shards[task.name] = Shard(**result)
        progress("write", sum(shard.rows for shard in shards.values()), total)
    # Ranges of random keys: a tiny data set may leave one empty.
    return [shards[task.name] for task in tasks if shards[task.name].rows]


def _build_manifest(
    arguments: PrepareArguments,
    tokenizer: Tokenizer,
    claim: str,
    results: list[dict[str, Any]],
    failed: dict[str, str],
    shards: list[Shard],
) -> Manifest:
    def total(count: str) -> int:
        return sum(result[split][count] for result in results for split in SPLITS)

    return Manifest(
        num_documents=total("documents"),
        num_empty_documents=sum(result["empty"] for result in results),
        num_sequences=total("sequences"),
        num_tokens=total("tokens"),
        num_rows=total("rows"),
        fill=round(total("positions") / (total("rows") * arguments.max_seq_length), 4),
        max_seq_length=arguments.max_seq_length,
        tokenizer={
            "file": "vocab.model" if tokenizer.kind == "sentencepiece" else "vocab.txt",
            "kind": tokenizer.kind,
            "cased": tokenizer.cased,
            "vocab_size": tokenizer.vocab_size,
            "sha256": file_sha256(tokenizer.path),
            "special": tokenizer.special._asdict(),
        },
        arguments=asdict(arguments),
        fingerprint=claim,
        failed=failed,
        shards=tuple(shards),
    )


def _publish(manifest: Manifest, tokenizer: Tokenizer, work: Path, output: Path) -> None:
    """Moves the files into place and, last, writes the manifest that makes them a data set."""
    vocab = manifest.tokenizer["file"]
    shutil.copyfile(tokenizer.path, work / vocab)
    for name in [vocab, *(shard.name for shard in manifest.shards)]:
        if (work / name).exists():  # else a run that died here has moved it already
            os.replace(work / name, output / name)
    write_manifest(output, manifest)
    shutil.rmtree(work, ignore_errors=True)


def _finished_before(output: Path, claim: str) -> Manifest | None:
    if not (output / NAME).exists():
        if output.is_dir() and any(output.iterdir()) and not (output / ".work").exists():
            raise UserError(f"--output {output} holds other files: choose an empty folder")
        return None
    manifest = read_manifest(output)
    if manifest.fingerprint == claim:
        return manifest
    raise UserError(
        f"--output {output} holds another data set (other inputs or arguments): "
        "choose another folder, or remove it"
    )


def _lock_and_claim(lock, output: Path, work: Path, claim: str) -> None:
    """Takes the folder for this run alone, and for these arguments alone."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(f"--output {output}: another `biobert prepare` is at work there") from None
    path = work / "fingerprint"
    if not path.exists():
        write_text_atomically(path, claim)
    elif path.read_text(encoding="utf-8") != claim:
        raise UserError(
            f"--output {output} holds an unfinished run with other inputs or arguments: finish "
            f"that, choose another folder, or remove {work}"
        )
