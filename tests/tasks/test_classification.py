"""Classification without a model: labels, targets, weights, groups, what is refused."""

import numpy as np
import pytest

from biobert_jax.config_finetuning import FinetuneDataConfig
from biobert_jax.errors import UserError
from biobert_jax.tasks import classification
from biobert_jax.tasks.class_targets import check_kind, targets_of
from biobert_jax.tasks.files.examples import TextExample
from biobert_jax.tasks.rows import Encoded, pack
from biobert_jax.tasks.task import Setting, options_of, task_of
from tests.checkpoints.tiny import tiny_tokenizer

TASK = classification.TASK


def options(**changes):
    return options_of(TASK, FinetuneDataConfig(**changes))


def texts(*labels, groups=()):
    groups = groups or [""] * len(labels)
    return [
        TextExample(str(i), f"t{i}", labels=own, group=group, where=f"f:{i}")
        for i, (own, group) in enumerate(zip(labels, groups, strict=True))
    ]


def setting(labels, **changes):
    return Setting(labels, options(**changes), None, 16)


def test_labels_are_the_configs_or_those_that_occur():
    examples = texts(("b",), ("a",), ("b",))
    assert TASK.labels(examples, options()) == ("a", "b")
    assert TASK.labels(examples, options(labels=("b", "a", "c"))) == ("b", "a", "c")
    with pytest.raises(UserError, match="f:0: label 'b' is not one of the labels"):
        TASK.labels(examples, options(labels=("B", "a")))
    with pytest.raises(UserError, match="nothing to tell apart: every label is a"):
        TASK.labels(texts(("a",), ("a",)), options())
    with pytest.raises(UserError, match="data.positive_label 'A' is not one"):
        TASK.labels(examples, options(positive_label="A"))


@pytest.mark.parametrize(
    ("example", "kind", "words"),
    [
        (TextExample("1", "t", labels=("a", "b"), where="f:3"), "single", "f:3: 2 labels, where"),
        (TextExample("1", "t", labels=(), where="f:3"), "single", "f:3: 0 labels, where"),
        (TextExample("1", "t", value=2.5, where="f:3"), "single", "f:3: the number 2.5, where"),
        (TextExample("1", "t", value=2.5, where="f:3"), "multi_label", "set data.kind=regression"),
        (
            TextExample("1", "t", labels=("x",), where="f:3"),
            "regression",
            "f:3: x, where",
        ),
        (TextExample("1", "t", labels=(), where="f:3"), "regression", "f:3: no label, where"),
    ],
)
def test_a_file_of_another_kind_is_named(example, kind, words):
    with pytest.raises(UserError, match=words):
        check_kind(example, kind)


def test_a_column_of_labels_may_hold_numbers():
    assert check_kind(TextExample("1", "t", labels=("2.5",)), "regression").value == 2.5
    assert check_kind(TextExample("1", "t"), "single").labels is None


def test_targets_of_each_kind():
    found, fill = targets_of(texts(("b",), ("z",)), setting(("a", "b")))
    assert (found.tolist(), fill) == ([1, -1], -1)
    found, fill = targets_of(texts(("b", "a"), ()), setting(("a", "b"), kind="multi_label"))
    assert found.tolist() == [[1, 1], [0, 0]] and np.isnan(fill)
    numbers = [TextExample(str(v), "t", value=v) for v in (1.0, 3.0)]
    fitted = TASK.fit_options(numbers, options(kind="regression"), ("value",))
    assert (fitted["mean"], fitted["sd"]) == (2.0, 1.0)
    found, _ = targets_of(numbers, Setting(("value",), fitted, None, 16))
    assert found.tolist() == [-1, 1]


def test_balanced_weights():
    examples = texts(*[("a",)] * 3, ("b",))
    found = TASK.fit_options(examples, options(class_weights="balanced"), ("a", "b"))
    assert found["weights"] == [pytest.approx(4 / 6, abs=1e-6), 2.0]
    several = options(class_weights="balanced", kind="multi_label")
    assert TASK.fit_options(examples, several, ("a", "b"))["weights"][1] == 3.0


def test_a_groups_passages_are_answered_as_one(tmp_path):
    examples = texts(("yes",), ("yes",), ("no",), groups=["q", "q", ""])
    special = tiny_tokenizer(tmp_path).special
    encoded = Encoded(pack([[2, 3]] * 3, 8, special), {}, {})
    logits = np.array([[0.0, 1.0], [4.0, 1.0], [3.0, 0.0]], np.float32)
    rows = encoded.rows.of_sequences(logits, fill=0)
    own = setting(("no", "yes"))
    found = TASK.decode(rows, encoded, examples, own)
    assert [p.labels for p in found] == [("no",), ("no",), ("no",)]
    assert found[0] == found[1]
    scores = TASK.score(examples, found, own)
    assert scores["accuracy"] == 0.5, "two questions, not three passages"
    assert [m["id"] for m in scores["mistakes"]] == ["0"]


def test_a_label_that_training_never_saw_is_said():
    [line] = TASK.check({"test.tsv": texts(("c",))}, ("a", "b"))
    assert "test.tsv: no training file has the labels c" in line


def test_no_main_module_is_long():
    import inspect

    for name in ("ner", "classification", "qa"):
        task = task_of(name)
        source = inspect.getsource(__import__(f"biobert_jax.tasks.{name}", fromlist=["TASK"]))
        assert source.count("\n") < 200, task.name
        assert not {"mesh", "optimizer", "load_checkpoint"} & set(source.split())
