"""What classification leaves: predictions, their files, scores as text, a part of a model card."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from biobert_jax.files import write_text_atomically
from biobert_jax.tasks.files.examples import TextExample
from biobert_jax.tasks.task import Card, Setting

RESULTS, PREDICTIONS = "test_results.tsv", "predictions.jsonl"
_MISTAKES = 20


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What is said of an example: its labels with the probabilities of all, or its value."""

    labels: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()
    value: float | None = None


def mistakes(
    examples: Sequence[TextExample], predictions: Sequence[Prediction]
) -> list[dict[str, Any]]:
    """The wrong ones that were most certain, as `scores.json` keeps them."""
    pairs = zip(examples, predictions, strict=True)
    wrong = [(e, p) for e, p in pairs if set(e.labels) != set(p.labels)]
    wrong.sort(key=lambda pair: -max(pair[1].probabilities))
    return [_mistake(*pair) for pair in wrong[:_MISTAKES]]


def report(scores: Mapping[str, Any]) -> str:
    """A line a score, and the labels' table."""
    lines = [
        f"{name:<12} {value:.4f}" for name, value in scores.items() if isinstance(value, float)
    ]
    for label, own in scores.get("by_label", {}).items():
        shown = "  ".join(f"{name} {own[name]:.4f}" for name in ("precision", "recall", "f1"))
        lines.append(f"{label:>12}: {shown}  {own['num_gold']}")
    return "\n".join(lines) + "\n"


def write(
    folder: Path,
    examples: Sequence[TextExample],
    predictions: Sequence[Prediction],
    setting: Setting,
) -> None:
    """Writes `test_results.tsv`, as BioBERT's `run_re.py`, and `predictions.jsonl`."""
    rows = ["\t".join(f"{x:.7g}" for x in p.probabilities or (p.value,)) for p in predictions]
    write_text_atomically(folder / RESULTS, "".join(f"{row}\n" for row in rows))
    lines = []
    for example, prediction in zip(examples, predictions, strict=True):
        line: dict[str, Any] = {"id": example.id}
        if prediction.value is not None:
            line["value"] = round(prediction.value, 6)
        else:
            named = zip(setting.labels, prediction.probabilities, strict=True)
            line["probabilities"] = {label: round(value, 6) for label, value in named}
            line["labels"] = list(prediction.labels)
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    write_text_atomically(folder / PREDICTIONS, "".join(lines))


def card(scores: Mapping[str, Any], setting: Setting, num_examples: int, file: str) -> Card:
    """What a model card says of a classifier."""
    is_number = setting.options["kind"] == "regression"
    names = ", ".join(setting.labels)
    table = "\n".join(
        f"| {name} | {value:.4f} |" for name, value in scores.items() if isinstance(value, float)
    )
    found = f"On the {num_examples:,} texts of `{file}`:\n\n| score | |\n|---|---|\n{table}\n"
    return Card(
        title="Text regression" if is_number else f"Text classifier: {names}",
        does="gives texts a number" if is_number else f"classifies texts as {names}",
        scores=f"{found}\nExample by example in `{PREDICTIONS}`." if scores else "",
        use=_USE,
    )


_USE = """```
biobert evaluate --checkpoint THIS_FOLDER --data FILE
```

with a file in the form of its training data; without labels it predicts only."""


def _mistake(example: TextExample, prediction: Prediction) -> dict[str, Any]:
    return {
        "id": example.id,
        "text": f"{example.text} / {example.pair}" if example.pair else example.text,
        "gold": list(example.labels),
        "predicted": list(prediction.labels),
        "probability": max(prediction.probabilities),
    }
