"""Small data sets of each kind, written without `biobert prepare`."""

from pathlib import Path

import numpy as np

from biobert_jax.corpus.dataset.manifest import NAME, Manifest, Shard
from biobert_jax.corpus.dataset.records import RecordFormat, encode_rows
from biobert_jax.corpus.dataset.tfrecord import write_tfrecords
from biobert_jax.corpus.rows.masked_pairs import mask_pair
from biobert_jax.corpus.rows.packing import pack
from biobert_jax.corpus.rows.pair_packing import pack_pairs
from biobert_jax.corpus.rows.pairs import Pair
from biobert_jax.corpus.text.tokenization import SPECIAL_NAMES, SpecialTokens
from biobert_jax.files import file_sha256

LENGTH = 32
PREDICTIONS = 5
SPECIAL = SpecialTokens(0, 1, 2, 3, 4)
TOKENS = [*SPECIAL_NAMES, *(f"w{i}" for i in range(95))]
FORMATS = {
    "mlm": RecordFormat("packed", "mlm", LENGTH, len(TOKENS)),
    "pairs": RecordFormat("packed", "mlm_nsp", LENGTH, len(TOKENS)),
    "bert": RecordFormat("bert", "mlm_nsp", LENGTH, len(TOKENS), PREDICTIONS),
}


def make_pairs(count: int, seed: int, longest: int = LENGTH - 3) -> list[Pair]:
    """Pairs whose label is plain: a random B is of the vocabulary's second half, A never is."""
    rng = np.random.default_rng(seed)
    halves = np.split(np.arange(len(SPECIAL), len(TOKENS) - 1), 2)
    pairs = []
    for _ in range(count):
        is_random = int(rng.integers(2))
        a, b = (
            rng.choice(halves[half], rng.integers(2, longest // 2 + 1)).astype(np.int32)
            for half in (0, is_random)
        )
        pairs.append(Pair(a, b, bool(is_random)))
    return pairs


def make_rows(kind: str, seed: int, count: int = 60) -> np.ndarray:
    """Rows of a kind, a structured array."""
    rng = np.random.default_rng(seed)
    pairs = make_pairs(count, seed, longest=16 if kind == "pairs" else LENGTH - 3)
    if kind == "mlm":
        texts = [np.concatenate([pair.tokens_a, pair.tokens_b]) for pair in pairs]
        table = np.zeros(len(TOKENS), bool)
        special = SPECIAL._asdict()
        del special["unk"], special["mask"]
        rows = list(pack(texts, LENGTH, continuation=table, **special))
    elif kind == "pairs":
        rows = list(pack_pairs(pairs, LENGTH, special=SPECIAL))
    else:
        rows = [mask_row(pair, rng) for pair in pairs]
    return structured(rows, FORMATS[kind])


def mask_row(pair: Pair, rng: np.random.Generator):
    """A row of google's format."""
    return mask_pair(
        pair,
        rng,
        special=SPECIAL,
        vocab_size=len(TOKENS),
        max_seq_length=LENGTH,
        max_predictions=PREDICTIONS,
    )


def structured(rows: list, format: RecordFormat) -> np.ndarray:
    """Rows (NamedTuples) as the structured array that `encode_rows` takes."""
    result = np.zeros(len(rows), format.row_dtype)
    for index, row in enumerate(rows):
        for name in format.features:
            result[name][index] = getattr(row, name)
    return result


def write_vocab(directory: Path) -> Path:
    path = directory / "vocab.txt"
    path.write_text("\n".join(TOKENS) + "\n")
    return path


def write_rows(path: Path, rows: np.ndarray, format: RecordFormat) -> Path:
    write_tfrecords(path, encode_rows(rows, format))
    return path


def random_rows(format: RecordFormat, count: int, seed: int = 0) -> np.ndarray:
    """Rows with every feature full of random numbers of its range."""
    rng = np.random.default_rng(seed)
    rows = np.empty(count, format.row_dtype)
    for name, feature in format.features.items():
        if feature.dtype.kind == "f":
            rows[name] = rng.random((count, feature.size), np.float32)
            continue
        # Int64Lists hold no negative numbers in our records; packed labels do.
        low = -1 if feature.dtype.kind == "i" and format.record_format == "packed" else 0
        high = min(np.iinfo(feature.dtype).max, 2 ** int(rng.integers(1, 31)))
        rows[name] = rng.integers(low, high, (count, feature.size), endpoint=True)
    return rows


def write_dataset(directory: Path, kind: str, *, shards: int = 5, heldout: int = 1) -> Path:
    """A folder as `biobert prepare` writes it; shards have unequal numbers of rows."""
    rows = {
        f"{split}-{index:03}.tfrecord": make_rows(
            kind, seed=100 * (split == "heldout") + index, count=30 + 3 * index
        )
        for split, count in (("train", shards), ("heldout", heldout))
        for index in range(count)
    }
    return write_shards(directory, FORMATS[kind], rows)


def write_shards(directory: Path, format: RecordFormat, shards: dict[str, np.ndarray]) -> Path:
    """A folder as `biobert prepare` writes it, with rows by shard; the vocabulary need not fit."""
    directory.mkdir(parents=True)
    vocab = write_vocab(directory)
    written = []
    for name, rows in shards.items():
        path = write_rows(directory / name, rows, format)
        size = path.stat().st_size
        written.append(Shard(name, name.split("-")[0], len(rows), size, file_sha256(path)))
    manifest = Manifest(
        num_documents=1,
        num_sequences=1,
        num_tokens=1,
        num_rows=sum(shard.rows for shard in written),
        fill=0.9,
        record_format=format.record_format,
        objective=format.objective,
        max_seq_length=format.max_seq_length,
        max_predictions=format.max_predictions,
        dropped={},
        statistics={},
        tokenizer={
            "file": vocab.name,
            "kind": "wordpiece",
            "cased": False,
            "vocab_size": format.vocab_size,
            "sha256": file_sha256(vocab),
            "special": SPECIAL._asdict(),
        },
        arguments={},
        fingerprint="",
        failed={},
        shards=tuple(written),
    )
    (directory / NAME).write_text(manifest.to_json())
    return directory
