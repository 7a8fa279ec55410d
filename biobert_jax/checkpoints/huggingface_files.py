"""What the files of a Hugging Face BERT folder say: its config and labels, and its weights.

Weights are `model.safetensors`, in one piece or as shards with an index, or `pytorch_model.bin`
where PyTorch is installed.
"""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from biobert_jax.config import ModelConfig
from biobert_jax.errors import UserError
from biobert_jax.json_fields import FILE_NAME, read_optional_object

# The second name is that of google's releases and of old PyTorch ones.
CONFIGS = ("config.json", "bert_config.json")
SAFETENSORS, PICKLED = "model.safetensors", "pytorch_model.bin"
WEIGHTS = (SAFETENSORS, f"{SAFETENSORS}.index.json", PICKLED, f"{PICKLED}.index.json")
ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
}
SHARED_FIELDS = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "max_position_embeddings",
    "type_vocab_size",
    "layer_norm_eps",
    "initializer_range",
)


class FolderConfig(NamedTuple):
    """A folder's config.

    `labels` are those of `id2label`, in the order of the outputs; `head` is the class that the
    weights are of, such as BertForTokenClassification, "" where nothing says it; `tied`: the
    output layer of the masked LM is the word embeddings; `problem` is its `problem_type`, and
    `options` what we have put there.
    """

    path: Path
    model: ModelConfig
    labels: tuple[str, ...]
    head: str
    tied: bool
    problem: str = ""
    options: Mapping[str, Any] = {}


def is_folder(path: Path) -> bool:
    """Whether a folder has a config and weights, as transformers or older programs name them."""
    return _first(path, CONFIGS) is not None and _first(path, WEIGHTS) is not None


def read_config(folder: Path, names: tuple[str, ...] = CONFIGS) -> FolderConfig:
    """Reads a folder's config, the first of `names` that is there.

    Raises:
      UserError: no config; not a BERT that we can compute; values of other types, or labels that
        contradict each other. The file and the key are named.
    """
    path = _first(folder, names) or folder / names[0]
    values = read_optional_object(path)
    if values is None:
        raise UserError(f"{path}: no such file")
    for name, only in (("model_type", "bert"), ("position_embedding_type", "absolute")):
        if values.get(name, only) not in (only, None):
            raise UserError(f"{path}: {name} is {values[name]!r}: only {only!r} is supported")
    activation = values.get("hidden_act", "gelu")
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        raise UserError(f"{path}: hidden_act {activation!r}: known: {', '.join(ACTIVATIONS)}")
    missing = [name for name in ("vocab_size", "hidden_size") if name not in values]
    if missing:
        raise UserError(f"{path}: no {' and no '.join(missing)}: is this a BERT folder?")
    if values.get("is_decoder") or values.get("add_cross_attention"):
        raise UserError(f"{path}: is_decoder: a decoder is not supported, BERT is an encoder")
    numbers = {n: _number(path, n, values[n]) for n in SHARED_FIELDS if n in values}
    try:
        model = ModelConfig(hidden_act=ACTIVATIONS[activation], **numbers)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    classes = values.get("architectures") or []
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise UserError(f"{path}: architectures is {classes!r}: a list of names was expected")
    tied = values.get("tie_word_embeddings", True)
    labels = _labels(path, values)
    options = values.get("biobert_jax_options") or {}
    if not isinstance(options, dict):
        raise UserError(f"{path}: biobert_jax_options is {options!r}: an object was expected")
    return FolderConfig(
        path,
        model,
        labels,
        classes[0] if classes else "",
        tied is not False,
        str(values.get("problem_type") or ""),
        options,
    )


def read_weights(folder: Path) -> dict[str, np.ndarray]:
    """A folder's arrays by their names, as float32.

    Raises:
      UserError: none that can be read; a shard or an array that is missing; damaged files; numbers
        that are not floating point ones (a quantised model).
    """
    path = folder / SAFETENSORS
    pickled = folder / PICKLED
    if path.is_file():
        arrays = _read_safetensors(path)
    elif path.with_name(f"{path.name}.index.json").is_file():
        arrays = _read_shards(path.with_name(f"{path.name}.index.json"), _read_safetensors)
    elif pickled.is_file():
        arrays = _read_pickled(pickled)
    elif pickled.with_name(f"{pickled.name}.index.json").is_file():
        arrays = _read_shards(pickled.with_name(f"{pickled.name}.index.json"), _read_pickled)
    else:
        raise UserError(f"{path}: no such file")
    for name, array in arrays.items():
        # bfloat16 is a type of ml_dtypes, which NumPy counts among no kind of its own.
        if array.dtype.kind != "f" and array.dtype.name != "bfloat16":
            if name.endswith("position_ids"):
                continue
            raise UserError(
                f"{folder}: {name} is {array.dtype}: a quantised model is not read: give the one "
                "that it was made of"
            )
    return {
        name: np.asarray(array, np.float32)
        for name, array in arrays.items()
        if not name.endswith("position_ids")  # a buffer of old versions: 0, 1, 2, …
    }


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    try:
        with open(path, "rb"):  # safetensors says "No such file" where reading is refused
            return load_file(path)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"an unknown number type {error}" if isinstance(error, KeyError) else error
        raise UserError(
            f"{path}: not a safetensors file, or damaged or cut off ({reason})"
        ) from error


def _read_pickled(path: Path) -> dict[str, np.ndarray]:
    """PyTorch's own format, which is a pickle: only what holds plain tensors is loaded."""
    if importlib.util.find_spec("torch") is None:
        raise UserError(
            f"{path}: reading it needs PyTorch: pip install torch, or save the model where "
            "transformers is installed, with save_pretrained, which writes model.safetensors"
        )
    import torch

    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
        tensors = tensors.get("state_dict", tensors)
        return {name: tensor.to(torch.float32).numpy() for name, tensor in tensors.items()}
    except Exception as error:  # torch raises what zip, pickle and its own reader raise
        reason = " ".join(str(error).split()).split(". ")[0][:160] or type(error).__name__
        raise UserError(f"{path}: not a file of PyTorch weights, or damaged ({reason})") from error


def _read_shards(
    index: Path, read: Callable[[Path], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """The arrays that an index distributes over files beside it."""
    names = (read_optional_object(index) or {}).get("weight_map")
    if not isinstance(names, dict) or not names:
        raise UserError(f"{index}: weight_map is missing: it says which shard holds which array")
    for file in names.values():
        if not FILE_NAME.holds(file):
            raise UserError(f"{index}: {file!r} is not the name of a file in its folder")
    missing = sorted({f for f in names.values() if not index.with_name(f).is_file()})
    if missing:
        raise UserError(f"{index.with_name(missing[0])}: no such file, but {index.name} names it")
    arrays: dict[str, np.ndarray] = {}
    for file in sorted(set(names.values())):
        found = read(index.with_name(file))
        lost = [name for name, home in names.items() if home == file and name not in found]
        if lost:
            raise UserError(
                f"{index.with_name(file)}: it lacks {lost[0]}, which {index.name} says it holds"
            )
        arrays |= found
    return arrays


def _labels(path: Path, values: Mapping[str, Any]) -> tuple[str, ...]:
    """The labels of `id2label` in the order of the outputs; none where it has none."""
    names = values.get("id2label")
    if not names:
        return ()
    try:
        by_id = {int(index): label for index, label in names.items()}
        if not all(isinstance(label, str) for label in by_id.values()):
            raise TypeError
    except (AttributeError, TypeError, ValueError):
        raise UserError(f"{path}: id2label: an object of ids and labels was expected") from None
    if sorted(by_id) != list(range(len(names))):
        raise UserError(f"{path}: id2label: the ids are not 0 to {len(names) - 1}")
    labels = tuple(by_id[index] for index in range(len(names)))
    inverse = values.get("label2id")
    if inverse and inverse != {label: index for index, label in enumerate(labels)}:
        raise UserError(f"{path}: label2id is not the inverse of id2label: correct what is wrong")
    return labels


def _number(path: Path, name: str, value: Any) -> int | float:
    """A value of the config, of the type that our own has."""
    is_float = next(f.type for f in fields(ModelConfig) if f.name == name) is float
    if isinstance(value, bool) or not isinstance(value, (int, float) if is_float else int):
        expected = "a number" if is_float else "an integer"
        raise UserError(f"{path}: {name} is {value!r}: {expected} was expected")
    if value < (0 if is_float else 1):
        least = "at least 0" if is_float else "above 0"
        raise UserError(f"{path}: {name} is {value}: it must be {least}")
    return value


def _first(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)
