"""Named entity recognition: a label for every word, and the entities that the labels spell."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx
from jax import Array

from biobert_jax.checkpoints.labels import label_set, with_type
from biobert_jax.config import ModelConfig
from biobert_jax.errors import UserError
from biobert_jax.formats.faults import Fault, ignore
from biobert_jax.model.heads import BertForTokenClassification, WeightedSum
from biobert_jax.scoring import conlleval, entities
from biobert_jax.tasks.entities import (
    calibration_table,
    find_entities,
    fit_temperature,
    judged,
    precision_curve,
)
from biobert_jax.tasks.files.annotated import chosen_types
from biobert_jax.tasks.files.examples import Sentence
from biobert_jax.tasks.files.registry import read_examples
from biobert_jax.tasks.losses import class_losses
from biobert_jax.tasks.ner_results import (
    BIOBERT,
    LINES,
    PREDICTIONS,
    Tagged,
    card,
    mistakes,
    report,
    write,
)
from biobert_jax.tasks.rows import Encoded
from biobert_jax.tasks.task import Setting, Task
from biobert_jax.tasks.words import encode_words, pack_sentences


def read(path: Path, options: Mapping[str, Any], note: Fault = ignore) -> list[Sentence]:
    """The sentences of a file, with labels of `types`; those without one get `entity_type`."""
    type_, types = options["entity_type"], chosen_types(options["types"])
    return [
        dataclasses.replace(s, labels=tuple(with_type(label, type_) for label in s.labels))
        for s in read_examples(path, "ner", options["format"], note=note, types=types)
    ]


def labels(examples: Sequence[Sentence], options: Mapping[str, Any]) -> tuple[str, ...]:
    """All labels of the sentences, O first.

    Raises:
      UserError: every label is O.
    """
    found = label_set(sentence.labels for sentence in examples)
    if len(found) == 1:
        raise UserError("there is no entity to learn from: every label is O")
    return found


def check(examples: Mapping[str, Sequence[Sentence]], labels: Sequence[str]) -> list[str]:
    """Warns of labels that training never saw."""
    warnings = []
    for name, sentences in examples.items():
        if unseen := sorted(set(label_set(s.labels for s in sentences)) - set(labels)):
            warnings.append(
                f"warning: {name}: no training file has the labels {' '.join(unseen)}: what bears "
                "them can only be missed"
            )
    return warnings


def encode(examples: Sequence[Sentence], setting: Setting, seed: int | None = None) -> Encoded:
    """Sentences as packed rows, cut into windows where they are long."""
    tokenizer = setting.tokenizer
    words = encode_words(tokenizer, [sentence.words for sentence in examples])
    packed = pack_sentences(words, setting.max_seq_length, tokenizer.special, seed)
    targets = {}
    if all(sentence.labels for sentence in examples):
        ids = {label: index for index, label in enumerate(setting.labels)}
        found = [ids.get(label, -1) for sentence in examples for label in sentence.labels]
        targets["labels"] = packed.of_words(found)
    return Encoded(packed.rows, {}, targets, packed)


def build(config: ModelConfig, setting: Setting, rngs: nnx.Rngs) -> nnx.Module:
    """BERT with a label at every token."""
    return BertForTokenClassification(config, len(setting.labels), rngs=rngs)


def losses(
    model: nnx.Module, inputs: Mapping[str, Array], setting: Setting
) -> dict[str, WeightedSum]:
    """Cross-entropy over the words' first pieces."""
    logits = model(inputs["input_ids"], inputs["sequence_ids"], seeds=inputs["seeds"])
    return class_losses(logits, inputs["labels"])


def outputs(model: nnx.Module, inputs: Mapping[str, Array]) -> Array:
    """Logits [B, L, labels]."""
    return model(inputs["input_ids"], inputs["sequence_ids"])


def decode(
    outputs: np.ndarray | None, encoded: Encoded, examples: Sequence[Sentence], setting: Setting
) -> list[Tagged]:
    """The likeliest label of each word."""
    temperature = setting.options.get("temperature", 1.0)
    return [
        Tagged(
            [setting.labels[index] for index in logits.argmax(-1)],
            find_entities(logits, setting.labels, temperature),
        )
        for logits in encoded.index.by_sentence(outputs)
    ]


def calibrate(
    outputs: np.ndarray | None, encoded: Encoded, examples: Sequence[Sentence], setting: Setting
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The temperature of a held-out file, and how precise entities are from a probability on."""
    logits = encoded.index.by_sentence(outputs)
    gold = [sentence.labels for sentence in examples]
    temperature = fit_temperature(logits, gold, setting.labels)
    curve = precision_curve(*judged(logits, gold, setting.labels, temperature))
    return {"temperature": temperature, "precision_curve": curve}, {"temperature": temperature}


def score(
    examples: Sequence[Sentence], predictions: Sequence[Tagged], setting: Setting
) -> dict[str, Any]:
    """Entities as conlleval counts them; errors by kind and type, calibration, sure mistakes."""
    gold = [sentence.labels for sentence in examples]
    labels = [tagged.labels for tagged in predictions]
    sides = [
        [entities.spans_of(s.words, own) for s, own in zip(examples, side, strict=True)]
        for side in (gold, labels)
    ]
    found = [tagged.entities for tagged in predictions]
    temperature = setting.options.get("temperature", 1.0)
    return conlleval.score(gold, labels).to_dict() | {
        "errors": entities.error_kinds(*sides),
        "confusion": entities.type_confusion(*sides),
        "calibration": calibration_table(found, gold, temperature),
        "mistakes": mistakes(examples, predictions),
    }


TASK = Task(
    name="ner",
    unit="sentence",
    keys=("entity_type", "types"),
    main_score=lambda options: "f1",
    read=read,
    labels=labels,
    encode=encode,
    build=build,
    losses=losses,
    outputs=outputs,
    decode=decode,
    has_labels=lambda sentence: bool(sentence.labels),
    score=score,
    report=report,
    write=write,
    files=(PREDICTIONS, BIOBERT, LINES),
    card=card,
    calibrate=calibrate,
    sample=Sentence(("Aspirin",), ("O",)),
    check=check,
)
