"""A run's folder keeps its config."""

import dataclasses
import json

import pytest

from biobert_jax.config import DataConfig, PretrainConfig
from biobert_jax.config_parsing import to_json
from biobert_jax.errors import UserError
from biobert_jax.training.workdir import claim_workdir


@pytest.fixture
def workdir(tmp_path):
    """A folder with a finished checkpoint, begun before `data.files` was a key."""
    (tmp_path / "checkpoints/2/params").mkdir(parents=True)
    (tmp_path / "checkpoints/2/manifest.json").write_text("{}")
    config = json.loads(to_json(PretrainConfig(data=DataConfig(dir="data"))))
    del config["data"]["files"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    return tmp_path


def test_a_key_that_came_later_had_its_default(workdir):
    config = PretrainConfig(data=DataConfig(dir="data"))
    claim_workdir(workdir, config, 4)
    assert json.loads((workdir / "config.json").read_text()) == json.loads(to_json(config))


def test_another_config_is_refused(workdir):
    config = PretrainConfig(data=DataConfig(files=("x",)))
    with pytest.raises(UserError, match="data.dir was 'data', is ''; data.files was"):
        claim_workdir(workdir, config, 4)
    with pytest.raises(UserError, match="seed was 0, is 1"):
        same = PretrainConfig(data=DataConfig(dir="data"))
        claim_workdir(workdir, dataclasses.replace(same, seed=1), 4)
