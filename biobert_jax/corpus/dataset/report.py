"""What a prepared data set holds: `corpus.json` for programs, `corpus.html` to look at."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from biobert_jax.corpus.dataset.manifest import SPLITS, Manifest, Shard
from biobert_jax.corpus.dataset.report_html import render_page
from biobert_jax.corpus.dataset.report_samples import read_samples
from biobert_jax.corpus.dataset.statistics import EDGES

VERSION = 1
HISTOGRAMS = ("document_tokens", "sentence_tokens", "row_positions", "row_sequences")


def render_report(manifest: Manifest, directory: Path) -> dict[str, str]:
    """`corpus.json` and `corpus.html`, by name, to be written beside the manifest.

    The same data set gives the same report.

    Args:
      manifest: of the set; it need not be written yet.
      directory: the set's folder, with its shards and its vocabulary.
    """
    summary = summarize(manifest)
    samples = read_samples(manifest, directory)
    return {
        "corpus.json": json.dumps(summary, indent=2) + "\n",
        "corpus.html": render_page(summary, manifest, samples, title=directory.resolve().name),
    }


def summarize(manifest: Manifest) -> dict[str, Any]:
    """The content of `corpus.json`.

    Returns:
      version: of this form; what is here stays under its name while the version does.
      fingerprint: of the data set, as in the manifest.
      documents: those kept; held_out_documents: of these, the ones kept out of training;
        held_out_near_twins: of these, the ones about the same as a training one.
      dropped: documents left out, by reason.
      failed: input files, or members of archives, that could not be read, to the reason.
      bytes_of_text_read: decompressed input.
      words: of the documents, as white space divides them; sentences: where the documents were
        split into such, else null.
      tokens: pieces of the documents' text, without special tokens.
      pieces_per_word: tokens / words. unknown_tokens, unknown_share: [UNK] among the tokens.
      sequences: of the rows; a document cut in two makes two, a sentence pair is one.
      rows, max_seq_length, fill: positions that are not padding / all positions.
      splits: by name, `rows`, `shards` and `bytes` of the shards.
      histograms: lists of [first, last, count], in order, without empty ones: how many times a
        number from first to last (inclusive) occurs; null for last is no end. `document_tokens`
        counts documents, `sentence_tokens` sentences, `row_positions` (not padding) and
        `row_sequences` rows.
    """
    statistics = manifest.statistics
    words, unknown = statistics["words"], statistics["unknown_tokens"]
    limits = {"row_positions": manifest.max_seq_length}
    return {
        "version": VERSION,
        "fingerprint": manifest.fingerprint,
        "documents": manifest.num_documents,
        "held_out_documents": statistics["held_out_documents"],
        "held_out_near_twins": statistics["held_out_near_twins"],
        "dropped": manifest.dropped,
        "failed": manifest.failed,
        "bytes_of_text_read": statistics["bytes_of_text_read"],
        "words": words,
        "sentences": statistics["sentences"] or None,
        "tokens": manifest.num_tokens,
        "pieces_per_word": _ratio(manifest.num_tokens, words),
        "unknown_tokens": unknown,
        "unknown_share": _ratio(unknown, manifest.num_tokens),
        "sequences": manifest.num_sequences,
        "rows": manifest.num_rows,
        "max_seq_length": manifest.max_seq_length,
        "fill": manifest.fill,
        "splits": {name: _totals(manifest.split(name)) for name in SPLITS},
        "histograms": {
            name: buckets(statistics.get(name, {}), limits.get(name)) for name in HISTOGRAMS
        },
    }


def _ratio(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0


def _totals(shards: tuple[Shard, ...]) -> dict[str, int]:
    return {
        "rows": sum(shard.rows for shard in shards),
        "shards": len(shards),
        "bytes": sum(shard.bytes for shard in shards),
    }


def buckets(counts: Mapping[str, int], limit: int | None = None) -> list[list[int | None]]:
    """A histogram's counts as [first, last, count] in order; no number exceeds `limit`.

    The last of the open bucket is the limit, and None without one.
    """
    result = []
    for start, count in sorted((int(start), count) for start, count in counts.items()):
        following = np.searchsorted(EDGES, start, "right")
        last = int(EDGES[following]) - 1 if following < len(EDGES) else limit
        result.append([start, last if limit is None else max(start, min(last, limit)), count])
    return result
