"""The shipped experiments: each is a valid config, headed by what a user does with it."""

import argparse
import runpy
from pathlib import Path

import pytest

from biobert_jax.commands.config_file import load_config
from biobert_jax.config import PretrainConfig
from biobert_jax.config_finetuning import FinetuneConfig

ROOT = Path(__file__).resolve().parents[1]
EXPERIMENTS = sorted((ROOT / "experiments").glob("*.py"))
PRETRAINING = [path for path in EXPERIMENTS if path.name.startswith("pretrain")]


def load(path, cls, preset="", *overrides):
    name = f"{path}:{preset}" if preset else str(path)
    args = argparse.Namespace(config=name, gin_file=[], gin_bindings=[], overrides=list(overrides))
    return load_config(args, cls)


@pytest.mark.parametrize("path", PRETRAINING, ids=lambda path: path.stem)
def test_pretraining_experiments_are_valid(path):
    config = load(path, PretrainConfig)
    model = config.model
    # A pod's chips or an eighth of them share the rows of every phase evenly.
    sizes = [phase.batch_size for phase in config.data.phases] or [config.data.batch_size]
    assert all(size % 8 == 0 for size in sizes)
    assert config.optimizer.warmup_steps < config.train.num_steps
    assert model.dtype == "bfloat16" or model.hidden_size < 768


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_experiments_say_how_they_are_launched_and_what_comes_of_it(path):
    heading = path.read_text().split('"""')[1]
    assert f"--config experiments/{path.name}" in heading and "Expected:" in heading


def test_the_paper_is_the_papers():
    config = load(ROOT / "experiments/pretrain_biobert_v1_1.py", PretrainConfig)
    optimizer = config.optimizer
    assert (optimizer.name, optimizer.learning_rate) == ("bert_adamw", 1e-4)
    assert (config.train.num_steps, config.data.batch_size) == (1_000_000, 192)
    assert (config.masking.rate, config.masking.mask_fraction) == (0.15, 0.8)


@pytest.mark.parametrize("name", ["ner", "classification", "qa"])
def test_every_preset_of_a_task_is_valid(name):
    from biobert_jax.tasks.task import options_of, task_of

    path = ROOT / f"experiments/{name}.py"
    presets = runpy.run_path(str(path))["PRESETS"]
    assert len(presets) > 3
    for preset in ["", *presets]:
        config = load(path, FinetuneConfig, preset)
        assert config.task == name or preset in ("pubmedqa", "bioasq_yesno")
        options_of(task_of(config.task), config.data)  # no key of another task
