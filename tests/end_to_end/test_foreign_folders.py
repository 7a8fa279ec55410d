"""Hugging Face folders as the beginning of a run: padded embeddings, other flags, other labels."""

import json

import numpy as np
import pytest

from biobert_jax import cli
from biobert_jax.checkpoints import huggingface
from biobert_jax.checkpoints.load import load_checkpoint
from tests.checkpoints.tiny import LABELS, MODEL, tiny_params, tiny_tokenizer
from tests.end_to_end.conftest import ner_command, pretrain_command

PADDED = 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tagger with a masked LM head whose embeddings have more rows than there are tokens."""
    path = tmp_path_factory.mktemp("folder")
    (path / "source").mkdir()
    model = MODEL.__class__(**{**vars(MODEL), "vocab_size": PADDED, "max_position_embeddings": 64})
    params = tiny_params("pooler", "mlm", "nsp", "classifier", model=model)
    huggingface.write(path / "hf", model, params, tiny_tokenizer(path / "source"), LABELS, 16)
    return path / "hf"


@pytest.fixture(scope="module")
def rows(folder):
    """A data set that was made with the folder's vocabulary."""
    path = folder.parent
    lines = [f"a b c d {'e ' * (n % 5)}Ab Cd f {'gh'[n % 2]}\n\n" for n in range(40)]
    (path / "in.txt").write_text("".join(lines))
    assert cli.main(prepare(folder, path / "rows")) == 0
    return path / "rows"


def prepare(folder, output, *more):
    return [
        *("prepare", "--input", str(folder.parent / "in.txt"), "--format", "text"),
        *("--vocab", str(folder), "--max_seq_length", "16", "--workers", "1"),
        *("--duplicates", "keep", "--held_out", "0", "--output", str(output), *more),
    ]


def pretrain(rows, workdir, folder, steps):
    sizes = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    return pretrain_command(
        *(rows, workdir, f"--config.init={folder}", "--config.model.max_position_embeddings=64"),
        *(f"--config.model.{name}={getattr(MODEL, name)}" for name in sizes),
        *(f"--config.train.num_steps={steps}", "--config.optimizer.schedule=constant"),
        *("--config.optimizer.warmup_steps=0", "--config.train.checkpoint_every=1"),
    )


def test_padded_embeddings_are_trained_on_and_gone_on_with(folder, rows, tmp_path, capsys):
    assert cli.main(pretrain(rows, tmp_path / "run", folder, 1)) == 0
    assert "initialised anew" not in capsys.readouterr().err
    assert cli.main(pretrain(rows, tmp_path / "run", folder, 2)) == 0
    checkpoint = load_checkpoint(tmp_path / "run")
    assert (checkpoint.step, checkpoint.model.vocab_size) == (2, PADDED)
    assert checkpoint.tokenizer.options == load_checkpoint(folder).tokenizer.options


def test_rows_made_with_other_flags_are_refused(folder, rows, tmp_path, capsys):
    assert cli.main(prepare(folder, tmp_path / "lower", "--do_lower_case", "yes")) == 0
    capsys.readouterr()
    assert cli.main(pretrain(tmp_path / "lower", tmp_path / "run", folder, 1)) == 1
    [line] = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error")]
    assert "do_lower_case true" in line and "do_lower_case false" in line and "make it with" in line


def test_a_tagger_of_other_labels_gives_its_encoder_only(folder, tmp_path, capsys):
    sentences = "a\tB\nb\tI\nc\tO\n\n" * 8
    for name in ("train.tsv", "devel.tsv", "test.tsv"):
        (tmp_path / name).write_text(sentences)
    common = [f"--config.data.dir={tmp_path}", "--config.data.eval=", "--config.train.num_steps=1"]
    common += ["--config.data.max_seq_length=16", "--config.optimizer.learning_rate=1e-9"]
    heads = {}
    for entity in ("Drug", "Gene"):  # as many labels; only the first are the folder's
        more = [*common, f"--config.data.entity_type={entity}"]
        assert cli.main(ner_command(folder, tmp_path / entity, *more)) == 0
        said = capsys.readouterr().err
        assert ("classifier starts anew" in said) is (entity == "Gene"), said
        checkpoint = load_checkpoint(tmp_path / entity)
        assert checkpoint.labels == ("O", f"B-{entity}", f"I-{entity}")
        heads[entity] = checkpoint.params["classifier"]["kernel"]
    before = load_checkpoint(folder).params["classifier"]["kernel"]
    assert np.allclose(heads["Drug"], before, atol=1e-6)
    assert not np.allclose(heads["Gene"], before, atol=1e-2)
    scores = json.loads((tmp_path / "Gene/scores.json").read_text())
    assert set(scores["test"]["by_type"]) <= {"Gene"}
