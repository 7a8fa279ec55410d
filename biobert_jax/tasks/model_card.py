"""The `README.md` that a fine-tuned model travels with."""

import datetime
import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from biobert_jax import __version__
from biobert_jax.checkpoints.load import Checkpoint
from biobert_jax.config_finetuning import FinetuneConfig
from biobert_jax.tasks.task import Card
from biobert_jax.units import plural

# BERT-tiny has 128, BERT-small 512: what is narrower than this was made to try things out.
_SMALLEST_USEFUL = 256


@dataclass(frozen=True)
class Training:
    """What a run trained on.

    Attributes:
      num_examples, unit: of the training files: 6,347 of "sentence".
      num_rows: packed rows that they fill.
      num_steps: updates.
    """

    num_examples: int
    unit: str
    num_rows: int
    num_steps: int


def model_card(
    config: FinetuneConfig,
    checkpoint: Checkpoint,
    training: Training,
    card: Card,
    changes: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Markdown: what the model is, what it was made from, how good it is, how to use it.

    Args:
      checkpoint: what it was made from.
      card: what its task says of it.
      changes: what was changed where the run went on, as `workdir.changes_of` tells.
    """
    model = checkpoint.model
    step = f", step {checkpoint.step:,}" if checkpoint.step else ""
    return f"""# {card.title}

A BERT ({model.num_hidden_layers} layers of {model.hidden_size}, vocabulary of \
{model.vocab_size:,}) that {card.does}.
{_warning(model.hidden_size)}
- Made from: `{_short(config.init)}` ({checkpoint.kind}{step})
- Trained on: {", ".join(f"`{name}`" for name in config.data.train)} of \
`{_short(config.data.dir)}`, {plural(training.num_examples, training.unit)}
- {_length(config, training, changes)}
- Seed {config.seed}, {config.data.batch_size} packed rows of {config.data.max_seq_length} a step, \
{config.optimizer.name}, learning rate {config.optimizer.learning_rate:g}; everything else is in \
`config.json`
- Made with {_versions()}, on {jax.device_count()} {jax.devices()[0].device_kind}, \
{datetime.date.today():%Y-%m-%d}

## Scores

{card.scores or "Not scored: no test file with labels was given."} One run of one seed: seeds \
differ by a point or more on small test sets.

## Use

{card.use}
"""


def _warning(hidden_size: int) -> str:
    if hidden_size >= _SMALLEST_USEFUL:
        return ""
    return (
        "\n**A toy.** A model this small shows how the parts work together, and nothing else: do "
        "not rely on what it finds.\n"
    )


def _length(
    config: FinetuneConfig, training: Training, changes: Sequence[Mapping[str, Any]]
) -> str:
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
