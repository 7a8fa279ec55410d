"""Opens a checkpoint of any format, and fits its parameters to a model."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from biobert_jax import storage
from biobert_jax.checkpoints import huggingface, huggingface_files, manifest, orbax, tf1
from biobert_jax.checkpoints.labels import check_labels, with_type
from biobert_jax.checkpoints.remote import local_checkpoint
from biobert_jax.checkpoints.table import check_shapes
from biobert_jax.checkpoints.tree import flatten, unflatten
from biobert_jax.config import COMPUTE_FIELDS, FUNCTION_FIELDS, ModelConfig
from biobert_jax.corpus.text.tokenization import Tokenizer, load_tokenizer
from biobert_jax.errors import UserError
from biobert_jax.json_fields import read_optional_object
from biobert_jax.scoring.conlleval import is_label


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint in memory.

    Attributes:
      path: where it was found (the step's folder, for a workdir).
      format: "orbax", "hf" or "tf1".
      kind: "pretraining", "encoder" (a bare encoder), or the name of its head's task.
      model: computed as by default: a kernel that training chose for its devices may not run here.
      params: nested dict of float32 NumPy arrays, paths as in the models.
      tokenizer: of its vocabulary, which has at most `model.vocab_size` tokens.
      labels: what a task's outputs stand for, in their order; a tagger's each with its type.
      options: what else the task's functions need to know.
      unexpected: parameters that were there and that no model of ours has.
    """

    path: Path
    format: str
    kind: str
    step: int
    model: ModelConfig
    params: dict[str, Any]
    tokenizer: Tokenizer
    labels: tuple[str, ...] = ()
    max_seq_length: int = 512
    unexpected: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def vocab(self) -> Path:
        """The vocabulary's file."""
        return self.tokenizer.path


def find_checkpoint(path: str | os.PathLike) -> tuple[Path, str]:
    """The folder that `path` stands for, and its format: a workdir stands for its best, where
    its run has chosen one, or its newest.

    Raises:
      UserError: there is no checkpoint.
    """
    given, path = os.fspath(path), Path(path)
    if not path.exists():
        if (prefix := tf1.find(path)) is not None:
            return prefix, "tf1"
        raise UserError(_absent(given))
    if path.is_file():
        if path.suffix == ".index" and (prefix := tf1.find(path)) is not None:
            return prefix, "tf1"
        raise UserError(f"{path}: this is a file: give the folder of the checkpoint")
    if manifest.is_checkpoint(path):
        return path, "orbax"
    if (chosen := manifest.chosen_checkpoint(path)) is not None:
        return chosen, "orbax"
    if huggingface_files.is_folder(path):
        return path, "hf"
    if (prefix := tf1.find(path)) is not None:
        return prefix, "tf1"
    raise UserError(f"{path}: no finished checkpoint here: {_what_is_there(path)}")


def _absent(given: str) -> str:
    """What to say of a path where nothing is."""
    parts = given.split("/")
    if len(parts) == 2 and all(parts) and not Path(parts[0]).exists():
        return (
            f"{given}: no such folder here. If it is a model of the Hugging Face Hub, save it to a "
            f"folder first (hf download {given} --local-dir {parts[1]}) and give that"
        )
    return f"{given}: no such checkpoint"


def _what_is_there(path: Path) -> str:
    """Why a folder is no checkpoint, as far as its files show."""
    names = {entry.name for entry in path.iterdir()}
    if any(".ckpt" in name for name in names):
        return "files of a TF1 checkpoint, but no .index: copy all of them"
    if path.name == manifest.FOLDER and manifest.checkpoints_of(path.parent):
        return f"give {path.parent}, for its best or newest one, or one of the folders in here"
    if "config.json" in names and "train" in (read_optional_object(path / "config.json") or {}):
        return "the run in this workdir has saved none yet"
    foreign = [n for n in ("tf_model.h5", "flax_model.msgpack", "model.onnx") if n in names]
    known = [n for n in (*huggingface_files.CONFIGS, *huggingface_files.WEIGHTS) if n in names]
    if foreign:
        return f"{foreign[0]} is not read: save it as model.safetensors with transformers"
    if known:
        missing = "weights (model.safetensors)" if "config" in known[0] else "config.json"
        return f"{', '.join(known)}, but no {missing}: copy the whole folder"
    return (
        "give a workdir, one of its checkpoints/STEP folders, or a Hugging Face folder "
        "(config.json, model.safetensors, vocab.txt or tokenizer.json), or a TF1 checkpoint "
        "(bert_model.ckpt.index, .data-00000-of-00001, bert_config.json, vocab.txt)"
    )


def load_checkpoint(
    path: str | os.PathLike, *, task: str = "", labels: Sequence[str] = ()
) -> Checkpoint:
    """Reads a checkpoint's parameters and description, and compares them with each other.

    A workdir whose newest checkpoint is damaged is an error here; only resuming a run falls
    back to an older one.

    Args:
      task, labels: of the classifier of a TF1 checkpoint, which does not say them: "ner" or
        "classification", and what its outputs stand for, in their order.

    Raises:
      UserError: there is none, or it is damaged; its files contradict each other: tables of
        other sizes than its config says, more tokens than rows.
    """
    if storage.is_remote(path):
        with local_checkpoint(path) as local:
            return load_checkpoint(local, task=task, labels=labels)
    path, form = find_checkpoint(path)
    if form == "tf1":
        loaded = _load_tf1(path, task, labels)
    else:
        loaded = _load_huggingface(path) if form == "hf" else _load_orbax(path)
    outputs = len(loaded.labels)
    if not outputs and "classifier" in loaded.params:  # labels are asked for by `check_tagger`
        outputs = np.shape(loaded.params["classifier"]["bias"])[0]
    problems = check_shapes(
        loaded.params,
        loaded.model,
        outputs,
        theirs=form == "hf",
        by_markers=loaded.options.get("pooling") == "markers",
    )
    if problems:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise UserError(f"{path}: {problems[0]}{more}: its files do not belong together")
    if loaded.tokenizer.vocab_size > loaded.model.vocab_size:
        raise UserError(
            f"{path}: {loaded.vocab.name} has {loaded.tokenizer.vocab_size:,} tokens, the word "
            f"embeddings have {loaded.model.vocab_size:,} rows: the vocabulary is not this model's"
        )
    if loaded.max_seq_length > loaded.model.max_position_embeddings:
        raise UserError(
            f"{path}: rows of {loaded.max_seq_length}, but {loaded.model.max_position_embeddings} "
            "position embeddings: its files do not belong together"
        )
    return loaded


def _load_huggingface(path: Path) -> Checkpoint:
    folder = huggingface.read(path)
    is_tagger = folder.kind == "ner"
    return Checkpoint(
        path,
        "hf",
        folder.kind,
        0,
        folder.model,
        folder.params,
        folder.tokenizer,
        tuple(map(with_type, folder.labels)) if is_tagger else folder.labels,
        folder.max_seq_length,
        folder.unexpected,
        folder.options,
    )


def _load_tf1(path: Path, task: str, labels: Sequence[str]) -> Checkpoint:
    read = tf1.read(path)
    unexpected = list(read.unexpected)
    params = dict(read.params)
    kind = "qa" if read.head == "qa_outputs" else "pretraining" if "mlm" in params else "encoder"
    if task and read.head != "classifier":
        raise UserError(f"{path}: there is no classifier (output_weights) to be of --task {task}")
    if task:
        kind, outputs = task, len(params["classifier"]["bias"])
        if outputs != len(labels):
            raise UserError(f"{path}: {outputs} outputs, but {len(labels)} labels are given")
        # BioBERT's taggers have outputs for [PAD], X, [CLS] and [SEP], which no word has.
        kept = [i for i, label in enumerate(labels) if task != "ner" or is_label(label)]
        unexpected += [f"output {label!r}" for i, label in enumerate(labels) if i not in kept]
        head = params["classifier"].items()
        params["classifier"] = {name: array[..., kept] for name, array in head}
        labels = tuple(with_type(labels[i]) if task == "ner" else labels[i] for i in kept)
    elif read.head == "classifier":
        # Nothing there says what its outputs mean, nor whether it labels words or texts.
        unexpected.append(
            "output_weights (a classifier whose labels TF1 does not name: `biobert convert --task "
            "… --labels …` keeps it)"
        )
        del params["classifier"]
    if read.num_slots:
        unexpected.append(f"{read.num_slots} variables of the optimizer")
    return Checkpoint(
        path,
        "tf1",
        kind,
        0,
        read.model,
        params,
        read.tokenizer,
        tuple(labels) if task else (),
        read.max_seq_length,
        tuple(unexpected),
        {"kind": "single"} if task == "classification" else {},
    )


def _load_orbax(path: Path) -> Checkpoint:
    metadata = manifest.read_metadata(path)
    defaults = ModelConfig()
    computed = {name: getattr(defaults, name) for name in COMPUTE_FIELDS}
    return Checkpoint(
        path,
        "orbax",
        metadata.kind,
        metadata.step,
        replace(metadata.model, **computed),
        orbax.restore_params(path),
        load_tokenizer(path / metadata.vocab),
        tuple(map(with_type, metadata.labels)) if metadata.kind == "ner" else metadata.labels,
        metadata.max_seq_length,
        options=metadata.options,
    )


def check_task(checkpoint: Checkpoint, task: str) -> None:
    """Refuses a checkpoint that is not of a task, or that does not say what its outputs mean.

    Raises:
      UserError: it is of none, or of another task; a tagger's labels are none.
    """
    if checkpoint.kind != task:
        article = "an" if checkpoint.kind[0] in "aeiou" else "a"
        does = {"ner": "tag text"}.get(task, f"be used for {task}")
        raise UserError(
            f"{checkpoint.path}: {article} {checkpoint.kind} checkpoint cannot {does}: fine-tune "
            "it first with `biobert finetune`"
        )
    if task == "ner":
        check_labels_of(checkpoint)


def check_labels_of(checkpoint: Checkpoint) -> None:
    """Refuses a tagger whose labels are none."""
    file = "config.json: id2label" if checkpoint.format == "hf" else f"{manifest.NAME}: labels"
    check_labels(checkpoint.labels, f"{checkpoint.path / file}")


def with_labels(checkpoint: Checkpoint, labels: Sequence[str]) -> tuple[Checkpoint, list[str]]:
    """The checkpoint with a classifier of `labels`, in their order; without one of others.

    Equal numbers mean nothing: a head is taken over by its labels. For a checkpoint of the same
    task, or of none; see `with_head`.

    Returns:
      The checkpoint, and what a user should be told.
    """
    if "classifier" not in checkpoint.params:
        return checkpoint, []
    params = dict(checkpoint.params)
    old = params.pop("classifier")
    if len(labels) == len(checkpoint.labels) and set(labels) == set(checkpoint.labels):
        order = [checkpoint.labels.index(label) for label in labels]
        params["classifier"] = {name: array[..., order] for name, array in old.items()}
        return replace(checkpoint, params=params, labels=tuple(labels)), []
    note = (
        f"its labels are {_some(checkpoint.labels) or 'not known'}, those of the data "
        f"{_some(labels)}: the classifier starts anew"
    )
    return replace(checkpoint, params=params, labels=()), [note]


def with_head(
    checkpoint: Checkpoint,
    task: str,
    labels: Sequence[str],
    options: Mapping[str, Any],
    *,
    reinitialize: bool = False,
) -> tuple[Checkpoint, list[str]]:
    """The checkpoint as the start of a run of `task`: with its head where that is of the same.

    Args:
      reinitialize: whether another task's head may be left out.

    Returns:
      The checkpoint, and what a user should be told.

    Raises:
      UserError: it is of another task.
    """
    if checkpoint.kind in (manifest.PRETRAINING, manifest.ENCODER):
        return checkpoint, []
    notes = []
    own, wanted = (x.get("pooling", "cls") for x in (checkpoint.options, options))
    if checkpoint.kind != task:
        if not reinitialize:
            raise UserError(
                f"{checkpoint.path}: a checkpoint for {checkpoint.kind}, but the task is {task}: "
                "--config.reinitialize_head=true takes its encoder with a new head"
            )
        notes.append(f"a checkpoint for {checkpoint.kind}: its head is left out")
    elif own != wanted:
        notes.append(f"its classifier takes {own}, the config says {wanted}: it starts anew")
    if notes:
        params = {
            k: v for k, v in checkpoint.params.items() if k not in ("classifier", "qa_outputs")
        }
        return replace(checkpoint, params=params, labels=()), notes
    return with_labels(checkpoint, labels)


def _some(labels: Sequence[str], most: int = 7) -> str:
    more = f" … ({len(labels)})" if len(labels) > most else ""
    return " ".join(labels[:most]) + more


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
