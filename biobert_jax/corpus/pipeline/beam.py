"""Preparation as an Apache Beam pipeline, for corpora that outgrow one machine.

The tasks, and what each does, are those of the local runner, so the records and the shards are
the same, byte for byte. Beam deals the tasks out to its workers and sorts the rows into shards:

    tasks - encode - (all) - resolve - pack - rows by shard - write - manifest

What passes from encoding to packing lies in `output/.work/`, which every worker must reach: gs://
for Dataflow, a shared folder or one machine otherwise. It has the form that the local runner gives
it, so that either goes on where the other was stopped.
"""

import dataclasses
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.pvalue import AsList, AsSingleton, TaggedOutput
from etils import epath

from biobert_jax import storage
from biobert_jax.corpus.dataset.manifest import NAME, SPLITS, Manifest
from biobert_jax.corpus.dataset.records import RecordFormat, encode_rows
from biobert_jax.corpus.pipeline.arguments import PrepareArguments, fingerprint, work_claim
from biobert_jax.corpus.pipeline.encode import encode_task
from biobert_jax.corpus.pipeline.finish import (
    build_manifest,
    count_documents,
    is_lost,
    nothing_to_write,
    resolve_documents,
)
from biobert_jax.corpus.pipeline.output import (
    WORK,
    Notice,
    claimed,
    finished_before,
    input_record,
    publish,
)
from biobert_jax.corpus.pipeline.pack import packed_chunks, restore_documents
from biobert_jax.corpus.pipeline.shards import num_shards, shard_name, write_shard
from biobert_jax.corpus.pipeline.spill import KeyedRows, key_range
from biobert_jax.corpus.pipeline.tasks import (
    Task,
    count_task,
    file_states,
    plan_tasks,
    task_path,
    with_numbers,
)
from biobert_jax.errors import UserError
from biobert_jax.storage.objects import REQUESTS_AT_A_TIME

# What encoding leaves for the stages after it, its result last, and what resolving needs of that.
ENCODED = ("documents", "index", "deletions", "bands", "json")
INDEXED = ("index", "deletions", "bands")
OUTCOME = "outcome.json"


def prepare_with_beam(
    arguments: PrepareArguments,
    output: str,
    pipeline_options: Sequence[str] = (),
    *,
    notice: Notice = lambda line: None,
) -> Manifest:
    """Makes the data set in `output`, as `prepare` does; paths may be local or gs://.

    Beam repeats what fails. A pipeline that ends without success leaves no manifest; the next one
    goes on from the tasks that were read and tokenized, and shuffles anew.

    Args:
      pipeline_options: Beam's own, such as `--runner=DataflowRunner`.
      notice: told in a line why a set that was finished is made anew.

    Raises:
      UserError: bad arguments; a folder that holds something else, or in which another run is at
        work; a pipeline that failed; a bad input file, with `on_error="fail"`.
    """
    place = _place(arguments, output)
    with place.here() as (_, local):
        tokenizer = local.load_tokenizer()
        finished = finished_before(arguments, tokenizer, output, notice)
        if finished is not None:
            return finished
        claim = work_claim(arguments, tokenizer)
        with claimed(output, claim) as work:
            states, content = file_states(arguments.inputs), fingerprint(arguments, tokenizer)
            sizes = [size for size, _ in states]
            tasks = plan_tasks(arguments.inputs, sizes, arguments.format)
            tasks = with_numbers(tasks, [count_task(t) for t in tasks if t.share.stop is not None])
            _run(tasks, place, pipeline_options)
            outcome = json.loads((work / OUTCOME).read_text())
            failed = outcome["failed"]
            if failed and arguments.on_error == "fail":
                raise UserError(next(reason for _, reason in sorted(failed.items())))
            if not outcome["shards"]:
                work.rmtree()  # other arguments may do better
                raise nothing_to_write(outcome["counts"]["dropped"], failed)
            manifest = build_manifest(arguments, tokenizer, content, **outcome)
            inputs = input_record(arguments.inputs, states, claim, failed)
            return publish(manifest, place.vocab, inputs, output)


def _run(tasks: Sequence[Task], place: "_Place", pipeline_options: Sequence[str]) -> None:
    try:
        with beam.Pipeline(options=PipelineOptions(list(pipeline_options))) as pipeline:
            _build(pipeline, tasks, place)
    except Exception as error:  # Runners raise what they like, and wrap what workers raise.
        raise UserError(f"the Beam pipeline failed: {_last_line(error)}") from error


def _place(arguments: PrepareArguments, output: str) -> "_Place":
    """What workers need: the vocabulary's content, since its path means nothing elsewhere."""
    tokenizer = arguments.load_tokenizer()
    content = tokenizer.vocab_bytes()
    # Tasks name their files: a list of millions must not travel with every worker's code.
    common = dataclasses.replace(arguments, inputs=())
    return _Place(common, tokenizer.file_name, content, tokenizer.options.to_dict(), output)


def _build(pipeline: beam.Pipeline, tasks: Sequence[Task], place: "_Place") -> None:
    encoded = (
        pipeline
        | "tasks" >> beam.Create(tasks)
        | "spread tasks" >> beam.Reshuffle()
        | "encode" >> beam.ParDo(_Encode(place))
    )
    resolved = (
        pipeline
        | "once" >> beam.Create([None])
        | "resolve"
        >> beam.ParDo(_Resolve(place), tasks, AsList(encoded)).with_outputs("counts", main="tasks")
    )
    packed = (
        resolved.tasks
        | "spread documents" >> beam.Reshuffle()
        | "pack" >> beam.ParDo(_Pack(place)).with_outputs("chunks", main="tallies")
    )
    rows = packed.tallies | "rows" >> beam.Map(_rows) | beam.CombineGlobally(_added)
    shards = (
        packed.chunks
        | "by shard" >> beam.FlatMap(_by_shard, place.arguments.shards, AsSingleton(rows))
        | "gather" >> beam.GroupByKey()
        | "write" >> beam.ParDo(_Write(place))
    )
    _ = (
        pipeline
        | "at last" >> beam.Create([None])
        | "outcome"
        >> beam.Map(
            _write_outcome,
            f"{place.output}/{WORK}/{OUTCOME}",
            AsList(encoded),
            AsSingleton(resolved.counts),
            AsList(packed.tallies),
            AsList(shards),
        )
    )


@dataclasses.dataclass(frozen=True)
class _Place:
    """What every worker needs: the arguments, the vocabulary and where files are kept."""

    arguments: PrepareArguments
    vocab_name: str
    vocab: bytes
    tokenizer: dict[str, Any]  # its options
    output: str

    def here(self):
        """A temporary folder with the vocabulary, and the arguments that name it."""
        return _Here(self)


class _Here:
    def __init__(self, place: _Place):
        self._place = place

    def __enter__(self) -> tuple[str, PrepareArguments]:
        self._folder = tempfile.mkdtemp(prefix="biobert-")
        vocab = Path(self._folder) / self._place.vocab_name
        vocab.write_bytes(self._place.vocab)
        section = {"file": vocab.name, **self._place.tokenizer}
        vocab.with_name(NAME).write_text(json.dumps({"tokenizer": section}))
        arguments = dataclasses.replace(
            self._place.arguments, vocab=str(vocab), do_lower_case="auto", on_error="skip"
        )
        return self._folder, arguments

    def __exit__(self, *_) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


class _Stage(beam.DoFn):
    """A stage's work on one element, in a temporary folder of its own."""

    def __init__(self, place: _Place):
        self.place = place

    def store(self, task: Task, folder: str, kinds: Iterable[str]) -> None:
        """Copies a task's files to where the other stages find them."""
        for kind in kinds:
            source = task_path(folder, task, kind)
            if source.exists():
                storage.etils_path(source).copy(self._kept(task, kind), overwrite=True)

    def fetch(self, task: Task, folder: str, kinds: Iterable[str]) -> None:
        """Copies a task's files to here."""
        for kind in kinds:
            if (kept := self._kept(task, kind)).exists():
                kept.copy(task_path(folder, task, kind), overwrite=True)

    def _kept(self, task: Task, kind: str) -> epath.Path:
        return storage.etils_path(self.place.output) / WORK / task_path("", task, kind).name


class _Encode(_Stage):
    def process(self, task: Task) -> Iterator[tuple[int, dict[str, Any]]]:
        with self.place.here() as (folder, arguments):
            self.fetch(task, folder, ["json"])
            result = encode_task(arguments, folder, task)
            if task_path(folder, task, "documents").exists():  # else it was finished before
                self._kept(task, "json").unlink(missing_ok=True)  # before what it speaks of
                self.store(task, folder, ENCODED)
            yield task.index, result


class _Resolve(_Stage):
    """Decides for the whole corpus in one place: the index is 50 bytes a document."""

    def process(self, _, tasks: Sequence[Task], encoded: list[tuple[int, dict[str, Any]]]):
        results = [result for _, result in sorted(encoded, key=_first)]
        failed = {path: error for result in results for path, error in result["failed"].items()}
        lost = {path for result in results for path in result["lost"]}
        good = [task for task in tasks if not is_lost(task, lost)]
        if failed and self.place.arguments.on_error == "fail":
            good = []
        with self.place.here() as (folder, arguments):
            with ThreadPoolExecutor(REQUESTS_AT_A_TIME) as pool:
                list(pool.map(lambda task: self.fetch(task, folder, INDEXED), good))
            verdicts = resolve_documents(arguments, good, folder)
            yield TaggedOutput(
                "counts",
                {
                    "counts": count_documents(
                        good, verdicts, [results[task.index] for task in good], folder
                    ),
                    "failed": failed,
                    "good": [task.index for task in good],
                },
            )
        yield from ((task, v.tobytes()) for task, v in zip(good, verdicts, strict=True))


class _Pack(_Stage):
    def process(self, element: tuple[Task, bytes]):
        task, verdicts = element
        with self.place.here() as (folder, arguments):
            self.fetch(task, folder, ("documents", "index"))
            restore_documents(arguments, folder, task)  # a local run may have given them back
            tally = {}
            for split in SPLITS:
                maker, chunks = packed_chunks(arguments, folder, task, verdicts, split)
                for chunk in chunks:
                    yield TaggedOutput("chunks", (split, chunk))
                tally[split] = maker.tally()
        yield task.index, tally


class _Write(_Stage):
    def process(self, element: tuple[tuple[str, int, int], Iterable[KeyedRows]]):
        (split, index, count), parts = element
        parts = list(parts)
        keys = np.concatenate([part.keys for part in parts])
        rows = np.concatenate([part.rows for part in parts])[np.argsort(keys, kind="stable")]
        with self.place.here() as (folder, arguments):
            tokenizer = arguments.load_tokenizer()
            format: RecordFormat = arguments.format_of_records(tokenizer.vocab_size)
            name = shard_name(split, index, count)
            shard = write_shard(Path(folder), split, name, encode_rows(rows, format), len(rows))
            kept = storage.etils_path(self.place.output) / WORK / name
            storage.etils_path(Path(folder, name)).copy(kept, overwrite=True)
        yield shard


def _rows(tally: tuple[int, dict[str, Any]]) -> dict[str, int]:
    return {split: tally[1][split]["rows"] for split in SPLITS}


def _added(tallies: Iterable[dict[str, int]]) -> dict[str, int]:
    total = dict.fromkeys(SPLITS, 0)
    for tally in tallies:
        for split, rows in tally.items():
            total[split] += rows
    return total


def _by_shard(
    element: tuple[str, KeyedRows], requested: int, rows: dict[str, int]
) -> Iterator[tuple[tuple[str, int, int], KeyedRows]]:
    """Cuts a sorted chunk into the pieces that belong to one shard each."""
    split, chunk = element
    count = num_shards(split, rows[split], requested, chunk.rows.dtype)
    lows = np.array([key_range(index, count)[0] for index in range(count)], np.uint64)
    starts = [*np.searchsorted(chunk.keys, lows).tolist(), len(chunk.keys)]
    for index in range(count):
        piece = slice(starts[index], starts[index + 1])
        if piece.start < piece.stop:
            yield (split, index, count), KeyedRows(chunk.keys[piece], chunk.rows[piece])


def _write_outcome(
    _,
    path: str,
    encoded: list[tuple[int, dict]],
    resolved: dict[str, Any],
    packed: list[tuple[int, dict]],
    shards: list[dict[str, Any]],
) -> None:
    """Writes what `build_manifest` takes, in the local runner's order."""
    good = set(resolved["good"])
    outcome = {
        "encoded": [result for index, result in sorted(encoded, key=_first) if index in good],
        "counts": resolved["counts"],
        "packed": [tally for _, tally in sorted(packed, key=_first)],
        "failed": resolved["failed"],
        "shards": sorted(shards, key=lambda s: (SPLITS.index(s["split"]), s["name"])),
    }
    storage.etils_path(path).write_text(json.dumps(outcome))


def _first(pair: tuple[int, Any]) -> int:
    return pair[0]


def _last_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
