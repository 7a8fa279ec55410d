"""Several runs as one, with a run that computes nothing: which, going on, gathering, choosing."""

import dataclasses
import json
import math
import statistics

import pytest

from biobert_jax.config_finetuning import FinetuneConfig, FinetuneDataConfig, GridConfig
from biobert_jax.config_parsing import to_json
from biobert_jax.errors import UserError
from biobert_jax.report.page import render_page
from biobert_jax.report.runs import read_run
from biobert_jax.tasks import protocol
from biobert_jax.tasks.results import config_sha256


@pytest.fixture
def config(tmp_path):
    for fold in ("1", "2", "10", "other"):
        (tmp_path / "data" / fold).mkdir(parents=True)
        for name in ("train.tsv", "devel.tsv", "test.tsv"):
            (tmp_path / "data" / fold / name).write_text("x")
    data = FinetuneDataConfig(dir=str(tmp_path / "data"), eval="devel.tsv")
    return FinetuneConfig(seed=3, data=data, paper="BioBERT v1.1 89.71")


class Runner:
    """Scores a run by its config, and counts what was run."""

    def __init__(self, score=lambda config: config.seed / 10):
        self.score, self.seen, self.stop_at = score, [], None

    def __call__(self, config, workdir, kept):
        if len(self.seen) == self.stop_at:
            raise KeyboardInterrupt
        self.seen.append((workdir.local.name, config, dict(kept)))
        value = self.score(config)
        content = {"eval": {"f1": value}, "config_sha256": config_sha256(config)}
        if config.data.test:
            content["test"] = {"f1": value, "num_gold": 7, "by_type": {"x": {"f1": 1.0}}}
        workdir.local.mkdir(parents=True)
        (workdir.local / "config.json").write_text(to_json(config))
        (workdir.local / "scores.json").write_text(json.dumps(content))
        return content


def names(runner):
    return [name for name, *_ in runner.seen]


def test_folds_and_seeds_are_gathered(config, tmp_path):
    runner = Runner()
    folds = protocol.folds_of(config, "all")
    assert folds == ["1", "2", "10"]
    found = protocol.finetune_all(config, tmp_path / "w", folds=folds, seeds=2, run_one=runner)
    assert names(runner)[:3] == ["fold-1-seed-3", "fold-1-seed-4", "fold-2-seed-3"]
    assert runner.seen[2][1].data.dir.endswith("/data/2")
    values = [0.3, 0.4] * 3
    assert found["mean"]["f1"] == pytest.approx(statistics.fmean(values))
    assert found["sd"]["f1"] == pytest.approx(statistics.stdev(values))
    assert json.loads((tmp_path / "w/scores.json").read_text()) == found
    text = (tmp_path / "w/README.md").read_text()
    assert "| mean ± sd | 35.00 ± 5.48 |" in text and "Published: BioBERT v1.1 89.71." in text
    page = render_page([read_run(tmp_path / "w")])
    assert "fold-10-seed-4" in page and "35.00%" in page


def test_the_same_command_goes_on(config, tmp_path):
    runner = Runner()
    runner.stop_at = 2
    with pytest.raises(KeyboardInterrupt):
        protocol.finetune_all(config, tmp_path / "w", seeds=4, run_one=runner)
    runner.stop_at = None
    found = protocol.finetune_all(config, tmp_path / "w", seeds=4, run_one=runner)
    assert names(runner) == [f"seed-{n}" for n in (3, 4, 5, 6)]
    assert [run["name"] for run in found["runs"]] == names(runner)
    # A run with another config is not taken for this one.
    changed = dataclasses.replace(config, init="elsewhere")
    with pytest.raises(UserError, match="seed-3: a finished run with another config"):
        protocol.finetune_all(changed, tmp_path / "w", seeds=1, run_one=Runner())
    (tmp_path / "w/checkpoints").mkdir()
    with pytest.raises(UserError, match="holds a single run"):
        protocol.finetune_all(config, tmp_path / "w", run_one=runner)


def test_a_grid_is_chosen_without_the_test_file(config, tmp_path):
    grid = GridConfig(learning_rate=("1e-5", "3e-5"), batch_size=("8", "16"))
    config = dataclasses.replace(config, grid=grid)
    best = (3e-5, 8)

    def score(own):
        if own.data.batch_size == 8 and own.optimizer.learning_rate == 1e-5:
            return float("nan")  # a run that went wrong is not the best
        return float((own.optimizer.learning_rate, own.data.batch_size) == best)

    runner = Runner(score)
    found = protocol.finetune_all(config, tmp_path / "w", seeds=2, grid=True, run_one=runner)
    assert found["chosen"] == {"optimizer.learning_rate": "3e-5", "data.batch_size": "8"}
    points, final = runner.seen[:4], runner.seen[4:]
    assert all(c.data.test == "" and c.seed == 3 for _, c, _ in points)
    assert all(c.data.test and c.optimizer.learning_rate == 3e-5 for _, c, _ in final)
    assert (
        len(final) == 2 and "Chosen on the held-out file" in (tmp_path / "w/README.md").read_text()
    )


def test_correlations_are_no_percentages():
    found = {"pearson": 0.5, "f1": 0.25}
    runs = [{"name": "seed-0", "test": found}]
    text = protocol.table({"task": "x", "runs": runs, "mean": found, "sd": found})
    assert "| seed-0 | 0.5000 | 25.00 |" in text and "| 0.5000 ± 0.5000 | 25.00 ± 25.00 |" in text


def test_each_fold_chooses_on_its_own_held_out_file(config, tmp_path):
    config = dataclasses.replace(config, grid=GridConfig(num_epochs=("1", "2")))

    def score(own):
        return own.train.num_epochs * (-1 if own.data.dir.endswith("/2") else 1)

    runner = Runner(score)
    folds = ["1", "2"]
    found = protocol.finetune_all(config, tmp_path / "w", folds=folds, grid=True, run_one=runner)
    assert names(runner)[0] == "fold-1-grid-num_epochs-1"
    assert found["chosen"] == {"1": {"train.num_epochs": "2"}, "2": {"train.num_epochs": "1"}}
    assert [c.train.num_epochs for name, c, _ in runner.seen if "grid" not in name] == [2, 1]
    assert "of fold 2: `train.num_epochs` 1." in (tmp_path / "w/README.md").read_text()


def test_a_search_comes_near_the_best_and_goes_on_as_it_was(config, tmp_path):
    grid = GridConfig(learning_rate=("1e-3", "1e-5"), num_epochs=("1", "3"))
    config = dataclasses.replace(config, grid=grid)

    def score(own):
        return -abs(math.log10(own.optimizer.learning_rate) + 4) - 0.1 * own.train.num_epochs

    whole, stopped = Runner(score), Runner(score)
    found = protocol.finetune_all(config, tmp_path / "w", search=12, run_one=whole)
    rates = [own.optimizer.learning_rate for _, own, _ in whole.seen]
    assert all(1e-5 <= rate <= 1e-3 for rate in rates)
    assert len(set(rates)) > 6 and all(own.data.test == "" for _, own, _ in whole.seen[:-1])
    best = max(whole.seen[:-1], key=lambda run: score(run[1]))[1]
    assert whole.seen[-1][1].optimizer == best.optimizer and found["chosen"]["train.num_epochs"]
    stopped.stop_at = 5
    with pytest.raises(KeyboardInterrupt):
        protocol.finetune_all(config, tmp_path / "v", search=12, run_one=stopped)
    stopped.stop_at = None
    assert protocol.finetune_all(config, tmp_path / "v", search=12, run_one=stopped) == found
    assert names(stopped) == names(whole)


def test_a_fold_without_a_file_is_known_before_the_first_runs(config, tmp_path):
    (tmp_path / "data/10/test.tsv").unlink()
    runner = Runner()
    with pytest.raises(UserError, match="10/test.tsv: no such file"):
        protocol.finetune_all(config, tmp_path / "w", folds=["1", "10"], run_one=runner)
    assert not runner.seen


def test_what_is_chosen_by_must_hold_something(config, tmp_path):
    (tmp_path / "data/10/devel.tsv").write_bytes(b"")
    config = dataclasses.replace(config, grid=GridConfig(num_epochs=("1",)))
    runner = Runner()
    for how in ({"grid": True}, {"search": 2}):
        with pytest.raises(UserError, match="10/devel.tsv: 0 bytes"):
            protocol.finetune_all(config, tmp_path / "w", folds=["1", "10"], run_one=runner, **how)
    assert not runner.seen
    for text in ("abc", "0", "nan"):
        with pytest.raises(UserError, match="grid.learning_rate has"):
            GridConfig(learning_rate=("1e-4", text))


def test_retraining_adds_the_held_out_file_and_keeps_what_was_fitted(config, tmp_path, monkeypatch):
    monkeypatch.setattr(protocol, "_fitted", lambda workdir: {"temperature": 1.5})
    runner = Runner()
    config = dataclasses.replace(config, retrain=True)
    protocol.finetune_all(config, tmp_path / "w", run_one=runner)
    (first, alone, none), (second, both, kept) = runner.seen
    assert (first, second) == ("seed-3-train-alone", "seed-3")
    assert (alone.data.train, alone.data.eval, alone.data.test) == (("train.tsv",), "devel.tsv", "")
    assert both.data.train == ("train.tsv", "devel.tsv") and both.data.eval == ""
    assert (none, kept) == ({}, {"temperature": 1.5})
    (tmp_path / "data/devel.tsv").write_bytes(b"")
    once = Runner()
    protocol.finetune_all(config, tmp_path / "v", run_one=once)
    assert names(once) == ["seed-3"] and once.seen[0][1].data.eval == "devel.tsv"


def test_what_cannot_be_run_is_named(config, tmp_path):
    with pytest.raises(UserError, match=r"--folds 1,3: .* has no folder 3: it has 1, 2, 10"):
        protocol.folds_of(config, "1,3")
    empty = dataclasses.replace(config, data=FinetuneDataConfig(dir=str(tmp_path / "w")))
    with pytest.raises(UserError, match="folds are folders of data.dir"):
        protocol.folds_of(empty, "all")
    with pytest.raises(UserError, match="data.eval is not set"):
        protocol.finetune_all(empty, tmp_path / "w", grid=True)
    with pytest.raises(UserError, match="--grid: set config.grid.learning_rate"):
        protocol.finetune_all(config, tmp_path / "w", grid=True)
