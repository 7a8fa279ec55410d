"""Hashes of documents: of ids, of whole texts, and bands of MinHashes for nearly equal ones.

Near-duplicates, which are left out when asked for, are told by words and datasketch's MinHashes.
Near twins, which are only counted, are told by token ids and MinHashes of our own: they are looked
for in every run, and cost a tenth of that.

All are the same in every process and on every machine.
"""

import functools
import hashlib
import re
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from biobert_jax.errors import UserError

NUM_PERMUTATIONS = 128
SHINGLE_WORDS = 5
_BATCH = 1024
_WORD = re.compile(r"\w+")
# Odd constants of Knuth's and Stafford's multiplicative hashes.
_ROLL = np.uint64(6364136223846793005)
_MIX = np.uint64(0xBF58476D1CE4E5B9)
# Near twins: 8 bands of 8 MinHashes, each a multiplication by an odd number.
_TWIN_SHINGLE = 8
_TWIN_BANDS = 8
_TWIN_HASHES = np.random.default_rng(1).integers(0, 2**31, (8 * _TWIN_BANDS, 1), np.uint32) * 2 + 1


def hash64(text: str) -> int:
    """64 bits (blake2b) of a string."""
    digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


def is_held_out(key: str | int, share: float) -> bool:
    """Whether a document belongs to the held-out share; it stays there if the share grows.

    Args:
      key: the document's id, or the `content_hash` of its text.
    """
    return (hash64(key) if isinstance(key, str) else key) < share * 2**64


def content_hash(passages: Sequence[str]) -> int:
    """64 bits (blake2b) of a document's text: equal for exact duplicates.

    Passages have single spaces, so texts are equal if they differ only in white space and in
    where passages end. Case and punctuation count: near-duplicates are for
    `near_duplicate_bands`.
    """
    return hash64(" ".join(passages))


def twin_bands(ids: np.ndarray) -> np.ndarray:
    """Keys of a document's MinHash bands, uint64 [8]; who shares one is a near twin, most likely.

    The document is the set of its runs of eight token ids. A key is shared by documents with a
    Jaccard similarity of 0.9 in 99 of 100 cases, of 0.8 in 77, of 0.7 in 38, of 0.5 in 3. Keys of
    different bands may meet: they are compared band by band.

    Args:
      ids: the document's tokens, integers [n], n > 0.
    """
    values = ids.astype(np.uint64)
    width = min(_TWIN_SHINGLE, len(values))
    count = len(values) - width + 1
    shingles = np.full(count, width, np.uint64)
    for start in range(width):
        shingles *= _ROLL
        shingles += values[start : start + count]
    shingles ^= shingles >> np.uint64(31)
    shingles *= _MIX
    mixed = (shingles >> np.uint64(32)).astype(np.uint32)
    lowest = np.full(len(_TWIN_HASHES), 2**32 - 1, np.uint32)
    for start in range(0, count, _BATCH):
        hashes = _TWIN_HASHES * mixed[start : start + _BATCH]
        np.minimum(lowest, hashes.min(axis=1), out=lowest)
    keys = np.zeros(_TWIN_BANDS, np.uint64)
    for row in lowest.reshape(-1, _TWIN_BANDS).astype(np.uint64):
        keys = (keys ^ row) * _ROLL
    return keys ^ (keys >> np.uint64(32))


def near_duplicate_bands(passages: Sequence[str], threshold: float = 0.8) -> np.ndarray:
    """Keys of a document's MinHash bands, uint64 [bands]; who shares one may be a near-duplicate.

    The document is the set of its runs of five words (lower-cased, without punctuation; a shorter
    one is a single run of all its words). Of documents with Jaccard similarity s a share of
    1 - (1 - s^r)^b has a key in common; b bands of r MinHashes are chosen so that the curve is
    steepest, at (1/b)^(1/r), near the threshold. Keys of different bands never meet, so that all
    can be put into one table. (Broder 1997; Leskovec et al., Mining of Massive Datasets, 3.4.)

    Args:
      threshold: similarity from which documents are near-duplicates. One word in 43 replaced,
        here and there, is a similarity of 0.8; one in 14 is 0.5. Text left out or added in one
        place counts for its length alone.

    Raises:
      UserError: a threshold that is not between 0 and 1; datasketch is not installed.
    """
    bands, rows = band_shape(threshold)
    minhash = _minhash().copy()
    shingles = _shingle_hashes(passages).tolist()
    for start in range(0, len(shingles), _BATCH):  # A batch takes 512 bytes a shingle.
        minhash.update_batch(shingles[start : start + _BATCH])
    values = minhash.hashvalues.astype("<u4")
    keys = [
        hashlib.blake2b(
            values[band * rows : (band + 1) * rows].tobytes(),
            digest_size=8,
            salt=band.to_bytes(2, "little"),
        ).digest()
        for band in range(bands)
    ]
    return np.frombuffer(b"".join(keys), "<u8").astype(np.uint64)


@functools.cache
def band_shape(threshold: float) -> tuple[int, int]:
    """(bands, MinHashes a band) whose LSH threshold is nearest to the one asked for.

    Bands use as many of the 128 MinHashes as fit: fewer could be nearer, and flatter.
    """
    if not 0 < threshold < 1:
        raise UserError(f"near-duplicate threshold {threshold:g}: give a number between 0 and 1")
    shapes = [(NUM_PERMUTATIONS // rows, rows) for rows in range(1, NUM_PERMUTATIONS + 1)]
    return min(shapes, key=lambda shape: abs((1 / shape[0]) ** (1 / shape[1]) - threshold))


@functools.cache
def _minhash() -> Any:
    """An empty MinHash to copy: drawing its permutations takes longer than hashing an abstract."""
    try:
        from datasketch import MinHash

        # Shingles come hashed already. The scheme is named so that keys outlive its default.
        return MinHash(NUM_PERMUTATIONS, seed=1, hashfunc=int, scheme="affine32")
    except (ImportError, TypeError) as error:  # Before datasketch 2 there were no schemes.
        raise UserError(
            "near-duplicates need datasketch 2 or newer: pip install 'biobert-jax[dedup]'"
        ) from error


def _shingle_hashes(passages: Sequence[str]) -> np.ndarray:
    """uint32 [shingles], distinct: polynomials of the words' CRCs, mixed and cut to 32 bits."""
    text = " ".join(passages).lower()
    # Text of symbols alone is told apart by the symbols.
    words = _WORD.findall(text) or text.split()
    crcs = [zlib.crc32(word.encode("utf-8", "replace")) for word in words]
    hashes = np.array(crcs, np.uint64)
    width = min(SHINGLE_WORDS, len(hashes))
    count = len(hashes) - width + 1
    shingles = np.full(count, width, np.uint64)
    for start in range(width):
        shingles = shingles * _ROLL + hashes[start : start + count]
    shingles ^= shingles >> np.uint64(31)
    shingles *= _MIX
    return np.unique((shingles >> np.uint64(32)).astype(np.uint32))
