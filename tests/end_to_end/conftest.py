"""A vocabulary, a data set and tagged files, made once from the embedded corpus by the verbs."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
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
    "--config.optimizer.name=adamw",
    "--config.optimizer.muon_learning_rate=0.0",
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
def vocab(made_once) -> Path:
    """A vocabulary of the embedded corpus."""

    def make(folder):
        source = ["--input", str(CORPUS / "abstracts.xml"), "--format", "pubmed"]
        folder.mkdir()
        output = ["--output", str(folder / "vocab.txt")]
        assert cli.main(["vocab", *source, "--size", "800", *output]) == 0

    return made_once("vocab", make) / "vocab.txt"


@pytest.fixture(scope="session")
def data(made_once, vocab) -> Path:
    """A prepared data set of rows of 64."""

    def make(folder):
        assert cli.main(prepare_command(vocab, folder)) == 0

    return made_once("data", make)


@pytest.fixture(scope="session")
def pretrained(made_once, data) -> Path:
    """A workdir in which the shrunk pre-training ran to its end."""

    def make(folder):
        assert cli.main(pretrain_command(data, folder)) == 0

    return made_once("pretrained", make)


@pytest.fixture(scope="session")
def tagger(made_once, pretrained) -> Path:
    """A workdir in which the shrunk fine-tuning ran to its end."""

    def make(folder):
        assert cli.main(ner_command(pretrained, folder)) == 0

    return made_once("tagger", make)


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


def biobert(arguments, *, devices: int = 1, environment=None) -> subprocess.Popen:
    """The command in a process of its own, with simulated devices."""
    flags = f"--xla_force_host_platform_device_count={devices}" if devices > 1 else ""
    return subprocess.Popen(
        [sys.executable, "-m", "biobert_jax", *arguments],
        cwd=ROOT,
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_until(process: subprocess.Popen, condition: Callable[[], bool]) -> None:
    """Waits for a condition or the process's end."""
    with killed_with_its_test(process):
        while not condition() and process.poll() is None:
            time.sleep(0.02)


def errors_of(process: subprocess.Popen) -> str:
    """What it said on standard error until its end."""
    with killed_with_its_test(process):
        return process.communicate()[1]


@contextlib.contextmanager
def killed_with_its_test(process: subprocess.Popen) -> Iterator[None]:
    """A test that is given up, as after pytest's timeout, leaves no process behind."""
    try:
        yield
    except BaseException:
        process.kill()
        process.communicate()
        raise
