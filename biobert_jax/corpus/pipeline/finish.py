"""What every runner does with the results of its tasks: resolve, count, fill the manifest."""

import dataclasses
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from biobert_jax.corpus.dataset.manifest import SPLITS, Manifest, Shard
from biobert_jax.corpus.dataset.statistics import Histogram
from biobert_jax.corpus.pipeline.arguments import PrepareArguments
from biobert_jax.corpus.pipeline.encoded import read_index
from biobert_jax.corpus.pipeline.resolve import KEPT, REASONS, resolve
from biobert_jax.corpus.pipeline.tasks import Task, task_path
from biobert_jax.corpus.pipeline.twins import count_twins
from biobert_jax.corpus.readers import GLOBAL_IDS
from biobert_jax.corpus.text.tokenization import Tokenizer
from biobert_jax.errors import UserError

MAX_INPUTS_NAMED = 1000
# In the error of a corpus of which nothing could be read.
_REASONS_SHOWN = 3


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
    """Counts of the documents kept, their `document_tokens` histogram, and `dropped` by reason.

    `held_out_near_twins` are held-out documents about the same as a training one; `alone` counts
    documents that are the only ones of their task and split, to which sentence pairs find no other.
    """
    names = ("words", "tokens", "unknown", "sentences")
    counts = dict.fromkeys(("documents", "held_out_documents", "alone", *names), 0)
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
        counts["alone"] += int(np.count_nonzero(np.bincount(kept["held_out"].astype(int)) == 1))
        for name in names:
            counts[name] += int(kept[name].sum(dtype=np.int64))
        lengths.add_all(kept["tokens"])
    present = {reason: count for reason, count in sorted(dropped.items()) if count}
    return {
        **counts,
        "held_out_near_twins": count_twins(tasks, verdicts, work),
        "dropped": present,
        "document_tokens": lengths.counts,
    }


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
    alone = counts["alone"] if arguments.needs_sentences else 0
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
            "held_out_near_twins": counts["held_out_near_twins"],
            **({"documents_alone": alone} if alone else {}),
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
