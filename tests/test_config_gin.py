"""gin's bindings of the config's keys: over the experiment, under the command line."""

import json

import pytest

from biobert_jax import cli
from biobert_jax.config import PretrainConfig
from biobert_jax.config_finetuning import FinetuneConfig
from biobert_jax.config_gin import apply_gin
from biobert_jax.errors import UserError
from tests.end_to_end.conftest import ROOT

GIN = ROOT / "experiments/gin"


def config(capsys, *words):
    assert cli.main(["config", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_command_line_stands_over_gin_and_gin_over_the_experiment(capsys, tmp_path):
    file = tmp_path / "own.gin"
    file.write_text("RATE = 7e-5\nOptimizerConfig.learning_rate = %RATE\nFinetuneConfig.seed = 3\n")
    words = ["ner:ncbi_disease", "--gin_file", str(file)]
    plain = config(capsys, "ner:ncbi_disease")
    bound = config(capsys, *words)
    assert plain["optimizer"]["learning_rate"] != 7e-5 == bound["optimizer"]["learning_rate"]
    assert bound["seed"] == 3 and bound["data"] == plain["data"]
    words += ["--gin_bindings", "OptimizerConfig.learning_rate = 1e-3"]
    words += ["--gin_bindings", "FinetuneDataConfig.train = ['a.tsv', 'b.tsv']"]
    both = config(capsys, *words, "--config.seed=5")
    assert (both["optimizer"]["learning_rate"], both["seed"]) == (1e-3, 5)
    assert both["data"]["train"] == ["a.tsv", "b.tsv"]
    # Nothing is left of it for whoever asks next.
    assert config(capsys, "ner:ncbi_disease") == plain


def test_the_files_that_come_with_the_experiments_fit(capsys):
    few = config(capsys, "ner", "--gin_file", str(GIN / "finetune_few_labels.gin"))
    assert few["train"]["best_by"] == "f1" and few["optimizer"]["frozen_layers"] == 6
    low = config(capsys, "pretrain_mini", "--gin_file", str(GIN / "pretrain_low_rate.gin"))
    assert low["train"]["num_steps"] == 2000 and low["masking"]["rate"] == 0.3
    assert len(list(GIN.iterdir())) == 2


@pytest.mark.parametrize(
    ("binding", "message"),
    [
        ("OptimizrConfig.x = 1", "'OptimizrConfig': did you mean 'OptimizerConfig'"),
        ("OptimizerConfig.weight_deca = 1", "has no 'weight_deca': did you mean 'weight_decay'"),
        ("ModelConfig.hidden_size = 3", "no ModelConfig: did you mean 'FinetuneModelConfig'"),
        ("tagger/OptimizerConfig.b1 = 0.5", "a scope means nothing here"),
        (
            "learning_rate = 3e-5",
            "give the class of the key, such as OptimizerConfig",
        ),
        ("OptimizerConfig.frozen = ('a'", "--gin_bindings: "),
        ("OptimizerConfig.b1 = ", "--gin_bindings: Unable to parse"),
        ("import nothing.here", "No module named 'nothing'"),
        ("OptimizerConfig.b1 = @other()", "No configurable matching"),
    ],
)
def test_what_cannot_be_bound_is_one_line(binding, message):
    with pytest.raises(UserError, match="gin") as caught:
        apply_gin(FinetuneConfig, {}, [], [binding])
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_wrong_value_is_named_by_its_key(capsys):
    words = ["config", "ner", "--gin_bindings", "OptimizerConfig.b1 = 'x'"]
    assert cli.main(words) == 1
    assert "config key 'optimizer.b1' takes float, not 'x'" in capsys.readouterr().err


def test_an_experiment_whose_group_is_none_is_one_line():
    with pytest.raises(UserError, match="'optimizer' is a group of keys, not 5"):
        apply_gin(FinetuneConfig, {"optimizer": 5}, [], ["OptimizerConfig.b1 = 0.5"])


def test_a_file_that_includes_itself_is_one_line(tmp_path):
    file = tmp_path / "own.gin"
    file.write_text(f"include '{file}'\n")
    with pytest.raises(UserError) as caught:
        apply_gin(FinetuneConfig, {}, [str(file)], [])
    assert len(str(caught.value)) <= 400 and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"# a\nOptimizerConfig.b3 = 1\n", r"own.gin:2: OptimizerConfig has no 'b3'"),
        (b"a b c\n", "own.gin:1: Couldn't parse"),
        (b"\xff\xfe\x00", "own.gin: 'utf-8' codec"),
        (None, "own.gin: no such file"),
    ],
)
def test_a_file_and_its_line_are_named(content, message, tmp_path, caplog):
    file = tmp_path / "own.gin"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError, match=message):
        apply_gin(PretrainConfig, {}, [str(file)], [])
    assert not caplog.records, "gin's own log says it again"


def test_an_experiment_of_another_verb_is_named(capsys):
    words = ["pretrain", "--config", "ner", "--workdir", "w"]
    assert cli.main([*words, "--gin_bindings", "PretrainConfig.seed = 1"]) == 1
    assert "an experiment for `biobert finetune`" in capsys.readouterr().err
