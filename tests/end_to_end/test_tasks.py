"""Every kind of task by its command, on the embedded samples: it trains, scores and goes on."""

import dataclasses
import json
import re
import shutil
import sys
import types

import numpy as np
import pytest

from biobert_jax import cli
from biobert_jax.checkpoints.load import load_checkpoint
from tests.end_to_end.conftest import ROOT, ner_command

SAMPLES = ROOT / "biobert_jax/quickstart/samples"
STEPS = 4
FILES = {"tsv": ("train.tsv", "devel.tsv", "test.tsv")}
FILES |= {
    suffix: tuple(f"{split}.{suffix}" for split in ("train", "devel", "test"))
    for suffix in ("json", "jsonl")
}

# Name: preset, folder, files, more options, the files that it leaves, and its main score.
TASKS = {
    "relations": (
        "classification:gad",
        *("relations", "tsv", []),
        *(("test_results.tsv", "predictions.jsonl"), "f1"),
    ),
    "micro": (
        "classification",
        *("relations", "tsv", ["excluded_labels=0", "class_weights=balanced"]),
        *(("test_results.tsv",), "f1"),
    ),
    "anonymized": (
        "classification",
        *("mentions", "jsonl", ["markers=anonymize", "average=macro"]),
        *(("predictions.jsonl",), "f1"),
    ),
    "tags": (
        "classification",
        *("mentions", "jsonl", ["markers=tags", "pooling=markers"]),
        *(("predictions.jsonl",), "f1"),
    ),
    "topics": (
        "classification:hoc",
        *("topics", "jsonl", ["max_seq_length=64"]),
        *(("predictions.jsonl",), "f1"),
    ),
    "pairs": (
        "classification:biosses",
        *("pairs", "tsv", ["max_seq_length=64"]),
        *(("predictions.jsonl",), "pearson"),
    ),
    "yes/no": (
        "qa:bioasq_yesno",
        *("bioasq", "json", ["max_seq_length=64"]),
        *(("predictions.jsonl",), "f1"),
    ),
    "factoid": (
        "qa:bioasq_factoid",
        *("bioasq", "json", ["max_seq_length=64", "stride=16"]),
        *(("nbest_predictions.json", "BioASQform_BioASQ-answer.json"), "mrr"),
    ),
    "list": (
        "qa:bioasq_list",
        *("bioasq", "json", ["max_seq_length=64", "stride=16"]),
        *(("predictions.json", "BioASQform_BioASQ-answer.json"), "f1"),
    ),
    "questions": (
        "qa:squad",
        *("questions", "json", ["max_seq_length=64", "stride=16"]),
        *(("predictions.json", "nbest_predictions.json"), "f1"),
    ),
    "no answer": (
        "qa:squad2",
        *("questions", "json", ["max_seq_length=64", "stride=16"]),
        *(("predictions.json", "null_odds.json"), "f1"),
    ),
}


def command(init, workdir, name, *more):
    preset, folder, suffix, options, *_ = TASKS[name]
    train, devel, test = FILES[suffix]
    given = [f"train={train}", f"eval={devel}", f"test={test}", f"dir={SAMPLES / folder}"]
    return [
        *("finetune", "--config", preset, "--workdir", str(workdir)),
        *(f"--config.data.{option}" for option in (*given, "batch_size=4", *options)),
        *(f"--config.init={init}", f"--config.train.num_steps={STEPS}"),
        *("--config.train.eval_every=2", "--config.train.checkpoint_every=2", *more),
    ]


def values_of(path):
    return [json.loads(line)["value"] for line in path.read_text().splitlines()]


# Each compiles its own programs.
SLOW = ("micro", "tags", "yes/no", "list", "no answer")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in TASKS]
)
def test_every_kind_of_task_runs_by_its_preset(name, pretrained, tmp_path, capsys):
    assert cli.main(command(pretrained, tmp_path / "run", name)) == 0
    *_, files, main_score = TASKS[name]
    scores = json.loads((tmp_path / "run/scores.json").read_text())
    assert scores["main_score"] == main_score
    assert -1 <= scores["test"][main_score] <= 1
    assert all((tmp_path / "run" / file).stat().st_size for file in files)
    assert f"{scores['test'][main_score]:.4f}" in capsys.readouterr().out
    assert f"{scores['test'][main_score]:.4f}" in (tmp_path / "run/README.md").read_text()
    log = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert any(f"eval_{main_score}" in line for line in log)
    loaded = load_checkpoint(tmp_path / "run")
    assert loaded.kind == scores["task"] and loaded.options
    if name in ("relations", "pairs", "questions"):
        # From the checkpoint alone the same comes out, files and all.
        _, folder, suffix, *_ = TASKS[name]
        words = ["evaluate", "--checkpoint", str(tmp_path / "run"), "--output", str(tmp_path / "o")]
        words += ["--data", str(SAMPLES / folder / FILES[suffix][2]), "--json"]
        assert cli.main([*words, str(tmp_path / "again.json")]) == 0
        again = json.loads((tmp_path / "again.json").read_text())
        if name == "pairs":
            # After four steps all predictions are nearly one number. A correlation enlarges its
            # last bits, which depend on the batches: the predictions are compared themselves.
            found = [values_of(tmp_path / folder / "predictions.jsonl") for folder in ("run", "o")]
            np.testing.assert_allclose(*found, rtol=1e-6)
            main_score = "rmse"
        assert again[main_score] == pytest.approx(scores["test"][main_score])
        for file in files:
            assert (tmp_path / "o" / file).read_bytes()[:40] == (
                tmp_path / "run" / file
            ).read_bytes()[:40]


def test_predictions_and_probabilities_agree(pretrained, tmp_path):
    assert cli.main(command(pretrained, tmp_path / "run", "relations")) == 0
    lines = (tmp_path / "run/predictions.jsonl").read_text().splitlines()
    rows = (tmp_path / "run/test_results.tsv").read_text().splitlines()
    assert len(lines) == len(rows) == 24
    for line, row in zip(map(json.loads, lines), rows, strict=True):
        shares = [float(cell) for cell in row.split("\t")]
        assert sum(shares) == pytest.approx(1, abs=1e-5)
        assert list(line["probabilities"].values()) == pytest.approx(shares, abs=1e-5)
        assert line["labels"] == [max(line["probabilities"], key=line["probabilities"].get)]


def test_a_checkpoint_of_another_task_is_refused(tagger, tmp_path, capsys):
    words = command(tagger, tmp_path / "run", "questions")
    assert cli.main(words) == 1
    [line] = capsys.readouterr().err.splitlines()[-1:]
    assert "a checkpoint for ner, but the task is qa" in line and "reinitialize_head" in line
    assert cli.main([*words, "--config.reinitialize_head=true"]) == 0
    assert "its head is left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "more", "words"),
    [
        ("relations", ["data.stride=9"], "data.stride is 9, but task classification does not use"),
        ("questions", ["data.kind=regression"], "data.kind is 'regression', but task qa does not"),
        ("relations", ["data.excluded_labels=O"], "data.excluded_labels 'O' is not one of the"),
        ("relations", ["data.format=squat"], "data.format is 'squat': did you mean 'squad'"),
        ("relations", ["task=classify"], "task is 'classify': did you mean 'classification'?"),
        ("relations", ["data.markers=tags"], "0 mention(s) given, where data.markers=tags needs"),
    ],
)
def test_what_does_not_fit_is_one_line(name, more, words, pretrained, tmp_path, capsys):
    options = [f"--config.{option}" for option in more]
    assert cli.main(command(pretrained, tmp_path / "run", name, *options)) == 1
    [line] = capsys.readouterr().err.splitlines()[-1:]
    assert words in line
    assert not (tmp_path / "run").exists()


def test_files_without_content_or_labels_are_said(pretrained, tmp_path, capsys):
    for name in ("train.tsv", "test.tsv"):
        (tmp_path / name).write_bytes((SAMPLES / "relations" / name).read_bytes())
    (tmp_path / "devel.tsv").write_text("")
    rows = (tmp_path / "test.tsv").read_text().splitlines()
    (tmp_path / "test.tsv").write_text("".join(row.rsplit("\t", 1)[0] + "\n" for row in rows))
    data = f"--config.data.dir={tmp_path}"
    assert cli.main(command(pretrained, tmp_path / "run", "relations", data)) == 0
    said = capsys.readouterr()
    assert "devel.tsv: 0 bytes: only the end is scored" in said.err
    assert "test.tsv: no labels: predicted, not scored" in said.err
    assert "test scores" not in said.out
    assert "test" not in json.loads((tmp_path / "run/scores.json").read_text())
    assert len((tmp_path / "run/predictions.jsonl").read_text().splitlines()) == 24


def test_sentences_without_labels_are_predicted_and_notes_are_said_once(
    pretrained, corpus, tmp_path, capsys
):
    lines = (corpus / "test.tsv").read_text().splitlines()[:300]
    (tmp_path / "words.txt").write_text("".join(line.partition("\t")[0] + "\n" for line in lines))
    (tmp_path / "train.tsv").write_bytes((corpus / "devel.tsv").read_bytes())
    data = [f"--config.data.dir={tmp_path}", "--config.data.eval=", "--config.data.test=words.txt"]
    assert cli.main(ner_command(pretrained, tmp_path / "run", *data)) == 0
    said = capsys.readouterr().err
    assert "words.txt: no labels: predicted, not scored" in said
    assert "test" not in json.loads((tmp_path / "run/scores.json").read_text())
    tagged = map(json.loads, (tmp_path / "run/predictions.jsonl").read_text().splitlines())
    assert [word for line in tagged for word in line["text"].split()] == [
        line.partition("\t")[0] for line in lines if line.strip()
    ]
    words = ["evaluate", "--checkpoint", str(tmp_path / "run"), "--data"]
    assert cli.main([*words, str(tmp_path / "words.txt")]) == 0
    assert "words.txt: no labels: predicted, not scored" in capsys.readouterr().err
    words = ner_command(pretrained, tmp_path / "no", *data, "--config.data.train=words.txt")
    assert cli.main(words) == 1
    assert f"{tmp_path}/words.txt:1: no label (" in capsys.readouterr().err
    # BioASQ's sample has questions of every kind.
    words = command(pretrained, tmp_path / "no", "factoid", "--config.data.max_seq_length=9999")
    assert cli.main(words) == 1
    said = capsys.readouterr().err.splitlines()
    for name in ("train", "devel", "test"):
        assert sum(f"{name}.json: " in line and "yesno" in line for line in said) == 1


def test_annotated_documents_train_and_test_a_tagger(pretrained, tmp_path, capsys):
    def written(name, *documents):
        lines = []
        for id_, drug, disease in documents:
            title, text = f"{drug} in {disease}.", f"We gave {drug}. It eased {disease}."
            whole = f"{title} {text}"
            lines += [f"{id_}|t|{title}", f"{id_}|a|{text}"]
            for word, type_ in ((drug, "Drug"), (disease, "Finding"), (disease[:4], "Part")):
                for found in re.finditer(word, whole):
                    lines.append(f"{id_}\t{found.start()}\t{found.end()}\t{word}\t{type_}")
        (tmp_path / name).write_text("\n".join(lines) + "\n")

    written("train.PubTator", ("1", "aspirin", "peptic ulcers"), ("2", "insulin", "low sugar"))
    written("test.PubTator", ("2", "insulin", "diabetes"), ("3", "aspirin", "colitis"))
    keys = {"dir": tmp_path, "train": "train.PubTator", "test": "test.PubTator", "eval": ""}
    keys["types"] = "Drug,Finding=Disease"
    data = [f"--config.data.{key}={value}" for key, value in keys.items()]
    assert cli.main(ner_command(pretrained, tmp_path / "run", *data)) == 0
    said = capsys.readouterr().err.splitlines()
    assert said.count(f"{tmp_path}/train.PubTator: 4 Part mentions: left out by data.types") == 1
    shared = "shared with the training files: 4 of 6 sentences, 1 of 2 documents by id"
    assert said.count(f"{tmp_path}/test.PubTator: {shared}") == 1
    loaded = load_checkpoint(tmp_path / "run")
    assert loaded.labels == ("O", "B-Disease", "B-Drug", "I-Disease")
    test = json.loads((tmp_path / "run/scores.json").read_text())["test"]
    assert test["num_gold"] == 8 and test["confusion"]["labels"] == ["Disease", "Drug"]
    words = ["evaluate", "--checkpoint", str(tmp_path / "run"), "--leave_out_shared", "--json"]
    words += [str(tmp_path / "s.json"), "--data", str(tmp_path / "test.PubTator")]
    assert cli.main(words) == 0
    # Those of document 2, and "We gave aspirin."
    assert f"{shared}: left out" in capsys.readouterr().err
    assert json.loads((tmp_path / "s.json").read_text())["num_gold"] == 3
    assert cli.main(ner_command(pretrained, tmp_path / "no", *data, "--config.data.types=A=")) == 1
    assert "data.types has 'A='" in capsys.readouterr().err


@pytest.mark.slow
def test_a_seventh_task_is_a_module(pretrained, tmp_path, monkeypatch):
    """Which of two words a text begins with: no file of the package knows of it."""
    from biobert_jax.tasks import classification

    def read(path, options, note):
        return [
            dataclasses.replace(example, labels=(("short", "long")[len(example.text) > 60],))
            for example in classification.read(path, options, note)
        ]

    task = dataclasses.replace(classification.TASK, name="seventh", read=read)
    module = types.ModuleType("biobert_jax.tasks.seventh")
    module.TASK = task
    module.__spec__ = types.SimpleNamespace(name=module.__name__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    words = command(pretrained, tmp_path / "run", "micro", "--config.task=seventh")
    words = [word for word in words if "excluded_labels" not in word]
    assert cli.main(words) == 0
    assert load_checkpoint(tmp_path / "run").labels == ("long", "short")
    assert json.loads((tmp_path / "run/scores.json").read_text())["task"] == "seventh"


def test_the_best_step_is_the_result_and_patience_ends_the_run(pretrained, tmp_path, capsys):
    workdir = tmp_path / "run"
    words = command(pretrained, workdir, "relations", "--config.train.best_by=f1")
    words += ["--config.train.patience=2", "--config.optimizer.learning_rate=1e-9"]
    words += ["--config.train.num_steps=40", "--config.optimizer.frozen_layers=1"]
    assert cli.main(words) == 0
    # Nothing learns at such a rate: the first evaluation after the start is the best.
    said = capsys.readouterr()
    assert "best f1" in said.err and "at step 2, none better in 2 evaluations: stopped" in said.err
    scores = json.loads((workdir / "scores.json").read_text())
    assert scores["best"]["step"] == 2 and scores["best"]["value"] == scores["eval"]["f1"]
    assert sorted(p.name for p in (workdir / "checkpoints").iterdir()) == ["2", "6"]
    assert load_checkpoint(workdir).step == 2
    # The tests' scores are those of the checkpoint that the folder stands for.
    test = ["--data", str(SAMPLES / "relations/test.tsv")]
    assert cli.main(["evaluate", "--checkpoint", str(workdir), *test]) == 0
    assert f"{100 * scores['test']['f1']:.2f}"[:4] in capsys.readouterr().out
    # A better one that was found damaged took the best one's place: it is chosen anew.
    for folder in (workdir / "checkpoints/2", workdir / "scores.json"):
        shutil.move(folder, tmp_path)
    assert cli.main(words) == 0
    assert "of step 2, is gone: chosen anew" in capsys.readouterr().err
    assert load_checkpoint(workdir).step == 6
    shutil.rmtree(workdir / "checkpoints/6")
    shutil.move(tmp_path / "2", workdir / "checkpoints/2")
    assert cli.main(words) == 0, "from the best on it comes to the same end"
    assert json.loads((workdir / "scores.json").read_text()) == scores
    words += ["--config.data.eval=test.tsv"]
    assert cli.main(words) == 1 and "a file of its own" in capsys.readouterr().err


@pytest.mark.slow
def test_folds_seeds_grid_and_retraining_by_the_command(pretrained, tmp_path, capsys):
    for fold in ("1", "2"):
        (tmp_path / "data" / fold).mkdir(parents=True)
        for name in ("train.tsv", "devel.tsv", "test.tsv"):
            text = (SAMPLES / "entities" / name).read_bytes()
            (tmp_path / "data" / fold / name).write_bytes(text)
    words = [
        *("finetune", "--config", "ner", "--workdir", str(tmp_path / "w")),
        *(f"--config.data.dir={tmp_path / 'data'}", f"--config.init={pretrained}"),
        *("--config.data.max_seq_length=64", "--config.data.batch_size=4"),
        *("--config.train.num_steps=2", "--config.retrain=true"),
    ]
    assert cli.main([*words, "--folds", "all", "--seeds", "2"]) == 0
    first = capsys.readouterr()
    assert "| mean ± sd |" in first.out
    gathered = json.loads((tmp_path / "w/scores.json").read_text())
    assert len(gathered["runs"]) == 4
    alone = load_checkpoint(tmp_path / "w/runs/fold-1-seed-0-train-alone").options
    both = load_checkpoint(tmp_path / "w/runs/fold-1-seed-0").options
    assert both["temperature"] == alone["temperature"]
    assert cli.main([*words, "--folds", "all", "--seeds", "2"]) == 0
    again = capsys.readouterr()
    assert again.out == first.out and "steps" not in again.err, "nothing is run twice"
    data = f"--config.data.dir={tmp_path / 'data/1'}"
    grid = ["--grid", "--config.grid.learning_rate=1e-4,1e-3", data, "--workdir"]
    assert cli.main([*words, *grid, str(tmp_path / "g")]) == 0
    assert json.loads((tmp_path / "g/scores.json").read_text())["chosen"]
