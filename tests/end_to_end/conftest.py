"""A vocabulary, a data set and tagged files, made once from the embedded corpus by the verbs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from biobert_jax import cli

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "biobert_jax/quickstart/corpus"
PRETRAIN = str(ROOT / "experiments/pretrain_quickstart.py")
NER = str(ROOT / "experiments/ner.py")

# The shipped experiment, shrunk: dropout is on, since a resumed run must repeat it.
SHRUNK = [
    "--config.model.hidden_size=32",
    "--config.model.intermediate_size=64",
    "--config.model.num_attention_heads=2",
    "--config.model.hidden_dropout_prob=0.1",
    "--config.model.attention_probs_dropout_prob=0.1",
    "--config.data.batch_size=8",
    "--config.optimizer.warmup_steps=2",
    "--config.train.num_steps=8",
    "--config.train.eval_every=4",
    "--config.train.eval_batches=1",
    "--config.train.checkpoint_every=2",
    "--config.train.keep_checkpoints=9",
    "--config.train.log_every=1",
]


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The embedded corpus."""
    return CORPUS


@pytest.fixture(scope="session")
def vocab(tmp_path_factory) -> Path:
    """A vocabulary of the embedded corpus."""
    path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    source = ["--input", str(CORPUS / "abstracts.xml"), "--format", "pubmed"]
    assert cli.main(["vocab", *source, "--size", "800", "--output", str(path)]) == 0
    return path


@pytest.fixture(scope="session")
def data(tmp_path_factory, vocab) -> Path:
    """A prepared data set of rows of 64."""
    path = tmp_path_factory.mktemp("data") / "prepared"
    assert cli.main(prepare_command(vocab, path)) == 0
    return path


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory, data) -> Path:
    """A workdir in which the shrunk pre-training ran to its end."""
    workdir = tmp_path_factory.mktemp("pretrained") / "run"
    assert cli.main(pretrain_command(data, workdir)) == 0
    return workdir


@pytest.fixture(scope="session")
def tagger(tmp_path_factory, pretrained) -> Path:
    """A workdir in which the shrunk fine-tuning ran to its end."""
    workdir = tmp_path_factory.mktemp("tagger") / "run"
    assert cli.main(ner_command(pretrained, workdir)) == 0
    return workdir


def prepare_command(vocab, output, *more) -> list[str]:
    return [
        *("prepare", "--input", str(CORPUS / "abstracts.xml"), "--format", "pubmed"),
        *("--vocab", str(vocab), "--max_seq_length", "64", "--held_out", "0.1"),
        *("--workers", "1", "--output", str(output), *more),
    ]


def pretrain_command(data, workdir, *more) -> list[str]:
    return [
        *("pretrain", "--config", PRETRAIN, "--workdir", str(workdir)),
        *(f"--config.data.dir={data}", *SHRUNK, *more),
    ]


def ner_command(init, workdir, *more) -> list[str]:
    return [
        *("finetune", "--config", f"{NER}:quickstart", "--workdir", str(workdir)),
        *(f"--config.data.dir={CORPUS}", f"--config.init={init}"),
        *("--config.data.max_seq_length=64", "--config.train.num_steps=6"),
        *("--config.train.eval_every=3", "--config.train.checkpoint_every=3", *more),
    ]


def biobert(arguments, *, devices: int = 1) -> subprocess.Popen:
    """The command in a process of its own, with simulated devices."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    return subprocess.Popen(
        [sys.executable, "-m", "biobert_jax", *arguments],
        cwd=ROOT,
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
