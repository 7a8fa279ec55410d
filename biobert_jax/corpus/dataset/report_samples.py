"""Random rows of a data set, decoded back to text, for the report."""

import random
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from biobert_jax.corpus.dataset.decode import decode_rows
from biobert_jax.corpus.dataset.manifest import Manifest
from biobert_jax.corpus.dataset.tfrecord import read_tfrecords
from biobert_jax.corpus.text.detokenize import decode_pieces, piece_texts
from biobert_jax.corpus.text.tokenization import SpecialTokens, load_tokenizer

NUM_SAMPLES = 6
# A sample is one of a shard's first rows, found without reading more than this. Rows are shuffled:
# the first are as good as any.
_SAMPLE_BYTES = 4 << 20


@dataclass(frozen=True)
class Token:
    """A token of a sample.

    Attributes:
      text: what it adds to the readable text, a space before it included.
      kind: "special", "unknown", "masked" (to be predicted), "continuation" or "" (starts a word).
      replaced_by: of a masked token, whose text is the true one: what stands in its place.
      token_type: 0 or 1.
    """

    text: str
    kind: str
    replaced_by: str
    token_type: int


@dataclass(frozen=True)
class Sample:
    """A row of a shard: its sequences, and of pairs whether B is random (None where no pairs)."""

    shard: str
    row: int
    positions: int
    sequences: list[list[Token]]
    is_random_next: list[bool | None]


def read_samples(
    manifest: Manifest, directory: Path, count: int = NUM_SAMPLES, seed: int = 0
) -> list[Sample]:
    """Random rows of the training shards, of the held-out ones where there are no others.

    A row occurs once; a tiny set has fewer.
    """
    shards = manifest.split("train") or manifest.split("heldout")
    rng = random.Random(seed)
    places: set[tuple[int, int]] = set()
    # Some draws meet: a set of few rows need not give them all.
    for _ in range(4 * count):
        shard = rng.randrange(len(shards)) if shards else -1
        if shard >= 0 and len(places) < count:
            rows, size = shards[shard].rows, shards[shard].bytes
            places.add((shard, rng.randrange(min(rows, max(1, rows * _SAMPLE_BYTES // size)))))
    # Only its pieces count here; the manifest that says more of it may not be in its place yet.
    tokenizer = load_tokenizer(
        directory / manifest.tokenizer["file"], do_lower_case=not manifest.tokenizer["cased"]
    )
    texts = piece_texts(tokenizer)
    samples = []
    for shard, row in sorted(places):
        name = shards[shard].name
        record = next(islice(read_tfrecords(directory / name), row, None))
        values = decode_rows([record], manifest.format)[0]
        parse = _masked_pair if manifest.record_format == "bert" else _packed_sequences
        sequences, labels = parse(values, tokenizer.special, texts)
        positions = sum(map(len, sequences))
        samples.append(Sample(name, row, positions, sequences, labels))
    return samples


def _packed_sequences(
    row: np.void, special: SpecialTokens, texts: list[str]
) -> tuple[list[list[Token]], list[bool | None]]:
    has_pairs = "token_type_ids" in row.dtype.names
    sequences, labels = [], []
    for number in range(1, int(row["sequence_ids"].max()) + 1):
        here = row["sequence_ids"] == number
        ids = row["input_ids"][here].tolist()
        types = row["token_type_ids"][here].tolist() if has_pairs else [0] * len(ids)
        sequences.append(_tokens(ids, types, special, texts, {}))
        labels.append(bool(row["next_sentence_labels"][number - 1]) if has_pairs else None)
    return sequences, labels


def _masked_pair(
    row: np.void, special: SpecialTokens, texts: list[str]
) -> tuple[list[list[Token]], list[bool | None]]:
    length = int(np.count_nonzero(row["input_mask"]))
    shown = row["input_ids"][:length]
    chosen = row["masked_lm_weights"] > 0
    positions = row["masked_lm_positions"][chosen]
    masked = {position: int(shown[position]) for position in positions.tolist()}
    true = shown.copy()
    true[positions] = row["masked_lm_ids"][chosen]
    types = row["segment_ids"][:length].tolist()
    tokens = _tokens(true.tolist(), types, special, texts, masked)
    return [tokens], [bool(row["next_sentence_labels"][0])]


def _tokens(
    ids: list[int],
    types: list[int],
    special: SpecialTokens,
    texts: list[str],
    masked: dict[int, int],
) -> list[Token]:
    """Tokens of a sequence; `masked` maps positions to the ids that stand in for the true ones."""
    tokens = []
    for position, text in enumerate(decode_pieces(ids, texts)):
        index, replaced_by = ids[position], ""
        if position in masked:
            kind = "masked"
            kept = masked[position] == index
            replaced_by = "kept" if kept else texts[masked[position]].strip()
        elif index == special.unk:
            kind = "unknown"
        elif index in special:
            kind = "special"
        else:
            kind = "" if texts[index].startswith(" ") else "continuation"
        # A cut B may start within a word.
        if tokens and tokens[-1].kind == "special" and not text.startswith(" "):
            text = f" {text}"
        tokens.append(Token(text, kind, replaced_by, types[position]))
    return tokens
