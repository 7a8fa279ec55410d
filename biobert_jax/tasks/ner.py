"""Named entity recognition: a label for every word, and the entities that the labels spell."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx
from jax import Array

from biobert_jax.checkpoints.labels import UNTYPED, label_set, types_of, with_type
from biobert_jax.config import ModelConfig
from biobert_jax.errors import UserError
from biobert_jax.model.heads import BertForTokenClassification, WeightedSum
from biobert_jax.scoring import conlleval
from biobert_jax.tasks.files.conll import read_sentences, write_predictions
from biobert_jax.tasks.files.examples import Sentence
from biobert_jax.tasks.losses import class_losses
from biobert_jax.tasks.rows import Encoded
from biobert_jax.tasks.task import Card, Setting, Task
from biobert_jax.tasks.words import encode_words, pack_sentences

PREDICTIONS = "predictions.conll"
# A sentence's predicted labels.
Labels = list[str]


def read(path: Path, options: Mapping[str, Any]) -> list[Sentence]:
    """The sentences of a file; labels without a type get that of `entity_type`."""
    type_ = options["entity_type"]
    return [
        Sentence(s.words, tuple(with_type(label, type_) for label in s.labels))
        for s in read_sentences(path)
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
) -> list[Labels]:
    """The likeliest label of each word."""
    best = [found.argmax(-1) for found in encoded.index.by_sentence(outputs)]
    return [[setting.labels[index] for index in sentence] for sentence in best]


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Of every label, from logits [..., labels]: float32."""
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def score(
    examples: Sequence[Sentence], predictions: Sequence[Labels], setting: Setting
) -> dict[str, Any]:
    """Entities as conlleval counts them."""
    return conlleval.score([sentence.labels for sentence in examples], predictions).to_dict()


def report(scores: Mapping[str, Any]) -> str:
    """As conlleval prints it."""
    return conlleval.report(conlleval.Scores.from_dict(scores))


def write(
    folder: Path, examples: Sequence[Sentence], predictions: Sequence[Labels], setting: Setting
) -> None:
    """Writes `predictions.conll`: word, label, predicted label."""
    write_predictions(folder / PREDICTIONS, examples, predictions)


def card(scores: Mapping[str, Any], setting: Setting, num_examples: int, file: str) -> Card:
    """What a model card says of a tagger."""
    finds = ", ".join(sorted(name or UNTYPED for name in types_of([setting.labels])))
    by_type = scores.get("by_type", {})
    lines = {"all (micro)": scores, **(by_type if len(by_type) > 1 else {})} if scores else {}
    table = "\n".join(
        f"| {name or UNTYPED} | {s['precision']:.4f} | {s['recall']:.4f} | {s['f1']:.4f} | "
        f"{s['num_gold']:,} |"
        for name, s in lines.items()
    )
    return Card(
        title=f"Entity tagger: {finds}",
        does="finds entities in biomedical text, by a label for each word: "
        f"{' '.join(setting.labels)}",
        scores=f"""Entities matched exactly, as conlleval counts, on the {num_examples:,} \
sentences of `{file}`:

| type | precision | recall | F1 | entities |
|---|---|---|---|---|
{table}

Word by word in `{PREDICTIONS}` (word, label, predicted label).""",
        use=_USE,
    )


_USE = """```
biobert predict --checkpoint THIS_FOLDER --input notes.txt --output tagged.jsonl
```

```python
from biobert_jax.predict.tagger import EntityTagger

documents = list(EntityTagger("THIS_FOLDER").tag(["Aspirin may worsen gastric ulcers."]))
```

For other programs it is converted first: `biobert convert --from THIS_FOLDER --to hf_folder \
--format hf`. Then `transformers.pipeline("token-classification", "hf_folder", \
aggregation_strategy="first")` loads it.

It finds what its training data annotates, in text like theirs; check it on your own before you \
rely on it. It is not a medical device."""


TASK = Task(
    name="ner",
    unit="sentence",
    keys=("entity_type",),
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
    files=(PREDICTIONS,),
    card=card,
    check=check,
)
