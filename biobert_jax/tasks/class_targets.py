"""What classification learns: labels or a number of an example, as arrays, and their weights."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from biobert_jax.errors import UserError, nearest
from biobert_jax.tasks.files.examples import TextExample
from biobert_jax.tasks.rows import NO_TARGET
from biobert_jax.tasks.task import Setting


def check_kind(example: TextExample, kind: str) -> TextExample:
    """The example with what `kind` asks for: one label, any number of them, or a number.

    Raises:
      UserError: it has something else.
    """
    where = example.where or f"example {example.id}"
    if kind == "regression":
        if example.value is not None or example.labels is None:
            return example
        try:
            (label,) = example.labels
            return dataclasses.replace(example, value=float(label), labels=None)
        except ValueError:
            shown = ", ".join(example.labels) or "no label"
            raise UserError(
                f"{where}: {shown}, where data.kind=regression needs a number"
            ) from None
    if example.labels is None and example.value is not None:
        raise UserError(
            f"{where}: the number {example.value:g}, where data.kind is {kind}: set "
            "data.kind=regression, or give a column of labels"
        )
    if kind == "single" and example.labels is not None and len(example.labels) != 1:
        raise UserError(
            f"{where}: {len(example.labels)} labels, where data.kind is single: set "
            "data.kind=multi_label, or give one"
        )
    return example


def labels_of(examples: Sequence[TextExample], options: Mapping[str, Any]) -> tuple[str, ...]:
    """Those of the config, or all that occur, sorted.

    Raises:
      UserError: there are not two; one that the config does not name, or names and is not there.
    """
    if options["kind"] == "regression":
        return ("value",)
    found = sorted({label for example in examples for label in example.labels})
    known = tuple(options["labels"]) or tuple(found)
    for example in examples:
        for label in example.labels:
            if label not in known:
                raise UserError(f"{example.where}: label {unknown(label, known)}")
    for key in ("excluded_labels", "positive_label"):
        for name in filter(None, np.atleast_1d(options[key]).tolist()):
            if name not in known:
                raise UserError(f"data.{key} {unknown(name, known)}")
    if len(known) < 2 and options["kind"] == "single":
        raise UserError(f"there is nothing to tell apart: every label is {' '.join(known)}")
    return known


def fit_options(
    examples: Sequence[TextExample], options: dict[str, Any], labels: tuple[str, ...]
) -> dict[str, Any]:
    """With what a label weighs, and the mean and spread of values."""
    if options["kind"] == "regression":
        values = np.array([example.value for example in examples], np.float64)
        return options | {"mean": float(values.mean()), "sd": float(values.std()) or 1.0}
    if options["class_weights"] == "none":
        return options
    counts = np.array([sum(x in e.labels for e in examples) for x in labels], np.float64)
    if options["kind"] == "single":
        weights = len(examples) / (len(labels) * np.maximum(counts, 1))
    else:
        weights = (len(examples) - counts) / np.maximum(counts, 1)
    return options | {"weights": [round(float(w), 6) for w in weights]}


def targets_of(examples: Sequence[TextExample], setting: Setting) -> tuple[np.ndarray, Any]:
    """Of each sequence, and what stands where there is none."""
    options = setting.options
    if options["kind"] == "regression":
        values = np.array([example.value for example in examples], np.float32)
        return ((values - options["mean"]) / options["sd"]).astype(np.float32), np.nan
    index = {label: place for place, label in enumerate(setting.labels)}
    if options["kind"] == "single":
        found = [index.get(example.labels[0], NO_TARGET) for example in examples]
        return np.array(found, np.int32), NO_TARGET
    table = np.zeros((len(examples), len(setting.labels)), np.float32)
    for row, example in enumerate(examples):
        table[row, [index[label] for label in example.labels if label in index]] = 1
    return table, np.nan


def unknown(name: str, known: Sequence[str]) -> str:
    """Says that a label is none, with the nearest that is."""
    near = nearest(name, known)
    hint = f"did you mean {near!r}? " if near else ""
    return f"{name!r} is not one of the labels: {hint}known: {', '.join(known)}"
