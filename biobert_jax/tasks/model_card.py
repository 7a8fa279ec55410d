"""The `README.md` that a fine-tuned model travels with."""

import datetime
import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from biobert_jax import __version__
from biobert_jax.checkpoints.labels import UNTYPED, types_of
from biobert_jax.checkpoints.load import Checkpoint
from biobert_jax.config import NerConfig
from biobert_jax.scoring.conlleval import Scores

# BERT-tiny has 128, BERT-small 512: what is narrower than this was made to try things out.
_SMALLEST_USEFUL = 256


@dataclass(frozen=True)
class Training:
    """What a run trained on.

    Attributes:
      num_sentences, num_rows: of the training files, and the packed rows they fill.
      num_steps: updates.
      labels: in the order of the classifier's outputs.
    """

    num_sentences: int
    num_rows: int
    num_steps: int
    labels: tuple[str, ...]


def ner_model_card(
    config: NerConfig,
    checkpoint: Checkpoint,
    training: Training,
    scores: Scores,
    num_sentences: int,
    changes: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Markdown: what the model is, what it was made from, how good it is, how to use it.

    Args:
      checkpoint: what it was made from.
      scores, num_sentences: of the test file.
      changes: what was changed where the run went on, as `workdir.changes_of` tells.
    """
    types = [
        f"| {name or UNTYPED} | {s.precision:.4f} | {s.recall:.4f} | {s.f1:.4f} | {s.num_gold:,} |"
        for name, s in sorted(scores.by_type.items())
    ]
    everything = (
        f"| all (micro) | {scores.precision:.4f} | {scores.recall:.4f} | {scores.f1:.4f} | "
        f"{scores.num_gold:,} |"
    )
    rows = "\n".join([everything, *(types if len(types) > 1 else [])])
    model = checkpoint.model
    finds = ", ".join(sorted(name or UNTYPED for name in types_of([training.labels])))
    step = f", step {checkpoint.step:,}" if checkpoint.step else ""
    return f"""# Entity tagger: {finds}

A BERT ({model.num_hidden_layers} layers of {model.hidden_size}, vocabulary of \
{model.vocab_size:,}) that finds entities in biomedical text, by a label for each word: \
{" ".join(training.labels)}.
{_warning(model.hidden_size)}
- Made from: `{_short(config.init)}` ({checkpoint.kind}{step})
- Trained on: {", ".join(f"`{name}`" for name in config.data.train)} of \
`{_short(config.data.dir)}`, {training.num_sentences:,} sentences
- {_length(config, training, changes)}
- Seed {config.seed}, {config.data.batch_size} packed rows of {config.data.max_seq_length} a step, \
{config.optimizer.name}, learning rate {config.optimizer.learning_rate:g}; everything else is in \
`config.json`
- Made with {_versions()}, on {jax.device_count()} {jax.devices()[0].device_kind}, \
{datetime.date.today():%Y-%m-%d}

## Scores

Entities matched exactly, as conlleval counts, on the {num_sentences:,} sentences of \
`{config.data.test}`:

| type | precision | recall | F1 | entities |
|---|---|---|---|---|
{rows}

Word by word in `predictions.conll` (word, label, predicted label). One run of one seed: seeds \
differ by a point or more on small test sets.

## Use

```
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
rely on it. It is not a medical device.
"""


def _warning(hidden_size: int) -> str:
    if hidden_size >= _SMALLEST_USEFUL:
        return ""
    return (
        "\n**A toy.** A model this small shows how the parts work together, and nothing else: do "
        "not rely on what it finds.\n"
    )


def _length(config: NerConfig, training: Training, changes: Sequence[Mapping[str, Any]]) -> str:
    epochs = training.num_steps * config.data.batch_size / training.num_rows
    parts = [f"{training.num_steps:,} steps, {epochs:.3g} epochs"]
    for change in changes:
        keys = [f"`{key}` from {v['was']} to {v['is']}" for key, v in change["changed"].items()]
        parts.append(f"changed at step {change['step']}: {', '.join(keys)}")
    return "; ".join(parts)


def _short(path: str) -> str:
    """The path as it was given, or the end of an absolute one, which means nothing elsewhere."""
    parts = Path(path).parts
    return str(Path(*parts[-2:])) if Path(path).is_absolute() and len(parts) > 2 else path


def _versions() -> str:
    others = (f"{name} {importlib.metadata.version(name)}" for name in ("jax", "flax"))
    return ", ".join((f"biobert_jax {__version__}", *others))
