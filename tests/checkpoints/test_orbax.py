"""Checkpoints: which are kept, what is found wrong, and failures that are not missed."""

import json
import random
import re
import threading
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from biobert_jax.checkpoints import manifest, orbax
from biobert_jax.checkpoints.load import find_checkpoint, load_checkpoint
from biobert_jax.checkpoints.manifest import NORMAL, PERMANENT, TEMPORARY
from biobert_jax.checkpoints.orbax import CheckpointWriter
from biobert_jax.checkpoints.tree import flatten
from biobert_jax.errors import UserError
from tests.checkpoints.tiny import MODEL, tiny_params, tiny_tokenizer

PARAMS = {"kernel": jnp.arange(6.0).reshape(2, 3)}


@pytest.fixture
def vocab(tmp_path):
    return tiny_tokenizer(tmp_path)


def metadata(step, retention=NORMAL, best=False, kind="pretraining"):
    return manifest.Metadata(
        kind, step, MODEL, "vocab.txt", max_seq_length=16, retention=retention, best=best
    )


def save(writer, vocab, step, retention=NORMAL, best=False, kind="pretraining"):
    writer.clear(step)
    writer.save(metadata(step, retention, best, kind), vocab, PARAMS, {"step": jnp.int32(step)})
    writer.wait()


def steps(workdir):
    return [int(path.name) for path in manifest.checkpoints_of(workdir)]


def test_each_kind_is_kept_as_long_as_it_says(tmp_path, vocab):
    writer = CheckpointWriter(tmp_path, keep=2)
    kept = []
    for step, kind in [
        (1, TEMPORARY),
        (2, TEMPORARY),
        (3, NORMAL),
        (4, PERMANENT),
        (5, NORMAL),
        (6, TEMPORARY),
    ]:
        save(writer, vocab, step, kind)
        kept.append(steps(tmp_path))
    assert kept == [[1], [2], [3], [4, 3], [5, 4, 3], [6, 5, 4, 3]]
    writer.close()
    # Another process knows them by their files.
    writer = CheckpointWriter(tmp_path, keep=2)
    save(writer, vocab, 7)
    assert steps(tmp_path) == [7, 5, 4]
    save(writer, vocab, 8, PERMANENT)
    assert steps(tmp_path) == [8, 7, 5, 4]
    writer.close()


def test_the_best_stays_and_is_what_the_folder_stands_for(tmp_path, vocab):
    writer = CheckpointWriter(tmp_path, keep=1)
    kept = []
    for step, kind, best in [
        *((1, NORMAL, True), (2, NORMAL, False), (3, NORMAL, False)),
        *((4, TEMPORARY, True), (5, TEMPORARY, False), (6, NORMAL, False)),
    ]:
        save(writer, vocab, step, kind, best, "ner")
        kept.append((steps(tmp_path), manifest.chosen_checkpoint(tmp_path).name))
    assert kept == [
        *(([1], "1"), ([2, 1], "1"), ([3, 1], "1")),
        *(([4, 3], "4"), ([5, 4, 3], "4"), ([6, 4], "4")),
    ]
    manifest.change_metadata(tmp_path / "checkpoints/6", best=True)
    assert find_checkpoint(tmp_path)[0].name == "6" and not manifest.check_files(
        tmp_path / "checkpoints/6"
    )
    save(writer, vocab, 7, kind="ner")
    assert steps(tmp_path) == [7, 6], "the former best is as any other"
    writer.close()
    # Of a task's run; pre-training has no best, and its newest is what it stands for.
    path = tmp_path / "checkpoints/6/manifest.json"
    path.write_text(path.read_text().replace("vocab.txt", "vocab.tx_"))
    with pytest.raises(UserError, match="6/manifest.json: not a checkpoint's manifest"):
        manifest.chosen_checkpoint(tmp_path)
    assert manifest.chosen_checkpoint(tmp_path / "nothing") is None


def test_how_a_run_computed_does_not_bind_who_opens_its_checkpoint(tmp_path, vocab):
    writer = CheckpointWriter(tmp_path, keep=1)
    chosen = replace(
        MODEL,
        layer_norm_eps=1e-6,
        attention="cudnn",
        feed_forward="fused",
        remat="full",
        scan_layers=False,
    )
    described = manifest.Metadata("pretraining", 1, chosen, "vocab.txt", max_seq_length=16)
    writer.save(described, vocab, tiny_params(), {"step": jnp.int32(1)})
    writer.close()
    assert load_checkpoint(tmp_path).model == replace(MODEL, layer_norm_eps=1e-6)


def test_a_manifest_from_before_there_were_kinds_is_a_normal_one(tmp_path, vocab):
    writer = CheckpointWriter(tmp_path)
    save(writer, vocab, 1)
    writer.close()
    path = tmp_path / "checkpoints/1/manifest.json"
    content = json.loads(path.read_text())
    del content["retention"]
    path.write_text(json.dumps(content))
    assert "changed" in manifest.check_files(tmp_path / "checkpoints/1")[0]
    del content["sha256"]
    path.write_text(json.dumps(content))
    assert manifest.check_files(tmp_path / "checkpoints/1") == []
    read = manifest.read_metadata(tmp_path / "checkpoints/1")
    assert read == replace(metadata(1), tokenizer=read.tokenizer)


def test_a_damaged_manifest_does_not_stop_later_saves(tmp_path, vocab):
    writer = CheckpointWriter(tmp_path, keep=1)
    save(writer, vocab, 1)
    (tmp_path / "checkpoints/1/manifest.json").write_text("{")
    save(writer, vocab, 2)
    writer.close()
    assert steps(tmp_path) == [2]


def test_what_a_killed_run_left_is_removed_and_nothing_else(tmp_path, vocab):
    writer = CheckpointWriter(tmp_path)
    save(writer, vocab, 2)
    writer.close()
    folder = tmp_path / "checkpoints"
    for name in ("4/params", "6.orbax-checkpoint-tmp/params", "notes"):
        (folder / name).mkdir(parents=True)
    writer = CheckpointWriter(tmp_path)
    writer.clear()
    writer.close()
    assert sorted(path.name for path in folder.iterdir()) == ["2", "notes"]


def test_a_save_that_failed_is_known_without_waiting_and_raised(tmp_path, vocab, monkeypatch):
    writer = CheckpointWriter(tmp_path)

    def lost():
        raise FileNotFoundError("missing.txt")

    monkeypatch.setattr(vocab, "vocab_bytes", lost)
    writer.save(metadata(1), vocab, PARAMS, {"step": jnp.int32(1)})
    writer._thread.submit(lambda: None).result()  # until it is done
    assert writer.failed()
    with pytest.raises(UserError, match="could not be saved .*missing.txt.*run the same command"):
        writer.close()
    assert steps(tmp_path) == []


def test_too_little_space_is_said_before_a_save(tmp_path, vocab, monkeypatch):
    writer = CheckpointWriter(tmp_path)
    save(writer, vocab, 1)
    monkeypatch.setattr(orbax, "free_bytes", lambda path: 10)
    with pytest.raises(UserError, match="disk are needed and 10 bytes are free .*the same command"):
        writer.check_space(PARAMS, {"step": jnp.int32(2)})
    writer.close()
    assert steps(tmp_path) == [1]


def test_every_flipped_bit_is_found(tmp_path, vocab):
    writer = CheckpointWriter(tmp_path)
    save(writer, vocab, 1)
    writer.close()
    [path] = manifest.checkpoints_of(tmp_path)
    assert manifest.check_files(path) == []
    files = [p for p in sorted(path.rglob("*")) if p.is_file() and p.stat().st_size]
    rng = random.Random(0)
    for file in files:
        content = file.read_bytes()
        for _ in range(5):
            flipped, place = bytearray(content), rng.randrange(8 * len(content))
            flipped[place // 8] ^= 1 << place % 8
            file.write_bytes(bytes(flipped))
            assert manifest.check_files(path), f"bit {place} of {file}"
        file.write_bytes(content)
    assert manifest.check_files(path) == []


def test_a_checkpoint_is_opened_by_a_relative_path(tmp_path, vocab, monkeypatch):
    writer = CheckpointWriter(tmp_path / "run")
    params = tiny_params()
    writer.save(metadata(3), vocab, params, {"step": jnp.int32(3)})
    writer.close()
    monkeypatch.chdir(tmp_path)
    for path in ("run", "run/checkpoints/3"):
        read, expected = flatten(load_checkpoint(path).params), flatten(params)
        assert all(np.array_equal(read[name], expected[name]) for name in expected)
    like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), params)
    step = {"step": jax.ShapeDtypeStruct((), jnp.int32)}
    _, optimizer = orbax.restore_state(Path("run/checkpoints/3"), like, step)
    assert optimizer["step"] == 3


@pytest.mark.parametrize(
    "change, message",
    [
        ({"vocab": "../given.txt"}, "vocab is '../given.txt', not the name of a file"),
        ({"vocab": "/etc/passwd"}, "not the name of a file"),
        ({"files": {"../../x": "0"}}, "leads out of the folder"),
        ({"files": {"/x": "0"}}, "leads out of the folder"),
        ({"labels": "OBI"}, "labels is 'OBI', not a list"),
        ({"max_seq_length": "x"}, "max_seq_length is 'x'"),
        ({"model": {"hidden_size": 7, "num_attention_heads": 2}}, "not a multiple"),
        ({"tokenizer": {"do_lower_case": 1}}, "tokenizer.do_lower_case is 1, not true or false"),
        ({"kind": ""}, "kind is '', not a word"),
    ],
)
def test_what_a_manifest_says_is_checked(tmp_path, vocab, change, message):
    orbax.write_checkpoint(tmp_path / "x", metadata(1), vocab, PARAMS)
    path = tmp_path / "x/manifest.json"
    content = json.loads(path.read_text()) | change
    del content["sha256"]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=re.escape(message)):
        manifest.read_metadata(tmp_path / "x")


def test_checkpoints_are_listed_beside_a_save(tmp_path, vocab):
    """Files come and go below the folder while a run saves and deletes."""
    writer = CheckpointWriter(tmp_path, keep=1)
    save(writer, vocab, 1)
    stop, failed = threading.Event(), []

    def look():
        while not stop.is_set():
            try:
                assert steps(tmp_path)
            except Exception as error:
                failed.append(error)

    looking = threading.Thread(target=look)
    looking.start()
    for step in range(2, 8):
        save(writer, vocab, step)
    stop.set()
    looking.join()
    writer.close()
    assert not failed
