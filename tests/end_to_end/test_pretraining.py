"""Pre-training by its command: exact resume, signals, damaged checkpoints, several devices."""

import json
import shutil
import signal

import numpy as np
import pytest

from biobert_jax import cli
from biobert_jax.checkpoints import manifest, orbax
from biobert_jax.checkpoints.tree import flatten
from biobert_jax.training.metrics import MEASURED
from tests.end_to_end.conftest import (
    biobert,
    errors_of,
    prepare_command,
    pretrain_command,
    wait_until,
)


def metrics_of(workdir):
    """All metrics but what is measured, which differs from run to run."""
    lines = [json.loads(x) for x in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in MEASURED} for line in lines]


def assert_same_result(workdir, expected):
    """Same parameters, optimizer state and log, bit for bit."""
    ours, theirs = (manifest.checkpoints_of(w)[0] for w in (workdir, expected))
    assert ours.name == theirs.name
    before, after = flatten(orbax.restore_params(ours)), flatten(orbax.restore_params(theirs))
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[path], after[path]) for path in before)
    import jax

    states = [orbax.read_arrays(path / "optimizer") for path in (ours, theirs)]
    jax.tree.map(np.testing.assert_array_equal, *states)
    assert metrics_of(workdir) == metrics_of(expected)


def without_checkpoints_after(workdir, copy, step):
    shutil.copytree(workdir, copy)
    for path in manifest.checkpoints_of(copy):
        if int(path.name) > step:
            shutil.rmtree(path)


def test_it_learns_and_reports(pretrained):
    metrics = metrics_of(pretrained)
    held_out = [m["heldout_mlm_loss"] for m in metrics if "heldout_mlm_loss" in m]
    assert len(held_out) == 3 and held_out[-1] < held_out[0]
    assert [m["step"] for m in metrics if "loss" in m] == list(range(1, 9))
    config = json.loads((pretrained / "config.json").read_text())
    assert config["model"]["hidden_size"] == 32 and config["train"]["num_steps"] == 8
    assert list((pretrained / "tensorboard").glob("events*"))


def test_rows_without_pairs_leave_the_next_sentence_heads_alone(pretrained):
    last, *_, first = manifest.checkpoints_of(pretrained)
    before, after = flatten(orbax.restore_params(first)), flatten(orbax.restore_params(last))
    same = {path.split("/")[0] for path in before if np.array_equal(before[path], after[path])}
    assert same == {"pooler", "nsp"}


@pytest.mark.parametrize(
    "step", [4, *(pytest.param(step, marks=pytest.mark.slow) for step in (2, 6))]
)
def test_a_run_that_died_ends_the_same_bit_for_bit(pretrained, data, tmp_path, step):
    without_checkpoints_after(pretrained, tmp_path / "run", step)
    # What a killed run leaves: an unfinished checkpoint and half a line of metrics.
    unfinished = tmp_path / "run/checkpoints" / str(step + 1) / "params"
    unfinished.mkdir(parents=True)
    with open(tmp_path / "run/metrics.jsonl", "a") as stream:
        stream.write('{"step": 7, "lo')
    assert cli.main(pretrain_command(data, tmp_path / "run")) == 0
    assert_same_result(tmp_path / "run", pretrained)


@pytest.mark.slow
def test_killed_for_real(pretrained, data, tmp_path):
    process = biobert(pretrain_command(data, tmp_path / "run"))
    wait_until(process, lambda: manifest.checkpoints_of(tmp_path / "run"))
    process.kill()
    process.communicate()
    assert cli.main(pretrain_command(data, tmp_path / "run")) == 0
    assert_same_result(tmp_path / "run", pretrained)


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_signals_save_and_the_run_goes_on(pretrained, data, tmp_path, number):
    # Saves only at the end: what the signal saved is all there is.
    more = ["--config.train.checkpoint_every=0", "--config.train.num_steps=100000"]
    process = biobert(pretrain_command(data, tmp_path / "run", *more))
    metrics = tmp_path / "run/metrics.jsonl"
    wait_until(process, lambda: metrics.exists() and '"loss"' in metrics.read_text())
    process.send_signal(number)
    errors = errors_of(process)
    assert process.returncode == 128 + number
    assert "is saved: the same command goes on" in errors.splitlines()[-1]
    [saved] = manifest.checkpoints_of(tmp_path / "run")
    assert not manifest.check_files(saved)


def test_a_damaged_checkpoint_is_named_and_passed_over(pretrained, data, tmp_path, capsys):
    without_checkpoints_after(pretrained, tmp_path / "run", 6)
    newest = manifest.checkpoints_of(tmp_path / "run")[0]
    [victim, *_] = sorted((newest / "params" / "d").iterdir())
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(bytes(content))
    assert cli.main(["verify", str(tmp_path / "run")]) == 1
    assert str(victim) in capsys.readouterr().err
    assert cli.main(pretrain_command(data, tmp_path / "run")) == 0
    errors = capsys.readouterr().err
    assert str(victim) in errors and "going on from step 4" in errors
    assert_same_result(tmp_path / "run", pretrained)


def test_other_data_in_the_same_folder_is_noticed(pretrained, data, vocab, tmp_path, capsys):
    moved = tmp_path / "data"
    assert cli.main(prepare_command(vocab, moved, "--seed", "1")) == 0
    without_checkpoints_after(pretrained, tmp_path / "run", 4)
    config = tmp_path / "run/config.json"
    config.write_text(config.read_text().replace(str(data), str(moved)))
    assert cli.main(pretrain_command(moved, tmp_path / "run")) == 1
    assert "trained on other data" in capsys.readouterr().err
    # The same rows elsewhere are the same data.
    config.write_text(config.read_text().replace(str(moved), str(tmp_path / "copy")))
    shutil.copytree(data, tmp_path / "copy")
    assert cli.main(pretrain_command(tmp_path / "copy", tmp_path / "run")) == 0


@pytest.mark.slow
def test_eight_devices_give_the_same_losses(pretrained, data, tmp_path):
    process = biobert(pretrain_command(data, tmp_path / "run"), devices=8)
    errors = errors_of(process)
    assert process.returncode == 0, errors
    assert "8 cpu device(s)" in errors
    one, eight = (
        [m["loss"] for m in metrics_of(w) if "loss" in m] for w in (pretrained, tmp_path / "run")
    )
    np.testing.assert_allclose(eight, one, rtol=1e-5)


@pytest.mark.slow
def test_bfloat16_learns_too(pretrained, data, tmp_path):
    more = ["--config.model.dtype=bfloat16", "--config.train.num_steps=4"]
    assert cli.main(pretrain_command(data, tmp_path / "run", *more)) == 0
    params = flatten(orbax.restore_params(manifest.checkpoints_of(tmp_path / "run")[0]))
    assert {str(x.dtype) for x in params.values()} == {"float32"}
    first = metrics_of(tmp_path / "run")[1]["loss"]
    assert first == pytest.approx(metrics_of(pretrained)[1]["loss"], rel=0.01)
