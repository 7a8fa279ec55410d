"""Verbs on an emulated bucket: what they make is what they make of local files."""

import json

import jax
import numpy as np
import pytest

from biobert_jax import cli, storage
from biobert_jax.checkpoints import manifest, orbax
from biobert_jax.report.runs import read_run
from biobert_jax.training.metrics import MEASURED
from tests.end_to_end.conftest import biobert, ner_command, pretrain_command


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


@pytest.mark.parametrize(
    "refused, words",
    [
        ((), "there is no bucket gs://nowhere"),
        ((("POST /upload", 403),), "no right to write there: give the account roles/storage"),
        ((("", 401),), "no credentials that gs://bucket takes: run `gcloud auth"),
    ],
)
def test_a_workdir_that_cannot_be_had_is_one_line(bucket, data, capsys, refused, words):
    before = bucket.names()
    place = f"{bucket.bucket if refused else 'gs://nowhere'}/refused"
    with bucket.refusing(*refused):
        assert cli.main(pretrain_command(data, place)) == 1
    said = [line for line in capsys.readouterr().err.splitlines() if "google_auth" not in line]
    assert len(said) == 1 and words in said[0], said
    assert bucket.names() == before


SECRETS = {
    name: f"s3cr3t-{number:02d}-{name.lower()}"
    for number, name in enumerate(
        [
            *("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "WANDB_API_KEY", "MLFLOW_TRACKING_PASSWORD"),
            *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GITHUB_TOKEN"),
            *(
                "GH_TOKEN",
                "GITLAB_TOKEN",
                "NPM_TOKEN",
                "PYPI_TOKEN",
                "TWINE_PASSWORD",
                "PGPASSWORD",
            ),
            *("MYSQL_PWD", "REDIS_PASSWORD", "DATABASE_URL", "SLACK_TOKEN", "OPENAI_API_KEY"),
            *("ANTHROPIC_API_KEY", "COMET_API_KEY", "NEPTUNE_API_TOKEN", "KAGGLE_KEY", "SSH_KEY"),
            *(
                "AZURE_CLIENT_SECRET",
                "GOOGLE_API_KEY",
                "CLOUDSDK_AUTH_ACCESS_TOKEN",
                "NCBI_API_KEY",
            ),
            *("BIOBERT_SECRET", "SECRET"),
        ]
    )
}


@pytest.mark.slow
def test_no_secret_of_the_environment_goes_anywhere(bucket, data, pretrained):
    """Neither with what a run writes and sends, nor with what it says, even where it fails."""
    assert len(SECRETS) == 30
    bucket.requests.clear()
    said = []
    for command, code in [
        (pretrain_command(data, f"{bucket.bucket}/secret/run", "--profile"), 0),
        (ner_command(pretrained, f"{bucket.bucket}/secret/tagger"), 0),
        (ner_command(pretrained, "gs://nowhere/secret"), 1),
        (pretrain_command(data, f"{bucket.bucket}/secret/run", "--config.seed=1"), 1),
    ]:
        process = biobert(command, environment={**SECRETS, "BIOBERT_TRACEBACK": "1"})
        out, err = process.communicate()
        assert process.returncode == code, err
        said += [out, err]
    seen = [request.body + request.path.encode() for request in bucket.requests]
    seen += [bucket.content(name) for name in bucket.names("secret/")]
    seen += [text.encode() for text in said]
    assert len(seen) > 100
    assert not [secret for secret in SECRETS.values() if any(secret.encode() in x for x in seen)]
