"""--config: where experiments are found, and what their own code gets wrong."""

import argparse
import textwrap

import pytest

import biobert_jax
from biobert_jax.commands.config_file import experiments, find, load_config
from biobert_jax.config import PretrainConfig
from biobert_jax.config_finetuning import FinetuneConfig
from biobert_jax.errors import UserError


def load(config, cls=PretrainConfig, *overrides):
    args = argparse.Namespace(
        config=str(config), gin_file=[], gin_bindings=[], overrides=list(overrides)
    )
    return load_config(args, cls)


@pytest.mark.parametrize(
    "name", ["pretrain_base", "pretrain_base.py", "experiments/pretrain_base.py"]
)
def test_a_shipped_experiment_is_found_from_any_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load(name).train.num_steps == 1_000_000


def test_a_preset_follows_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load("ner:ncbi_disease", FinetuneConfig).data.train == ("train.tsv", "devel.tsv")
    with pytest.raises(UserError, match="no preset 'ncbi': did you mean ncbi_disease"):
        load("ner:ncbi", FinetuneConfig)
    with pytest.raises(UserError, match="has no presets"):
        load("pretrain_base:large")


def test_the_wheels_folder_comes_first(tmp_path, monkeypatch):
    (tmp_path / "biobert_jax" / "experiments").mkdir(parents=True)
    (tmp_path / "biobert_jax" / "experiments" / "mine.py").touch()
    monkeypatch.setattr(biobert_jax, "__file__", str(tmp_path / "biobert_jax" / "__init__.py"))
    assert list(experiments()) == ["mine"]


def test_a_file_of_ones_own_comes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ner.py").write_text("def get_config(): return {'seed': 3}")
    assert load("ner.py").seed == 3
    (tmp_path / "a:b.py").write_text("def get_config(): return {'seed': 4}")
    assert load("a:b.py").seed == 4


@pytest.mark.parametrize(
    "name, message",
    [
        ("pretrain_bse", "no such file, and .*did you mean pretrain_base"),
        ("elsewhere/pretrain_base.py", "did you mean pretrain_base"),
        (".", "it is a folder"),
    ],
)
def test_what_is_not_found_is_said_with_what_there_is(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"{message}.*known: .*pretrain_large"):
        find(name)


@pytest.mark.parametrize(
    "code, message",
    [
        ("def get_config(): return None", r"x\.py:1: get_config\(\) returns None"),
        ("def get_config():\n    return 3", r"x\.py:1: get_config\(\) returns 3"),
        ("def get_config():\n    return {}['a']", r"x\.py:2: KeyError: 'a'"),
        ("def get_config():\n    return 1 / 0", r"x\.py:2: ZeroDivisionError"),
        ("import json\nx = json.loads('{')", r"x\.py:2: JSONDecodeError"),
        ("x = 1\nclass:", r"x\.py:2: SyntaxError: invalid syntax$"),
        ("x = 1", r"x\.py: it has no get_config"),
        ("def get_config(preset): return {}", r"missing 1 required positional argument: 'preset'"),
    ],
)
def test_what_the_users_code_does_is_told_with_its_line(code, message, tmp_path, monkeypatch):
    (tmp_path / "x.py").write_text(textwrap.dedent(code))
    (tmp_path / "deep").mkdir()
    monkeypatch.chdir(tmp_path / "deep")
    for path in (tmp_path / "x.py", "../x.py"):
        with pytest.raises(UserError, match=message):
            load(path)


@pytest.mark.parametrize(
    "values, override, message",
    [
        ("{'data': 5}", "data.dir=x", "'data' is a group of keys, not 5"),
        ("{'data': {'files': 5}}", "seed=1", "'data.files' takes a list of words, not 5"),
        ("{'data': {'phases': 5}}", "data.phases.0.dir=x", "is a list of groups, not 5"),
        ("{'data': {'phases': [5]}}", "data.phases.0.dir=x", "'data.phases.0' is a group"),
        ("{'seed': float('inf')}", "init=x", "'seed' takes int, not inf"),
        ("{'seed': object}", "init=x", "'seed' takes int"),
        ("{'seed': __import__('numpy').arange(2)}", "init=x", r"'seed' takes int, not \[0, 1\]"),
        ("{'data': {1: 2}}", "init=x", "config has no key 'data.1'"),
        ("{}", "train.eval_batches=0", "train.eval_batches is 0: it must be at least 1"),
        ("{}", "train.log_every=-1", "train.log_every is -1: it must be at least 0"),
        ("{}", "optimizer.power=-1", "optimizer.power is -1.0: it must be at least 0"),
        ("{}", "model.type_vocab_size=0", "model.type_vocab_size is 0: it must be at least 1"),
        ("{'init': 's3://a/b'}", "seed=1", "init s3://a/b: only local paths"),
        ("{'data': {'files': ['gs://a/*']}}", "seed=1", "data.files gs://a/.: only local paths"),
    ],
)
def test_values_that_cannot_be(values, override, message, tmp_path):
    (tmp_path / "x.py").write_text(f"def get_config(): return {values}")
    with pytest.raises(UserError, match=message):
        load(tmp_path / "x.py", PretrainConfig, override)


def test_paths_and_numpys_numbers_are_values(tmp_path):
    code = """
        import numpy, pathlib
        def get_config():
            return {"seed": numpy.int64(3), "data": {"dir": pathlib.Path("a") / "b"}}
    """
    (tmp_path / "x.py").write_text(textwrap.dedent(code))
    config = load(tmp_path / "x.py")
    assert (config.seed, config.data.dir) == (3, "a/b")


@pytest.mark.parametrize(
    "config, cls, verb",
    [("ner", PretrainConfig, "finetune"), ("pretrain_mini", FinetuneConfig, "pretrain")],
)
def test_an_experiment_of_another_verb_is_named_so(config, cls, verb):
    with pytest.raises(UserError, match=f"is an experiment for `biobert {verb}`"):
        load(config, cls)
    with pytest.raises(UserError, match="config has no key 'seeed'"):
        load("pretrain_mini", PretrainConfig, "seeed=3")
