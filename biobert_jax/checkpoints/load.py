"""Opens a checkpoint of any format, and fits its parameters to a model."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from biobert_jax.checkpoints import huggingface, orbax
from biobert_jax.checkpoints.tree import flatten, unflatten
from biobert_jax.config import COMPUTE_FIELDS, FUNCTION_FIELDS, ModelConfig
from biobert_jax.errors import UserError


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory.

    Attributes:
      path: where it was found (the step's folder, for a workdir).
      format: "orbax" or "hf".
      kind: "pretraining", "ner" or "encoder" (a bare encoder).
      model: computed as by default: a kernel that training chose for its devices may not run here.
      params: nested dict of float32 NumPy arrays, paths as in the models.
      vocab: the vocabulary file.
      unexpected: parameters that were there and that no model of ours has.
    """

    path: Path
    format: str
    kind: str
    step: int
    model: ModelConfig
    params: dict[str, Any]
    vocab: Path
    labels: tuple[str, ...] = ()
    max_seq_length: int = 512
    unexpected: tuple[str, ...] = ()


def find_checkpoint(path: str | os.PathLike) -> tuple[Path, str]:
    """The folder that `path` stands for, and its format: a workdir stands for its newest.

    Raises:
      UserError: there is no checkpoint.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: no such checkpoint")
    if orbax.is_checkpoint(path):
        return path, "orbax"
    saved = orbax.checkpoints_of(path)
    if saved:
        return saved[0], "orbax"
    weights = any((path / n).is_file() for n in ("model.safetensors", "pytorch_model.bin"))
    if (path / "config.json").is_file() and weights:
        return path, "hf"
    if any(path.glob("*.ckpt.index")) or Path(f"{path}.index").is_file():
        raise UserError(f"{path}: TF1 checkpoints are not read in this version")
    raise UserError(
        f"{path}: no finished checkpoint here: give a workdir, one of its checkpoints/STEP "
        "folders, or a Hugging Face folder"
    )


def load_checkpoint(path: str | os.PathLike) -> Checkpoint:
    """Reads a checkpoint's parameters and description.

    A workdir whose newest checkpoint is damaged is an error here; only resuming a run falls
    back to an older one.

    Raises:
      UserError: there is none, or it is damaged.
    """
    path, form = find_checkpoint(path)
    if form == "hf":
        folder = huggingface.read(path)
        kind = "pretraining" if "mlm" in folder.params else "encoder"
        return Checkpoint(
            path,
            "hf",
            "ner" if folder.labels else kind,
            0,
            folder.model,
            folder.params,
            folder.vocab,
            folder.labels,
            folder.max_seq_length,
            folder.unexpected,
        )
    metadata = orbax.read_metadata(path)
    defaults = ModelConfig()
    computed = {name: getattr(defaults, name) for name in COMPUTE_FIELDS}
    return Checkpoint(
        path,
        "orbax",
        metadata.kind,
        metadata.step,
        replace(metadata.model, **computed),
        orbax.restore_params(path),
        path / metadata.vocab,
        metadata.labels,
        metadata.max_seq_length,
    )


def check_same_model(checkpoint: Checkpoint, model: ModelConfig) -> None:
    """Refuses a checkpoint of another size or function than `model`, naming both."""
    different = [
        f"{name} {getattr(checkpoint.model, name)}, the config says {getattr(model, name)}"
        for name in FUNCTION_FIELDS
        if getattr(checkpoint.model, name) != getattr(model, name)
    ]
    if different:
        raise UserError(
            f"{checkpoint.path}: the checkpoint is of another model: {'; '.join(different)}"
        )


def fit_params(checkpoint: Checkpoint, fresh: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The checkpoint's parameters in the tree of `fresh`; heads it has not stay as in `fresh`.

    Returns:
      The parameters, and what a user should be told: heads that start anew, parameters of the
      checkpoint that were not used.

    Raises:
      UserError: shapes differ (all are named), or part of the encoder is missing.
    """
    have, want = flatten(checkpoint.params), flatten(fresh)
    shapes = [
        f"{path} is {np.shape(have[path])}, the model's is {np.shape(want[path])}"
        for path in want
        if path in have and np.shape(have[path]) != np.shape(want[path])
    ]
    if shapes:
        raise UserError(f"{checkpoint.path}: {'; '.join(shapes)}")
    missing = [path for path in want if path not in have]
    encoder = [path for path in missing if path.startswith("bert/")]
    if encoder:
        raise UserError(f"{checkpoint.path}: the encoder lacks {', '.join(encoder)}")
    notes = []
    if missing:
        heads = sorted({path.split("/")[0] for path in missing})
        notes.append(f"not in the checkpoint, initialised anew: {', '.join(heads)}")
    unused = sorted({path.split("/")[0] for path in have if path not in want})
    unused += checkpoint.unexpected
    if unused:
        notes.append(f"in the checkpoint, not used: {', '.join(unused)}")
    return unflatten({path: have.get(path, want[path]) for path in want}), notes
