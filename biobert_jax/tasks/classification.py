"""Classes of texts and pairs of texts: relations, yes/no answers, topics; or a number each."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx
from jax import Array

from biobert_jax.config import ModelConfig
from biobert_jax.formats.faults import Fault, ignore
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
from biobert_jax.tasks.class_targets import check_kind, fit_options, labels_of, targets_of
from biobert_jax.tasks.files.examples import Span, TextExample
from biobert_jax.tasks.files.registry import read_examples
from biobert_jax.tasks.losses import class_losses, multi_label_losses, squared_losses
from biobert_jax.tasks.rows import Encoded
from biobert_jax.tasks.task import Setting, Task
from biobert_jax.tasks.texts import pack_texts


def read(path: Path, options: Mapping[str, Any], note: Fault = ignore) -> list[TextExample]:
    """The examples of a file.

    Raises:
      UserError: as the format's reader; or an example's label is not of `kind`.
    """
    examples = read_examples(path, "classification", options["format"], note=note)
    return [check_kind(example, options["kind"]) for example in examples]


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


def encode(examples: Sequence[TextExample], setting: Setting, seed: int | None = None) -> Encoded:
    """A sequence an example, [CLS] text [SEP] or [CLS] text [SEP] second text [SEP]."""
    rows, inputs, notes = pack_texts(examples, setting, seed)
    targets = {}
    if examples and all(map(has_labels, examples)):
        targets["targets"] = rows.of_sequences(*targets_of(examples, setting))
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


def _logits(model: nnx.Module, inputs: Mapping[str, Array], seeds: Array | None = None) -> Array:
    return model(
        inputs["input_ids"],
        inputs["sequence_ids"],
        inputs.get("token_type_ids"),
        positions=inputs["positions"],
        seeds=seeds,
    )


TASK = Task(
    name="classification",
    unit="text",
    keys=(
        *("kind", "labels", "excluded_labels", "positive_label", "average", "class_weights"),
        *("markers", "pooling"),
    ),
    main_score=lambda options: "pearson" if options["kind"] == "regression" else "f1",
    read=read,
    labels=labels_of,
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
