"""Verbs on an emulated bucket: what they make is what they make of local files."""

import json

import jax
import numpy as np
import pytest

from biobert_jax import cli, storage
from biobert_jax.checkpoints import manifest, orbax
from biobert_jax.report.runs import read_run
from biobert_jax.training.metrics import MEASURED
from tests.end_to_end.conftest import ner_command, pretrain_command


@pytest.fixture(scope="module")
def remote_data(bucket, data):
    """The prepared data set, in the bucket."""
    folder = f"{bucket.bucket}/end_to_end/data"
    storage.upload_folder(data, folder)
    return folder


@pytest.fixture(scope="module")
def remote_run(bucket, data):
    """A run whose folder is in the bucket, stopped in the middle and gone on with."""
    workdir = f"{bucket.bucket}/end_to_end/run"
    stopped = ["--config.train.num_steps=4"]
    assert cli.main(pretrain_command(data, workdir, *stopped)) == 0
    assert cli.main(pretrain_command(data, workdir)) == 0
    return storage.path(workdir)


def test_a_run_in_a_bucket_is_one_on_a_disk(bucket, remote_run, data, tmp_path):
    local = tmp_path / "run"
    assert cli.main(pretrain_command(data, local, "--config.train.num_steps=4")) == 0
    assert cli.main(pretrain_command(data, local)) == 0
    there, here = manifest.checkpoints_of(remote_run), manifest.checkpoints_of(local)
    assert [path.name for path in there] == [path.name for path in here]
    assert manifest.check_files(there[0]) == []
    for item in ("params", "optimizer"):
        ours, theirs = (orbax.read_arrays(path[0] / item) for path in (there, here))
        jax.tree.map(np.testing.assert_array_equal, ours, theirs)
    series, expected = read_run(remote_run).series, read_run(local).series
    assert series.keys() == expected.keys()
    for name in series.keys() - set(MEASURED):
        np.testing.assert_array_equal(series[name], expected[name])
    names = bucket.names("end_to_end/run/")
    assert not [name for name in names if "tmp" in name.lower() or "lease" in name]
    # Programs are kept there too, unless the environment names a folder for them.
    assert {name.split("/")[2] for name in names} - {"compiled"} == {
        *("checkpoints", "config.json", "config_changes.jsonl"),
        *("metrics.jsonl.parts", "tensorboard"),
    }


def test_a_tagger_in_a_bucket_is_one_on_a_disk(bucket, pretrained, tagger, tmp_path):
    workdir = f"{bucket.bucket}/end_to_end/tagger"
    assert cli.main(ner_command(pretrained, workdir)) == 0
    for name in ("scores.json", "predictions.conll", "NER_result_conll.txt"):
        there = bucket.content(f"end_to_end/tagger/{name}")
        assert there == (tagger / name).read_bytes(), name


@pytest.mark.slow
def test_several_runs_in_a_bucket(bucket, pretrained, capsys):
    workdir = f"{bucket.bucket}/end_to_end/seeds"
    assert cli.main(ner_command(pretrained, workdir, "--seeds", "2")) == 0
    scores = json.loads(bucket.content("end_to_end/seeds/scores.json"))
    assert [run["name"] for run in scores["runs"]] == ["seed-0", "seed-1"]
    before = bucket.names("end_to_end/seeds/")
    assert cli.main(ner_command(pretrained, workdir, "--seeds", "2")) == 0  # all finished
    assert bucket.names("end_to_end/seeds/") == before
    assert cli.main(ner_command(pretrained, workdir)) == 1
    assert "holds several runs" in capsys.readouterr().err


def losses(workdir):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    kept = ("step", "loss", "batch_crc", "heldout_loss", "heldout_mlm_loss")
    return [{k: v for k, v in json.loads(line).items() if k in kept} for line in lines]


def test_pretraining_on_data_in_a_bucket(bucket, remote_data, pretrained, tmp_path):
    with bucket.failing(share=0.2, seed=1, faults=(503, "reset", "cut")):
        assert cli.main(pretrain_command(remote_data, tmp_path / "run")) == 0
    assert losses(tmp_path / "run") == losses(pretrained)
    metrics = (tmp_path / "run/metrics.jsonl").read_text().splitlines()
    waits = [json.loads(line).get("staging_wait") for line in metrics]
    assert any(wait is not None and 0 <= wait <= 1 for wait in waits)
    assert cli.main(pretrain_command(remote_data, tmp_path / "run")) == 0  # which is finished
