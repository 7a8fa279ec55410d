"""What a finished run leaves in its workdir."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from biobert_jax.checkpoints.load import Checkpoint
from biobert_jax.config_finetuning import FinetuneConfig
from biobert_jax.config_parsing import to_json
from biobert_jax.errors import UserError
from biobert_jax.files import try_to_write, write_text_atomically
from biobert_jax.tasks.model_card import Training, model_card
from biobert_jax.tasks.task import Setting, Task
from biobert_jax.training.claim import changes_of

# Beside the task's predictions.
SCORES, MODEL_CARD = "scores.json", "README.md"


def write_results(
    workdir: Path,
    task: Task,
    config: FinetuneConfig,
    checkpoint: Checkpoint,
    training: Training,
    test: Sequence[Any],
    predictions: Sequence[Any],
    setting: Setting,
    content: dict[str, Any],
) -> None:
    """Writes the task's predictions, `scores.json` and the model card `README.md`."""
    if test:
        task.write(workdir, test, predictions, setting)
    write_text_atomically(workdir / SCORES, json.dumps(content, indent=2) + "\n")
    card = task.card(content.get("test", {}), setting, len(test), config.data.test)
    text = model_card(config, checkpoint, training, card, changes_of(workdir))
    write_text_atomically(workdir / MODEL_CARD, text)


def scores_of(
    task: Task, config: FinetuneConfig, test: Sequence, predictions: Sequence, setting: Setting
) -> dict[str, Any]:
    """The content of `scores.json`; without "test" where the test file has no labels."""
    name = task.main_score(setting.options)
    content: dict[str, Any] = {"task": task.name, "main_score": name}
    content["config_sha256"] = config_sha256(config)
    if test and all(map(task.has_labels, test)):
        content["test"] = task.score(test, predictions, setting)
    return content | {"file": config.data.test, "examples": len(test), "unit": task.unit}


def check_results(workdir: Path, task: Task) -> None:
    """Refuses, before the training, a folder that would not take its results."""
    for name in (*task.files, SCORES, MODEL_CARD):
        try:
            try_to_write(workdir / name)
        except OSError as error:
            raise UserError(
                f"{workdir / name}: cannot be written ({error.strerror}): mend that, or choose "
                "another --workdir"
            ) from error


def config_sha256(config: FinetuneConfig) -> str:
    """Of a resolved config: that which scores are of, whatever `config.json` says by now."""
    return hashlib.sha256(to_json(config).encode()).hexdigest()
