"""Fine-tuning by its command in two processes, which meet through gloo, is that of one."""

import json
import shutil
import socket

import numpy as np
import pytest

from biobert_jax.checkpoints import manifest
from biobert_jax.checkpoints.load import load_checkpoint
from biobert_jax.checkpoints.tree import flatten
from tests.end_to_end.conftest import ROOT, biobert, ner_command

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ENTITIES = ROOT / "biobert_jax/quickstart/samples/entities"
FILES = ("predictions.conll", "NER_result_conll.txt")


def run(words, processes, data=None):
    """Exit codes of the command in so many processes, and what each said on both outputs.

    `data` are folders, one a process, each in place of data.dir.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    together = ["--coordinator", address, "--num_processes", str(processes), "--process_id"]
    started = [
        biobert(
            [
                *words,
                *([f"--config.data.dir={data[index]}"] if data else []),
                *((*together, str(index)) if processes > 1 else ()),
            ]
        )
        for index in range(processes)
    ]
    said = []
    for process in started:
        try:
            said.append(process.communicate(timeout=250))
        except BaseException:
            for each in started:
                each.kill()
                each.communicate()
            raise
    # Gloo says on standard output whom it has met.
    said = [
        ("".join(x for x in out.splitlines(True) if not x.startswith("[Gloo]")), error)
        for out, error in said
    ]
    return [process.returncode for process in started], said


def command(init, workdir, *more):
    """A run that is over in seconds; evaluated at its start, half way and at its end."""
    given = [f"--config.data.dir={ENTITIES}", "--config.data.batch_size=4"]
    return ner_command(init, workdir, *given, "--config.train.log_every=1", *more)


def metrics_of(workdir):
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def assert_close(ours, expected, where=""):
    """The same names and texts, and numbers that rounding alone may tell apart."""
    assert type(ours) is type(expected), where
    if isinstance(expected, dict):
        assert ours.keys() == expected.keys(), where
        for key, value in expected.items():
            assert_close(ours[key], value, f"{where}.{key}")
    elif isinstance(expected, list):
        assert len(ours) == len(expected), where
        for place, (one, other) in enumerate(zip(ours, expected, strict=True)):
            assert_close(one, other, f"{where}[{place}]")
    elif isinstance(expected, float):
        assert ours == pytest.approx(expected, abs=2e-4, nan_ok=True), where
    else:
        assert ours == expected, where


def test_two_processes_learn_predict_and_score_what_one_does(pretrained, tmp_path):
    alone, together = tmp_path / "alone", tmp_path / "together"
    codes, said = run(command(pretrained, alone), 1)
    assert codes == [0], said
    codes, said = run(command(pretrained, together), 2)
    assert codes == [0, 0], said
    assert "test scores" in said[0][0] and said[1] == ("", ""), "one speaks for both"
    ours, expected = metrics_of(together), metrics_of(alone)
    assert [line["step"] for line in ours] == [line["step"] for line in expected]
    for one, other in zip(ours, expected, strict=True):
        assert one.get("batch_crc") == other.get("batch_crc"), "the same rows"
        assert one.keys() == other.keys()
        for name in ("loss", "label_accuracy", "grad_norm", "eval_f1"):
            assert one.get(name, 0.0) == pytest.approx(other.get(name, 0.0), rel=1e-4, abs=1e-5)
    scores = [json.loads((folder / "scores.json").read_text()) for folder in (together, alone)]
    assert scores[0]["calibration"]["temperature"] > 0
    assert_close(*scores)
    for name in FILES:
        assert (together / name).read_bytes() == (alone / name).read_bytes()
    lines = [
        [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]
        for folder in (together, alone)
    ]
    assert_close(*lines)
    newest, *_ = manifest.checkpoints_of(together)
    assert manifest.check_files(newest) == []
    ours, expected = load_checkpoint(together), load_checkpoint(alone)
    assert_close(dict(ours.options), dict(expected.options))
    theirs = flatten(expected.params)
    for name, array in flatten(ours.params).items():
        np.testing.assert_allclose(array, theirs[name], rtol=0, atol=1e-3, err_msg=name)


def test_two_processes_go_through_several_runs_and_on_with_them(pretrained, tmp_path):
    words = command(pretrained, tmp_path / "w", "--config.retrain=true", "--seeds", "2")
    codes, said = run(words, 2)
    assert codes == [0, 0], said
    assert "| mean ± sd |" in said[0][0] and said[1] == ("", "")
    gathered = json.loads((tmp_path / "w/scores.json").read_text())
    assert [one["name"] for one in gathered["runs"]] == ["seed-0", "seed-1"]
    alone = load_checkpoint(tmp_path / "w/runs/seed-1-train-alone").options
    assert load_checkpoint(tmp_path / "w/runs/seed-1").options == alone, "the calibration is kept"
    # One run is lost: it alone is run again, by both.
    shutil.rmtree(tmp_path / "w/runs/seed-1")
    codes, again = run(words, 2)
    assert codes == [0, 0], again
    assert again[0][0] == said[0][0]
    assert again[0][1].count("sentences in") == 1 and again[1] == ("", "")


def test_two_processes_search_for_the_same_in_a_fold(pretrained, tmp_path):
    shutil.copytree(ENTITIES, tmp_path / "data/1")
    words = command(
        *(pretrained, tmp_path / "w", "--folds", "all", "--search", "2"),
        *(f"--config.data.dir={tmp_path / 'data'}", "--config.train.num_steps=2"),
        "--config.grid.learning_rate=1e-4,3e-4",
    )
    codes, said = run(words, 2)
    assert codes == [0, 0], said
    assert "Chosen on the held-out file of fold 1" in said[0][0] and said[1] == ("", "")
    gathered = json.loads((tmp_path / "w/scores.json").read_text())
    assert [one["name"] for one in gathered["runs"]] == ["fold-1-seed-0"]
    assert gathered["chosen"]["1"].keys() == {"optimizer.learning_rate"}
    assert len(list((tmp_path / "w/runs").iterdir())) == 3


def test_processes_that_read_other_examples_are_refused(pretrained, tmp_path):
    """data.dir may be a folder of each host's own."""
    folders = [tmp_path / "0", tmp_path / "1"]
    for folder in folders:
        folder.mkdir()
        for name in ("train.tsv", "devel.tsv", "test.tsv"):
            (folder / name).write_bytes((ENTITIES / name).read_bytes())
    workdir = tmp_path / "run"
    for name in ("train.tsv", "test.tsv"):
        lines = (ENTITIES / name).read_text().splitlines(keepends=True)
        (folders[1] / name).write_text("".join(lines[lines.index("\n") + 1 :]))
        codes, said = run(command(pretrained, workdir), 2, data=folders)
        assert codes == [1, 1], said
        for _, line in said:
            assert "the examples are not those of process 0 on process 1" in line.splitlines()[-1]
        (folders[1] / name).write_bytes((ENTITIES / name).read_bytes())
