"""Panels that `scores.json` alone feeds: runs, confusion, errors, calibration, mistakes."""

import json
from html.parser import HTMLParser

import pytest

from biobert_jax.errors import UserError
from biobert_jax.report.page import render_page
from biobert_jax.report.runs import read_run
from biobert_jax.report.scores import main_score, panels

SCORES = {
    "task": "classification",
    "main_score": "f1",
    "unit": "text",
    "examples": 3,
    "file": "test.tsv",
    "test": {
        "precision": 0.5,
        "recall": 0.25,
        "f1": 1 / 3,
        "num_gold": 1234,
        "by_label": {"<yes>": {"f1": 0.25}, "no": {"f1": 0.75}},
        "confusion": {"labels": ["<yes>", "no"], "counts": [[7, 1], [2, 1190]]},
        "errors": {"correct": 8, "boundary": 2},
        "mistakes": [
            {"id": "17", "text": "a <b> c", "start": 2, "end": 5, "gold": ["no"]},
            {"text": "z", "gold": "no", "predicted": "<yes>", "probability": 0.987},
        ],
    },
    "calibration": {
        "temperature": 1.3,
        "ece_before": 0.08,
        "bins": [
            {"probability": 0.7, "accuracy": 0.65, "count": 20},
            {"probability": 0.0, "accuracy": 0.0, "count": 0},
        ],
    },
}


class _Text(HTMLParser):
    def __init__(self, source):
        super().__init__()
        self.words, self.tags = [], []
        self.feed(source)

    def handle_data(self, data):
        self.words.append(data.strip())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)


def written(folder, scores):
    folder.mkdir(exist_ok=True)
    (folder / "scores.json").write_text(json.dumps(scores))
    return folder


def test_everything_is_shown_and_escaped(tmp_path):
    run = read_run(written(tmp_path / "run", SCORES))
    assert main_score(run) == ("F1", "33.33%")
    page = _Text(render_page([run]))
    for word in (
        "Fine-tuning for classification",
        "33.33%",
        "1,234",
        "<yes>",
        "1,190",
        "Right type, other boundary",
        "98.70%",
        "<b>",
        "17",
        "65.00%",
    ):
        assert any(word in text for text in page.words), word
    assert page.tags.count("mark") == 1 and "yes" not in page.tags
    assert "On 3 texts of test.tsv." in page.words


def test_types_of_entities_are_confused_where_there_are_several(tmp_path):
    confusion = {"labels": ["Drug", "Gene"], "counts": [[40, 3], [0, 17]]}
    content = {"task": "ner", "main_score": "f1", "test": {"f1": 0.5, "confusion": confusion}}
    words = _Text(panels(read_run(written(tmp_path / "run", content)))).words
    assert any(word.startswith("Of entities whose words were found exactly") for word in words)
    first = words.index("Confusion")
    cells = [word for word in words[first:] if word][2:]
    assert cells == ["Drug", "Gene", "Drug", "40", "3", "Gene", "0", "17"]
    content["test"]["confusion"] = {"labels": ["Drug"], "counts": [[40]]}
    assert "Confusion" not in _Text(panels(read_run(written(tmp_path / "one", content)))).words


def test_several_runs_show_mean_and_spread(tmp_path):
    runs = [{"name": f"seed-{i}", "test": {"f1": 0.5 + i / 10, "by_type": {}}} for i in range(3)]
    content = {"task": "ner", "main_score": "f1", "runs": runs}
    content |= {"mean": {"f1": 0.6}, "sd": {"f1": 0.1}}
    run = read_run(written(tmp_path / "lot", content))
    page = _Text(panels(run))
    assert main_score(run) == ("F1", "60.00%")
    first = page.words.index("seed-0")
    cells = [word for word in page.words[first:] if word]
    assert cells == ["seed-0", "50.00%", "seed-1", "60.00%", "seed-2", "70.00%"] + [
        *("mean", "60.00%", "sd", "10.00%")
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"confusion": {"labels": ["a"], "counts": [[1, 2]]}}, "a square of counts"),
        ({"mistakes": {}}, "a list of objects"),
        ({"f1": "high"}, "not all numbers"),
    ],
)
def test_damaged_scores_are_named(tmp_path, change, words):
    folder = written(tmp_path / "run", SCORES | {"test": SCORES["test"] | change})
    with pytest.raises(UserError, match=f"scores.json: .*{words}"):
        read_run(folder)


@pytest.mark.parametrize(
    "change", [{"runs": [3]}, {"mean": {"f1": "x"}}, {"calibration": {"bins": [{"count": 1}]}}]
)
def test_damaged_summaries_are_named(tmp_path, change):
    with pytest.raises(UserError, match="scores.json: .*expected"):
        read_run(written(tmp_path / "run", SCORES | change))
