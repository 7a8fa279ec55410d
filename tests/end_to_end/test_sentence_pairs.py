"""Pre-training on sentence pairs by its command: packed rows, and records of google's format."""

import numpy as np
import pytest

from biobert_jax import cli
from biobert_jax.checkpoints import manifest, orbax
from biobert_jax.checkpoints.load import load_checkpoint
from biobert_jax.checkpoints.tree import flatten
from biobert_jax.config import DataConfig
from biobert_jax.training.phases import open_phases
from tests.end_to_end.conftest import biobert, errors_of, prepare_command, pretrain_command
from tests.end_to_end.test_pretraining import (
    assert_same_result,
    metrics_of,
    without_checkpoints_after,
)


@pytest.fixture(scope="module")
def pairs(tmp_path_factory, vocab):
    """A prepared data set of packed pairs."""
    path = tmp_path_factory.mktemp("pairs") / "prepared"
    assert cli.main(prepare_command(vocab, path, "--objective", "mlm_nsp")) == 0
    return path


@pytest.fixture(scope="module")
def google(tmp_path_factory, vocab):
    """A prepared data set of google's format."""
    path = tmp_path_factory.mktemp("google") / "prepared"
    more = ("--objective", "mlm_nsp", "--record_format", "bert", "--dupe_factor", "1")
    assert cli.main(prepare_command(vocab, path, *more)) == 0
    return path


@pytest.fixture(scope="module")
def pretrained_on_pairs(tmp_path_factory, pairs):
    """A workdir in which the shrunk pre-training on packed pairs ran to its end."""
    workdir = tmp_path_factory.mktemp("pretrained") / "run"
    assert cli.main(pretrain_command(pairs, workdir)) == 0
    return workdir


def files_command(google, workdir, *more):
    """Pre-training on the files of a folder, without its manifest."""
    files = [
        f"--config.data.files={google}/train-*",
        f"--config.data.heldout_files={google}/heldout-*",
        f"--config.data.vocab={google}/vocab.txt",
    ]
    return pretrain_command("", workdir, *files, *more)


def test_both_losses_are_trained_and_reported(pretrained_on_pairs):
    metrics = metrics_of(pretrained_on_pairs)
    steps = [m for m in metrics if "loss" in m]
    assert [m["step"] for m in steps] == list(range(1, 9))
    for values in steps:
        assert values["loss"] == pytest.approx(values["mlm_loss"] + values["nsp_loss"], rel=1e-5)
        assert 0 <= values["nsp_accuracy"] <= 1
    held_out = [m for m in metrics if "heldout_mlm_loss" in m]
    assert len(held_out) == 3
    assert held_out[-1]["heldout_mlm_loss"] < held_out[0]["heldout_mlm_loss"]
    assert all({"heldout_nsp_loss", "heldout_nsp_accuracy"} <= m.keys() for m in held_out)
    last, *_, first = (
        flatten(orbax.restore_params(p)) for p in manifest.checkpoints_of(pretrained_on_pairs)
    )
    assert not any(np.array_equal(first[path], last[path]) for path in first)


def test_a_run_that_died_ends_the_same_bit_for_bit(pretrained_on_pairs, pairs, tmp_path):
    without_checkpoints_after(pretrained_on_pairs, tmp_path / "run", 4)
    assert cli.main(pretrain_command(pairs, tmp_path / "run")) == 0
    assert_same_result(tmp_path / "run", pretrained_on_pairs)


@pytest.mark.slow
def test_eight_devices_give_the_same_losses(pretrained_on_pairs, pairs, tmp_path):
    process = biobert(pretrain_command(pairs, tmp_path / "run"), devices=8)
    errors = errors_of(process)
    assert process.returncode == 0, errors
    one, eight = (
        [[m["mlm_loss"], m["nsp_loss"]] for m in metrics_of(w) if "loss" in m]
        for w in (pretrained_on_pairs, tmp_path / "run")
    )
    np.testing.assert_allclose(eight, one, rtol=1e-5)


@pytest.mark.slow
def test_google_files_train_as_their_folder_does_and_resume(google, tmp_path, capsys):
    assert cli.main(pretrain_command(google, tmp_path / "folder")) == 0
    assert cli.main(files_command(google, tmp_path / "files")) == 0
    assert "the records hold their masks: config.masking is not used" in capsys.readouterr().err
    assert_same_result(tmp_path / "files", tmp_path / "folder")
    steps = [m for m in metrics_of(tmp_path / "files") if "loss" in m]
    assert steps[-1]["mlm_loss"] < steps[0]["mlm_loss"] and "nsp_accuracy" in steps[0]
    without_checkpoints_after(tmp_path / "files", tmp_path / "died", 4)
    assert cli.main(files_command(google, tmp_path / "died")) == 0
    assert_same_result(tmp_path / "died", tmp_path / "folder")
    # Masking is the records' own.
    more = ["--config.masking.rate=0.5", "--config.train.num_steps=3"]
    assert cli.main(files_command(google, tmp_path / "other", *more)) == 0
    assert metrics_of(tmp_path / "other")[1]["mlm_loss"] == steps[0]["mlm_loss"]


def test_the_checkpoint_lends_its_vocabulary(google, pretrained_on_pairs):
    config = DataConfig(files=(f"{google}/train-*",))
    [(data, *_)] = open_phases(config, load_checkpoint(pretrained_on_pairs).vocab)
    assert data.vocab_path.read_bytes() == (google / "vocab.txt").read_bytes()


def test_what_does_not_fit_is_one_line(google, pretrained_on_pairs, tmp_path, capsys):
    def error(command):
        capsys.readouterr()
        assert cli.main(command) == 1
        lines = capsys.readouterr().err.splitlines()
        assert lines[-1].startswith("error: "), lines
        return lines[-1]

    vocab = tmp_path / "vocab.txt"
    vocab.write_text((google / "vocab.txt").read_text() + "another\n")
    files = f"--config.data.files={google}/train-*"
    run = tmp_path / "run"
    for folder, more, message in [
        ("", [], "data.dir is not set"),
        ("", [files], "data.files needs data.vocab"),
        (google, [files], "data.dir and data.files are both set"),
        (google, [f"--config.data.vocab={vocab}"], "data.vocab is set without data.files"),
        (google, ["--config.data.num_streams=64"], "has 8 shards (files, or blocks of arrays)"),
    ]:
        assert message in error(pretrain_command(folder, run, *more))
    for more, message in [
        (["data.files=none/*"], "no file matches none/*"),
        (["model.max_position_embeddings=32"], "rows of 64, over model.max_position_embeddings 32"),
        (["model.type_vocab_size=1"], "need model.type_vocab_size 2, not 1"),
        (["model.vocab_size=9"], "was made with a vocabulary of 800"),
        ([f"data.vocab={vocab}", f"init={pretrained_on_pairs}"], "made with another vocabulary"),
    ]:
        assert message in error(files_command(google, run, *(f"--config.{x}" for x in more)))
