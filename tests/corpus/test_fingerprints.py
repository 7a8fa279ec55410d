"""Fingerprints: what makes documents equal, and how often near-duplicates are found."""

import gzip
import itertools
import json
import random
import re
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biobert_jax.corpus.text import fingerprints
from biobert_jax.corpus.text.fingerprints import (
    band_shape,
    content_hash,
    near_duplicate_bands,
    twin_bands,
)
from biobert_jax.errors import UserError

ABSTRACT = (
    "Aspirin and the risk of colorectal cancer.",
    "We followed 4,021 patients (IL-2 treated) for five years; 12 % had gastric ulcers.",
)
WORDS = st.lists(st.text("abcdefgh", min_size=1, max_size=4), min_size=1, max_size=60)


@pytest.fixture(scope="module")
def datasketch():
    return pytest.importorskip("datasketch")


def test_content_hash_sees_through_passages_alone():
    same = content_hash(ABSTRACT)
    assert same == content_hash([" ".join(ABSTRACT)])
    assert same != content_hash([ABSTRACT[0].upper(), ABSTRACT[1]])
    assert same != content_hash([ABSTRACT[0].rstrip("."), ABSTRACT[1]])
    assert same != content_hash(ABSTRACT[::-1])
    # A change would let a rerun keep duplicates of what an earlier run wrote.
    assert same == 0x030C6B6A2CCAB5DD


def test_bands_are_a_function_of_the_text(datasketch):
    keys = near_duplicate_bands(ABSTRACT)
    assert keys.dtype == np.uint64 and keys.shape == (11,) and len(set(keys.tolist())) == 11
    # A change would let a rerun keep near-duplicates of what an earlier run wrote.
    assert keys[:2].tolist() == [0x43FC9C9C286F10AB, 0xB709F6EFE6FF883B]


@settings(max_examples=50)
@given(WORDS, st.randoms(use_true_random=False))
def test_same_words_share_every_band(datasketch, words, rng):
    text = " ".join(words)
    spaced = "".join(w.upper() + rng.choice([" ", ", ", " - ", ". "]) for w in words)
    cut = rng.randrange(len(words) + 1)
    parts = [" ".join(words[:cut]), " ".join(words[cut:])]
    expected = near_duplicate_bands([text])
    for other in ([spaced], parts):
        assert (near_duplicate_bands(other) == expected).all()


@settings(max_examples=50)
@given(WORDS, WORDS)
def test_disjoint_words_share_none(datasketch, left, right):
    ours = near_duplicate_bands([" ".join(left)])
    theirs = near_duplicate_bands([" ".join("z" + word for word in right)])
    assert not set(ours.tolist()) & set(theirs.tolist())


def test_short_texts_and_texts_of_symbols(datasketch):
    texts = ["", "Erratum", "Erratum.", "Reply to letter", "Reply to a letter", "***", "---"]
    keys = [near_duplicate_bands([text]).tolist() for text in texts]
    assert keys[1] == keys[2]
    del keys[2]
    for left, right in itertools.combinations(keys, 2):
        assert not set(left) & set(right)


@pytest.mark.parametrize(
    "similarity, low, high",
    [(1, 1, 1), (0.95, 0.97, 1), (0.8, 0.65, 0.9), (0.5, 0, 0.1), (0, 0, 0)],
)
def test_twins_are_told_by_similarity(similarity, low, high):
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(100):
        first = rng.integers(0, 30_000, 307)  # 300 runs of 8
        second = first.copy()
        common = round(2 * similarity / (1 + similarity) * 300)
        second[common + 7 :] = rng.integers(0, 30_000, 300 - common)
        if not similarity:
            second = rng.integers(0, 30_000, 307)
        found += bool((twin_bands(first) == twin_bands(second)).any())
    assert low <= found / 100 <= high


def test_bands_of_twins_are_a_function_of_the_ids(monkeypatch):
    ids = np.arange(5000, dtype=np.uint16)
    keys = twin_bands(ids)
    assert keys.dtype == np.uint64 and keys.shape == (8,) and len(set(keys.tolist())) == 8
    assert (twin_bands(ids.astype(np.int32)) == keys).all()
    monkeypatch.setattr(fingerprints, "_BATCH", 7)
    assert (twin_bands(ids) == keys).all()
    for length in range(1, 12):
        assert (twin_bands(ids[:length]) == twin_bands(ids[:length])).all()
        assert not (twin_bands(ids[:length]) == twin_bands(ids[1 : length + 1])).all()


def test_word_order_counts(datasketch):
    words = [f"w{i}" for i in range(200)]
    forward = near_duplicate_bands([" ".join(words)])
    assert not set(forward.tolist()) & set(near_duplicate_bands([" ".join(words[::-1])]).tolist())


def test_a_long_document_is_hashed_in_batches_with_the_same_result(datasketch, monkeypatch):
    text = [" ".join(f"w{i % 997}" for i in range(5000))]
    whole = near_duplicate_bands(text)
    monkeypatch.setattr(fingerprints, "_BATCH", 7)
    assert (near_duplicate_bands(text) == whole).all()


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7, 0.8, 0.9, 0.95])
def test_band_shape_is_near_the_threshold(threshold):
    bands, rows = band_shape(threshold)
    assert 100 < bands * rows <= 128
    assert abs((1 / bands) ** (1 / rows) - threshold) < 0.07


def test_bad_threshold_and_missing_library_are_one_line(monkeypatch):
    for threshold in (0, 1, -0.5, float("nan")):
        with pytest.raises(UserError, match="between 0 and 1"):
            near_duplicate_bands(ABSTRACT, threshold)
    fingerprints._minhash.cache_clear()
    monkeypatch.setitem(sys.modules, "datasketch", None)
    with pytest.raises(UserError, match=r"pip install 'biobert-jax\[dedup\]'"):
        near_duplicate_bands(ABSTRACT)
    fingerprints._minhash.cache_clear()


@pytest.mark.parametrize("replaced", [0.01, 0.02, 0.05, 0.1, 0.2])
def test_real_abstracts_are_found_as_often_as_their_similarity_says(
    datasketch, shared_data, replaced
):
    """Recall agrees with 1 - (1 - s^r)^b at the pairs' exact similarities s."""
    with gzip.open(shared_data / "corpus/text/abstracts.jsonl.gz", "rt") as lines:
        texts = [json.loads(line)["text"] for line in itertools.islice(lines, 400)]
    rng = random.Random(0)
    for threshold in (0.5, 0.8):
        bands, rows = band_shape(threshold)
        found, expected = [], []
        for text in texts:
            words = text.split()
            changed = [f"x{rng.random()}" if rng.random() < replaced else w for w in words]
            left, right = _shingles(words), _shingles(changed)
            similarity = len(left & right) / len(left | right)
            expected.append(1 - (1 - similarity**rows) ** bands)
            keys = near_duplicate_bands([text], threshold)
            found.append((near_duplicate_bands([" ".join(changed)], threshold) == keys).any())
        # Three standard errors of the mean of 400.
        assert abs(np.mean(found) - np.mean(expected)) < 0.075


def _shingles(words: list[str]) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", " ".join(words).lower())
    return {tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))}
