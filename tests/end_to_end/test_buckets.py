"""Verbs on an emulated bucket: what they make is what they make of local files."""

import json

import pytest

from biobert_jax import cli, storage
from tests.end_to_end.conftest import pretrain_command


@pytest.fixture(scope="module")
def remote_data(bucket, data):
    """The prepared data set, in the bucket."""
    folder = f"{bucket.bucket}/end_to_end/data"
    storage.upload_folder(data, folder)
    return folder


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
