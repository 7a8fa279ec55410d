"""The held-out split against the training one: no text on both sides, and twins counted."""

import json
import random

import numpy as np
import pytest

from biobert_jax.corpus.dataset.export import read_rows
from biobert_jax.corpus.documents import Share
from biobert_jax.corpus.pipeline import prepare
from biobert_jax.corpus.pipeline.arguments import PrepareArguments
from biobert_jax.corpus.pipeline.encoded import BAND_DTYPE, INDEX_DTYPE, write_array
from biobert_jax.corpus.pipeline.tasks import Task, task_path
from biobert_jax.corpus.pipeline.twins import count_twins
from biobert_jax.corpus.text.tokenization import SPECIAL_NAMES


def make(tmp_path, texts, **options):
    vocab = tmp_path / "vocab.txt"
    vocab.write_text("\n".join([*SPECIAL_NAMES, *(f"w{n}" for n in range(300)), "W7"]) + "\n")
    with open(tmp_path / "in.jsonl", "w") as stream:
        for number, text in enumerate(texts):
            stream.write(json.dumps({"id": str(number), "text": text}) + "\n")
    arguments = PrepareArguments(
        (str(tmp_path / "in.jsonl"),),
        "jsonl",
        str(vocab),
        do_lower_case="no",
        max_seq_length=64,
        held_out=0.2,
        **options,
    )
    return prepare.prepare(arguments, tmp_path / "out")


def sequences(tmp_path, manifest, split):
    found = []
    for rows in read_rows(tmp_path / "out", manifest, split):
        for row in rows:
            for number in range(1, int(row["sequence_ids"].max()) + 1):
                found.append(tuple(row["input_ids"][row["sequence_ids"] == number].tolist()))
    return found


def texts(count, length=30):
    rng = random.Random(0)
    return [" ".join(f"w{rng.randrange(300)}" for _ in range(length)) for _ in range(count)]


@pytest.mark.parametrize("duplicates", ["keep", "drop"])
def test_no_held_out_text_is_in_training(tmp_path, duplicates):
    originals = texts(200)
    manifest = make(tmp_path, [*originals, *originals], duplicates=duplicates)
    held_out = sequences(tmp_path, manifest, "heldout")
    train = set(sequences(tmp_path, manifest, "train"))
    assert len(held_out) > 20 and not train & set(held_out)
    assert manifest.num_documents == (400 if duplicates == "keep" else 200)
    assert manifest.statistics["held_out_near_twins"] == 0


def test_twins_between_the_splits_are_counted(tmp_path):
    # Each twice, with a word changed: some 20 % of the first lie on one side, as do of the second.
    originals = texts(100, length=200)
    twins = [text.replace(" w7 ", " W7 ") + " w1" for text in originals]
    manifest = make(tmp_path, [*originals, *twins])
    held_out = manifest.statistics["held_out_documents"]
    summary = json.loads((tmp_path / "out/corpus.json").read_text())
    assert summary["held_out_near_twins"] == manifest.statistics["held_out_near_twins"]
    # A twin is on the training side with a probability of 80 %.
    assert 0.6 * held_out < manifest.statistics["held_out_near_twins"] <= held_out


@pytest.mark.parametrize("seed", range(5))
def test_counting_is_the_naive_one(tmp_path, seed):
    rng = np.random.default_rng(seed)
    tasks, verdicts, everything = [], [], []
    for number, count in enumerate(rng.integers(0, 40, 4).tolist()):
        task = Task(number, ("a",), 0, Share(), 0)
        index = np.zeros(count, INDEX_DTYPE)
        index["held_out"] = rng.random(count) < 0.3
        bands = rng.integers(0, 60, (count, 3)).astype(BAND_DTYPE)
        verdict = rng.integers(0, 2, count).astype(np.uint8)
        write_array(task_path(tmp_path, task, "index"), index)
        write_array(task_path(tmp_path, task, "bands"), bands)
        tasks.append(task)
        verdicts.append(verdict)
        everything += zip(index["held_out"], verdict, bands.tolist(), strict=True)
    train = [bands for side, verdict, bands in everything if not side and verdict == 0]
    expected = sum(
        any(b == t for other in train for b, t in zip(bands, other, strict=True))
        for side, verdict, bands in everything
        if side and verdict == 0
    )
    assert count_twins(tasks, verdicts, str(tmp_path)) == expected
