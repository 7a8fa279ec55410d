"""What tagging leaves: predictions, their files, the surest mistakes, its part of a model card."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from biobert_jax.checkpoints.labels import UNTYPED, types_of
from biobert_jax.files import write_text_atomically
from biobert_jax.scoring import conlleval, entities
from biobert_jax.tasks.entities import Found
from biobert_jax.tasks.files.conll import write_predictions
from biobert_jax.tasks.files.examples import Sentence
from biobert_jax.tasks.task import Card, Setting

PREDICTIONS, BIOBERT, LINES = "predictions.conll", "NER_result_conll.txt", "predictions.jsonl"
_MISTAKES = 20


@dataclass(frozen=True)
class Tagged:
    """A sentence's predicted labels, and the entities that they spell."""

    labels: list[str]
    entities: list[Found]


def report(scores: Mapping[str, Any]) -> str:
    """As conlleval prints it."""
    return conlleval.report(conlleval.Scores.from_dict(scores))


def write(
    folder: Path, examples: Sequence[Sentence], predictions: Sequence[Tagged], setting: Setting
) -> None:
    """Writes word, label and predicted label, with our types and as BioBERT has them, and entities.

    Without labels it is the entities alone.
    """
    if all(sentence.labels for sentence in examples):
        labels = [tagged.labels for tagged in predictions]
        write_predictions(folder / PREDICTIONS, examples, labels)
        bare = [Sentence(s.words, _misc(s.labels)) for s in examples]
        write_predictions(folder / BIOBERT, bare, map(_misc, labels))
    lines = []
    for number, (sentence, tagged) in enumerate(zip(examples, predictions, strict=True)):
        text = " ".join(sentence.words)
        spans = entities.spans_of(sentence.words, tagged.labels)
        found = [
            {
                "start": s.start,
                "end": s.end,
                "type": s.type or UNTYPED,
                "text": text[s.start : s.end],
            }
            | {"score": round(entity.probability, 4)}
            for s, entity in zip(spans, tagged.entities, strict=True)
        ]
        line = {"id": str(number), "text": text, "entities": found}
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    write_text_atomically(folder / LINES, "".join(lines))


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


def _misc(labels: Sequence[str]) -> tuple[str, ...]:
    """Labels as BioBERT's own files have them: one type, called MISC."""
    return tuple(label if label == "O" else f"{label.partition('-')[0]}-MISC" for label in labels)


def mistakes(examples: Sequence[Sentence], predictions: Sequence[Tagged]) -> list[dict[str, Any]]:
    """The wrong entities that were most certain, as `scores.json` keeps them."""
    wrong = []
    for number, (sentence, tagged) in enumerate(zip(examples, predictions, strict=True)):
        gold = conlleval.chunks(sentence.labels)
        wrong += [(e, number, gold) for e in tagged.entities if e.chunk not in gold]
    wrong.sort(key=lambda item: -item[0].probability)
    found = []
    for entity, number, gold in wrong[:_MISTAKES]:
        words, chunk = examples[number].words, entity.chunk
        start = sum(len(word) + 1 for word in words[: chunk.start])
        near = [c for c in gold if c.start < chunk.end and chunk.start < c.end]
        found.append(
            {
                "id": str(number),
                "text": " ".join(words),
                "start": start,
                "end": start + len(" ".join(words[chunk.start : chunk.end])),
                "gold": [f"{' '.join(words[c.start : c.end])} ({c.type or UNTYPED})" for c in near],
                "predicted": chunk.type or UNTYPED,
                "probability": entity.probability,
            }
        )
    return found


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
