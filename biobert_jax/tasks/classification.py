"""Classes of texts and pairs of texts: relations, yes/no answers, topics; or a number each."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx
from jax import Array

from biobert_jax.config import ModelConfig
from biobert_jax.errors import UserError, nearest
from biobert_jax.model.heads import BertForSequenceClassification, WeightedSum
from biobert_jax.scoring import classification as scoring
from biobert_jax.scoring import similarity
from biobert_jax.tasks.class_results import (
    PREDICTIONS,
    RESULTS,
    Prediction,
    card,
    mistakes,
    report,
    write,
)
from biobert_jax.tasks.files.examples import Span, TextExample
from biobert_jax.tasks.files.registry import read_examples
from biobert_jax.tasks.losses import class_losses, multi_label_losses, squared_losses
from biobert_jax.tasks.rows import NO_TARGET, Encoded
from biobert_jax.tasks.task import Setting, Task
from biobert_jax.tasks.texts import pack_texts


def read(path: Path, options: Mapping[str, Any]) -> list[TextExample]:
    """The examples of a file."""
    return read_examples(path, "classification", options["format"])


def labels(examples: Sequence[TextExample], options: Mapping[str, Any]) -> tuple[str, ...]:
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
                raise UserError(f"{example.where}: label {_unknown(label, known)}")
    for key in ("excluded_labels", "positive_label"):
        for name in filter(None, np.atleast_1d(options[key]).tolist()):
            if name not in known:
                raise UserError(f"data.{key} {_unknown(name, known)}")
    if len(known) < 2 and options["kind"] == "single":
        raise UserError(f"there is nothing to tell apart: every label is {' '.join(known)}")
    return known


def check(examples: Mapping[str, Sequence[TextExample]], labels: Sequence[str]) -> list[str]:
    """Warns of labels that training never saw."""
    lines = []
    for name, found in examples.items():
        unseen = {label for example in found for label in example.labels or ()} - set(labels)
        if unseen and labels != ("value",):
            lines.append(
                f"warning: {name}: no training file has the labels {' '.join(sorted(unseen))}: "
                "what bears them can only be missed"
            )
    return lines


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


def encode(examples: Sequence[TextExample], setting: Setting, seed: int | None = None) -> Encoded:
    """A sequence an example, [CLS] text [SEP] or [CLS] text [SEP] second text [SEP]."""
    rows, inputs, notes = pack_texts(examples, setting, seed)
    targets = {}
    if examples and all(map(has_labels, examples)):
        targets["targets"] = rows.of_sequences(*_targets(examples, setting))
    return Encoded(rows, inputs, targets, notes=notes)


def build(config: ModelConfig, setting: Setting, rngs: nnx.Rngs) -> nnx.Module:
    """BERT with a classifier of sequences."""
    pooling = setting.options.get("pooling", "cls")
    return BertForSequenceClassification(config, len(setting.labels), pooling=pooling, rngs=rngs)


def losses(
    model: nnx.Module, inputs: Mapping[str, Array], setting: Setting
) -> dict[str, WeightedSum]:
    """Cross-entropy, one sigmoid's a label, or squared error."""
    logits = _logits(model, inputs, inputs["seeds"])
    weights = setting.options.get("weights")
    weights = None if weights is None else np.array(weights, np.float32)
    if setting.options["kind"] == "single":
        return class_losses(logits, inputs["targets"], weights)
    if setting.options["kind"] == "multi_label":
        return multi_label_losses(logits, inputs["targets"], weights)
    return squared_losses(logits[..., 0], inputs["targets"])


def outputs(model: nnx.Module, inputs: Mapping[str, Array]) -> Array:
    """Logits [B, K, labels]."""
    return _logits(model, inputs)


def decode(
    outputs: np.ndarray | None, encoded: Encoded, examples: Sequence[TextExample], setting: Setting
) -> list[Prediction]:
    """Labels and probabilities; a group's examples share their mean logits (BioBERT)."""
    if outputs is None:
        return []
    logits, kind = encoded.rows.by_sequence(outputs), setting.options["kind"]
    if kind == "regression":
        values = logits[:, 0] * setting.options["sd"] + setting.options["mean"]
        return [Prediction(value=float(value)) for value in values]
    names = [example.group or f"\0{i}" for i, example in enumerate(examples)]
    _, group = np.unique(names, return_inverse=True)
    sums = np.zeros((len(logits), logits.shape[1]))
    np.add.at(sums, group, logits)
    logits = sums[group] / np.bincount(group)[group][:, None]
    if kind == "multi_label":
        found = 1 / (1 + np.exp(-logits))
    else:
        exponentials = np.exp(logits - logits.max(-1, keepdims=True))
        found = exponentials / exponentials.sum(-1, keepdims=True)
    chosen = found >= 0.5 if kind == "multi_label" else found == found.max(-1, keepdims=True)
    predictions = []
    for probabilities, places in zip(found, chosen, strict=True):
        own = np.flatnonzero(places)[: None if kind == "multi_label" else 1]
        named = tuple(setting.labels[place] for place in own)
        predictions.append(Prediction(named, tuple(probabilities.tolist())))
    return predictions


def has_labels(example: TextExample) -> bool:
    """Whether it can be learnt from and scored."""
    return example.labels is not None or example.value is not None


def score(
    examples: Sequence[TextExample], predictions: Sequence[Prediction], setting: Setting
) -> dict[str, Any]:
    """Scores by `kind`; of a group's examples the first counts."""
    options = setting.options
    if options["kind"] == "regression":
        return similarity.score([e.value for e in examples], [p.value for p in predictions])
    first = {e.group or f"\0{i}": i for i, e in reversed(list(enumerate(examples)))}
    taken = sorted(first.values())
    gold = [examples[i].labels for i in taken]
    predicted = [predictions[i].labels for i in taken]
    shared = {"excluded": options["excluded_labels"], "average": options["average"]}
    if options["kind"] == "multi_label":
        scores = scoring.score_multi_label(gold, predicted, setting.labels, **shared)
    else:
        shared["positive"] = options["positive_label"]
        one, other = ([x[0] for x in labels] for labels in (gold, predicted))
        scores = scoring.score(one, other, setting.labels, **shared)
    own = [(examples[i], predictions[i]) for i in taken]
    return scores | {"mistakes": mistakes(*zip(*own, strict=True))}


def _targets(examples: Sequence[TextExample], setting: Setting) -> tuple[np.ndarray, Any]:
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


def _logits(model: nnx.Module, inputs: Mapping[str, Array], seeds: Array | None = None) -> Array:
    return model(
        inputs["input_ids"],
        inputs["sequence_ids"],
        inputs.get("token_type_ids"),
        positions=inputs["positions"],
        seeds=seeds,
    )


def _unknown(name: str, known: Sequence[str]) -> str:
    near = nearest(name, known)
    hint = f"did you mean {near!r}? " if near else ""
    return f"{name!r} is not one of the labels: {hint}known: {', '.join(known)}"


TASK = Task(
    name="classification",
    unit="text",
    keys=(
        *("kind", "labels", "excluded_labels", "positive_label", "average", "class_weights"),
        *("markers", "pooling"),
    ),
    main_score=lambda options: "pearson" if options["kind"] == "regression" else "f1",
    read=read,
    labels=labels,
    encode=encode,
    build=build,
    losses=losses,
    outputs=outputs,
    decode=decode,
    has_labels=has_labels,
    score=score,
    report=report,
    write=write,
    files=(RESULTS, PREDICTIONS),
    card=card,
    fit_options=fit_options,
    sample=TextExample(
        "0",
        "@GENE$ @DRUG$",
        labels=("0",),
        value=1.0,
        spans=(Span(0, 6, "GENE"), Span(7, 13, "DRUG")),
    ),
    check=check,
)
