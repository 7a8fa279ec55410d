"""The model card says what a model is, what it was made from and how it is used."""

import dataclasses
from types import SimpleNamespace

import jax

from biobert_jax import __version__
from biobert_jax.config import ModelConfig
from biobert_jax.config_finetuning import FinetuneConfig, FinetuneDataConfig
from biobert_jax.scoring.conlleval import score
from biobert_jax.tasks.model_card import Training, model_card
from biobert_jax.tasks.ner import TASK
from biobert_jax.tasks.task import Setting

MODEL = ModelConfig(vocab_size=30522, hidden_size=384, num_hidden_layers=6)
CONFIG = FinetuneConfig(
    seed=7,
    init="/home/me/runs/pretrain",
    data=FinetuneDataConfig(dir="data/NCBI", train=("train.tsv", "devel.tsv"), batch_size=8),
)
TRAINING = Training(6347, "sentence", 1744, 654)
SETTING = Setting(("O", "B-Disease", "B-Gene", "I-Disease"), {}, None, 128)
SCORES = score([["B-Disease", "O", "B-Gene"]], [["B-Disease", "O", "O"]])


def card(model=MODEL, **options):
    checkpoint = SimpleNamespace(kind="pretraining", step=1980, model=model)
    part = TASK.card(SCORES.to_dict(), SETTING, 940, "test.tsv")
    return model_card(CONFIG, checkpoint, TRAINING, part, **options)


def test_it_says_how_the_model_was_made():
    text = card()
    for fact in (
        "# Entity tagger: Disease, Gene",
        "6 layers of 384, vocabulary of 30,522",
        "`runs/pretrain` (pretraining, step 1,980)",
        "`train.tsv`, `devel.tsv` of `data/NCBI`, 6,347 sentences",
        "654 steps, 3 epochs",
        "Seed 7, 8 packed rows of 128 a step, adamw, learning rate",
        f"biobert_jax {__version__}, jax {jax.__version__}, flax ",
        "on the 940 sentences of `test.tsv`",
        "| all (micro) | 1.0000 | 0.5000 | 0.6667 | 2 |",
        "| Gene | 0.0000 | 0.0000 | 0.0000 | 1 |",
        "biobert predict --checkpoint",
        "biobert convert --from",
    ):
        assert fact in text
    assert "/home" not in text and "toy" not in text


def test_a_changed_length_is_kept():
    change = {"step": 68, "changed": {"train.num_epochs": {"was": 3.0, "is": 1.0}}}
    assert "changed at step 68: `train.num_epochs` from 3.0 to 1.0" in card(changes=[change])


def test_a_toy_is_called_one():
    assert "**A toy.**" in card(dataclasses.replace(MODEL, hidden_size=64, num_attention_heads=4))
