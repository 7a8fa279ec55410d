"""`biobert report` over workdirs as runs leave them: whole, under way, damaged, hostile."""

import argparse
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from biobert_jax.commands import report
from biobert_jax.errors import UserError
from biobert_jax.report.charts import Line, chart
from biobert_jax.report.page import render_page
from biobert_jax.report.panels import sections
from biobert_jax.report.runs import read_run, read_runs

MODEL = {
    "vocab_size": 1000,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}


def write_run(folder, *, seed=0, config=None, more=(), steps=40):
    """A workdir of pre-training."""
    folder.mkdir(parents=True)
    content = {
        "seed": seed,
        "model": MODEL,
        "data": {"dir": "data/x", "batch_size": 16, "phases": []},
        "optimizer": {"name": "adamw", "learning_rate": 0.001},
        "train": {"num_steps": 100, "log_every": 1},
    }
    (folder / "config.json").write_text(json.dumps(content | (config or {})))
    rng = np.random.default_rng(seed)
    lines = [{"step": 0, "heldout_mlm_loss": 7.0, "heldout_mlm_accuracy": 0.0}]
    for step in range(1, steps + 1):
        loss = 7 / step**0.3 + rng.random() / 5
        measured = {"tokens_per_second": 2000.0, "input_wait": 0.01, "mfu": 0.41}
        measured |= {f"step_seconds_{q}": 0.1 for q in ("p50", "p90", "p99", "max")}
        lines.append(
            {"step": step, "loss": loss, "mlm_loss": loss, "grad_norm": 1 + rng.random()}
            | {"learning_rate": 1e-3, "skipped_steps": 0.0, "skipped_in_a_row": 0.0}
            | measured
            | {"time": 1.7e9 + step}
        )
    lines += [{"step": steps, "heldout_mlm_loss": 3.25, "heldout_mlm_accuracy": 0.375}, *more]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "metrics.jsonl").write_text(text)
    return folder


def write_checkpoint(folder, step, **manifest):
    path = folder / "checkpoints" / str(step)
    (path / "params").mkdir(parents=True)
    (path / "params" / "array").write_bytes(bytes(2_000_000))
    (path / "manifest.json").write_text(json.dumps({"step": step, **manifest}))


@pytest.fixture
def pretraining(tmp_path):
    folder = write_run(tmp_path / "base")
    write_checkpoint(folder, 20)
    write_checkpoint(folder, 40, kind="pretraining", model=MODEL)
    (folder / "checkpoints" / "60").mkdir()  # unfinished
    return folder


@pytest.fixture
def tagger(tmp_path):
    config = {"task": "ner", "model": {"dtype": "float32"}, "train": {"num_steps": 0}}
    folder = write_run(tmp_path / "ner", config=config)
    write_checkpoint(folder, 40, model=MODEL)
    ratios = {"precision": 0.5, "recall": 0.25, "f1": 1 / 3}
    counts = {"num_gold": 4000, "num_predicted": 20, "num_correct": 10}
    scores = {
        "test": {**ratios, **counts, "by_type": {"Drug": ratios | counts, "<i>": ratios | counts}},
        "file": "test.tsv",
        "examples": 1234,
        "unit": "sentence",
    }
    (folder / "scores.json").write_text(json.dumps(scores))
    return folder


def report_of(*words):
    parser = argparse.ArgumentParser()
    report.add_arguments(parser)
    return report.run(parser.parse_args([str(word) for word in words]))


class Page(HTMLParser):
    """Text, tags and attributes of a page whose tags must be balanced."""

    def __init__(self, source: str):
        super().__init__()
        self.open: list[str] = []
        self.text, self.data = "", []
        self.attributes: list[tuple[str, str | None]] = []
        self.tags: list[str] = []
        self.feed(source)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["script"] and data.startswith("{"):
            self.data.append(json.loads(data))
        elif not {"style", "script"} & set(self.open):
            self.text += data


def test_a_page_of_pretraining(pretraining, capsys):
    assert report_of(pretraining) == 0
    assert str(pretraining / "report.html") in capsys.readouterr().out
    source = (pretraining / "report.html").read_text(encoding="utf-8")
    page = Page(source)
    for text in ("base", "Pre-training", "40 of 100", "3.25", "37.50%", "41.00%", "39 s"):
        assert text in page.text, text
    for title in ("Training loss", "Held-out loss", "Learning rate", "Gradient norm", "Seconds a"):
        assert title in page.text, title
    # One objective's loss is drawn once; of two checkpoints both, the unfinished one not.
    assert "by objective" not in page.text
    assert re.findall(r"(\d+)2\.0 MB", page.text) == ["20", "40"]
    assert "model.hidden_size" in page.text and "details" in page.tags


def test_a_page_of_a_tagger(tagger):
    run = read_run(tagger)
    assert run.task == "ner" and run.num_steps is None and run.model.hidden_size == 32
    page = Page(render_page([run]))
    for text in ("Fine-tuning", "33.33%", "4,000", "1,234 sentences of test.tsv", "Drug", "<i>"):
        assert text in page.text, text


def test_pages_refer_to_nothing_outside(pretraining, tagger):
    for runs in ([pretraining], [tagger], [pretraining, tagger]):
        source = render_page(read_runs(runs))
        page = Page(source)
        assert set(page.tags).isdisjoint({"link", "img", "iframe", "a", "image", "use"})
        assert not [name for name, _ in page.attributes if name in ("src", "href", "srcset")]
        assert not re.search(r"url\(|https?:|//\w|@import|fetch\(|import\(", source)


def test_runs_are_laid_over_each_other(tmp_path, capsys):
    first = write_run(tmp_path / "a" / "run")
    second = write_run(tmp_path / "b" / "run", seed=1, steps=30)
    assert report_of(first, second) == 0
    assert not (first / "report.html").exists()
    page = Page((first / "comparison.html").read_text(encoding="utf-8"))
    assert "2 runs" in page.text and "a/run" in page.text and "b/run" in page.text
    loss = page.data[0]["lines"]
    assert [line["label"] for line in loss] == ["a/run", "b/run"]
    assert [line["color"] for line in loss] == [0, 1]
    assert [line["steps"][-1] for line in loss] == [40, 30]
    # What differs is told, and marked among all keys.
    differing = page.text[page.text.index("configs differ") :].split("Learning")[0]
    assert "seed" in differing and "batch_size" not in differing
    assert page.attributes.count(("class", "differs")) == 1


def test_values_that_are_not_finite_are_gaps(tmp_path):
    more = [
        {"step": 41, "loss": None, "odd": None},
        {"step": 42, "loss": float("nan"), "grad_norm": float("inf")},
        {"step": 43, "loss": 2.0, "grad_norm": 0.0},
    ]
    run = read_run(write_run(tmp_path / "run", more=more))
    assert np.isnan(run.series["loss"].values[-3:]).tolist() == [True, True, False]
    assert run.last("loss") == 2.0 and run.last("odd") is None
    source = render_page([run])
    page = Page(source)
    assert "2 values are not finite" in page.text and "No value is finite." in page.text
    assert "nan" not in source.lower().replace("names", "") and "Infinity" not in source
    assert page.data[0]["lines"][0]["values"][-3:] == [None, None, 2.0]


def test_nothing_of_a_run_is_taken_for_html(tmp_path):
    hostile = "<script>alert('1')<&\"\udce4"
    more = [{"step": 41, hostile: 1.0, "</script><b>": 2.0}]
    config = {"init": hostile, "data": {"dir": hostile, hostile: [hostile]}}
    folder = write_run(tmp_path / "<b>&", config=config, more=more)
    (folder / "scores.json").write_text(
        json.dumps({"test": {"f1": 1.0, "by_type": {hostile: {}, "b": {}}}, "file": hostile})
    )
    runs = [read_run(folder), read_run(write_run(tmp_path / "other"))]
    for chosen in (runs[:1], runs):
        source = render_page(chosen)
        source.encode("utf-8")
        page = Page(source)
        assert "<b>&" in page.text and "<script>alert('1')<&\"\ufffd" in page.text
        assert "b" not in page.tags and "i" in page.tags
        # The page's own script, and one of data a plot.
        assert page.tags.count("script") == 1 + len(page.data)
        labels = [line["label"] for data in page.data for line in data["lines"]]
        assert any("</script><b>" in label for label in labels) or len(chosen) > 1


def test_a_run_under_way(tmp_path):
    folder = write_run(tmp_path / "run")
    (folder / "config.json").unlink()
    with open(folder / "metrics.jsonl", "a") as stream:
        stream.write('{"step": 41, "lo')
    run = read_run(folder)
    assert run.last_step == 40 and run.model is None
    assert "None is saved." in Page(render_page([run])).text


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "holds no metrics yet"),
        ('{"step": 1, "time": 5}\n', "holds no metrics yet"),
        ('{"step": 1, "loss": 2}\n{"step": 2, "lo\n{"step": 3}\n', "metrics.jsonl, line 2"),
        ('{"loss": 2}\n', "line 1"),
        ('{"step": 1.5, "loss": 2}\n', "line 1"),
        ('{"step": 1, "loss": "x"}\n', "line 1"),
        ("[1]\n", "line 1"),
        ("\0\n", "line 1"),
    ],
)
def test_metrics_that_are_none(tmp_path, text, words):
    (tmp_path / "metrics.jsonl").write_text(text)
    with pytest.raises(UserError, match=words):
        read_run(tmp_path)


def test_folders_that_are_no_workdirs(pretraining, tmp_path):
    for given, words in (
        ([tmp_path / "none"], "no such folder"),
        ([tmp_path], "holds no metrics.jsonl"),
        ([pretraining, tmp_path / "other" / ".." / "base"], "given twice"),
        ([pretraining, "--output", pretraining / "config.json" / "x.html"], "cannot be written"),
        ([pretraining, "--output", tmp_path], "cannot be written"),
    ):
        with pytest.raises(UserError, match=words):
            report_of(*given)
    with pytest.raises(UserError, match="at most 8"):
        render_page([read_run(pretraining)] * 9)
    for scores in ('{"test": {"f1": "high"}}', '{"test": 3}', '{"test": {"by_type": {"": "x"}}}'):
        (pretraining / "scores.json").write_text(scores)
        with pytest.raises(UserError, match="scores.json: its scores are not all numbers"):
            read_run(pretraining)
    (pretraining / "scores.json").write_text("[]")
    with pytest.raises(UserError, match="scores.json: not a JSON object"):
        report_of(pretraining)


def test_a_long_run_makes_a_small_page(tmp_path):
    source = render_page([read_run(write_run(tmp_path / "run", steps=20_000))])
    assert len(source) < 500_000


def test_curves_lie_within_the_plot():
    steps = np.arange(5)
    drawn = chart(
        [Line("x", steps, np.array([1.0, np.nan, 3.0, -2.0, 0.5]))], title="t", scale="log"
    )
    path = re.search(r'class="line c0 d0" d="([^"]*)"', drawn)[1]
    # Gaps, and on a logarithmic axis what is not positive, divide the curve into dots.
    assert path.count("M") == 3 and path.count("h.01") == 3 and "L" not in path
    numbers = [float(x) for x in re.findall(r"M([\d.]+)", path)]
    assert numbers == sorted(numbers) and 50 <= numbers[0] and numbers[-1] <= 382
    assert "No value is finite" in chart([Line("x", steps, np.full(5, np.nan))], title="t")
    chart([Line("x", np.array([7]), np.array([0.0]))], title="t", from_zero=True)


def test_metrics_nobody_knows_are_drawn_too(tmp_path):
    run = read_run(write_run(tmp_path / "run", more=[{"step": 41, "new_metric": 1.0}]))
    text = Page(sections([run])).text
    assert "Other metrics" in text and "new_metric" in text and "batch" not in text
