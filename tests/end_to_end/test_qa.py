"""SQuAD first, then BioASQ, by their commands, on the samples and on what users' files have."""

import json

import numpy as np
import pytest

from biobert_jax import cli
from biobert_jax.checkpoints.load import load_checkpoint
from tests.end_to_end.conftest import ROOT

SAMPLES = ROOT / "biobert_jax/quickstart/samples"


def command(preset, data, init, workdir, *more):
    return [
        *("finetune", "--config", f"{ROOT / 'experiments/qa.py'}:{preset}"),
        *("--workdir", str(workdir), f"--config.data.dir={data}", f"--config.init={init}"),
        *("--config.data.max_seq_length=64", "--config.data.stride=48", *more),
        "--config.train.num_steps=2",
    ]


def asked(id_, context, answer, question="Which gene causes it?"):
    answers = [{"text": answer, "answer_start": max(0, context.find(answer))}]
    return {"context": context, "qas": [{"id": id_, "question": question, "answers": answers}]}


@pytest.fixture(scope="module")
def squad(pretrained, tmp_path_factory):
    """A workdir of SQuAD's preset, and what it said of a folder with what users' files have."""
    folder = tmp_path_factory.mktemp("questions")
    content = json.loads((SAMPLES / "questions/train.json").read_text())
    content["data"][0]["paragraphs"] += [
        asked("elsewhere", "The gene p53 causes cancer.", "EGFR"),
        asked("long", "The gene p53 causes cancer.", "p53", "Which gene " * 40 + "?"),
    ]
    (folder / "train.json").write_text(json.dumps(content))
    book = "The cause of cancer in mice is not known. " * 2400 + "The gene is APOE."
    assert len(book) > 100_000
    content["data"] = [{"title": "book", "paragraphs": [asked("book", book, "APOE")]}]
    (folder / "test.json").write_text(json.dumps(content))
    return command("squad", folder, pretrained, folder / "run"), folder / "run", book


def test_squad_then_bioasq(squad, tmp_path, capsys, monkeypatch):
    words, workdir, book = squad
    assert cli.main(words) == 0
    said = capsys.readouterr().err
    assert "train.json: 1 question longer than max_query_length: cut" in said
    assert "1 of 50 questions without the answer in the passage: not trained on; the first" in said
    assert "question elsewhere" in said
    assert "qa_outputs" in said, "a new head is said"
    [answer] = json.loads((workdir / "predictions.json").read_text()).values()
    assert answer and answer in book

    class Stop(Exception):
        pass

    def stop(state, **_):
        raise Stop(np.asarray(state.params["qa_outputs"]["kernel"]))

    monkeypatch.setattr("biobert_jax.tasks.finetune.loop.run", stop)
    for preset in ("bioasq_factoid", "bioasq_list"):
        with pytest.raises(Stop) as stopped:
            cli.main(command(preset, SAMPLES / "bioasq", workdir, tmp_path / preset))
        kernel = load_checkpoint(workdir).params["qa_outputs"]["kernel"]
        assert np.array_equal(stopped.value.args[0], kernel)
        assert "anew" not in capsys.readouterr().err
