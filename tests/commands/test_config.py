"""`biobert config`: every key with its type, value, default and meaning."""

import json

import pytest

from biobert_jax import cli
from biobert_jax.config import PhaseConfig, PretrainConfig
from biobert_jax.config_finetuning import FinetuneConfig
from biobert_jax.config_listing import entries, field_comments


@pytest.mark.parametrize("cls", [PretrainConfig, FinetuneConfig, PhaseConfig])
def test_every_key_says_what_it_is(cls):
    for entry in entries(cls()):
        assert entry.comment, entry.key
        assert entry.type in ("group", "int", "float", "str", "bool", "list"), entry.key


def test_comments_are_those_of_the_line():
    assert field_comments(PhaseConfig)["dir"] == "as data.dir"


def test_the_list_has_values_beside_defaults(capsys):
    command = ["config", "pretrain_base", "--config.data.batch_size=8"]
    assert cli.main(command) == 0
    rows = [line.partition("#")[0].split() for line in capsys.readouterr().out.splitlines()]
    assert ["*", "data.batch_size", "int", "8", "32"] in rows
    assert ["model.hidden_size", "int", "768", "768"] in rows
    assert ["*", "model.scan_layers", "bool", "false", "true"] in rows
    assert ["data.files", "list", "-", "-"] in rows


def test_presets_and_phases(capsys):
    assert cli.main(["config", "ner:ncbi_disease"]) == 0
    assert "train.tsv,devel.tsv" in capsys.readouterr().out
    assert cli.main(["config", "pretrain_pod"]) == 0
    assert "data.phases.1.start_step" in capsys.readouterr().out


def test_as_json_it_is_what_a_workdir_holds(capsys):
    assert cli.main(["config", "pretrain_mini", "--json", "--config.seed=5"]) == 0
    assert json.loads(capsys.readouterr().out)["seed"] == 5


def test_alone_it_lists_the_experiments(capsys):
    assert cli.main(["config"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("ner ") and "Named entity recognition" in line for line in lines)


def test_a_wrong_key_is_refused(capsys):
    assert cli.main(["config", "ner", "--config.seeed=3"]) == 1
    assert "did you mean 'seed'?" in capsys.readouterr().err
