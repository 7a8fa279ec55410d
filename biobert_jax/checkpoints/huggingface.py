"""Hugging Face BERT folders (`config.json`, `model.safetensors`, `vocab.txt`), both directions.

One table names every parameter on both sides. Theirs are one array a layer and [out, in]; ours
stack the layers on a leading axis and are [in, out].
"""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from biobert_jax.checkpoints.tree import flatten, unflatten
from biobert_jax.config import ModelConfig
from biobert_jax.corpus.text.tokenization import load_tokenizer
from biobert_jax.errors import UserError


class Entry(NamedTuple):
    """One parameter: our path, their name (`{}` is the layer), and whether to transpose."""

    ours: str
    theirs: str
    transpose: bool = False


def _dense(ours: str, theirs: str) -> list[Entry]:
    return [
        Entry(f"{ours}/kernel", f"{theirs}.weight", True),
        Entry(f"{ours}/bias", f"{theirs}.bias"),
    ]


def _norm(ours: str, theirs: str) -> list[Entry]:
    return [Entry(f"{ours}/scale", f"{theirs}.weight"), Entry(f"{ours}/bias", f"{theirs}.bias")]


_LAYERS, _LAYER = "bert/encoder/layers", "bert.encoder.layer.{}"
TABLE: tuple[Entry, ...] = (
    *(
        Entry(f"bert/embeddings/{name}/embedding", f"bert.embeddings.{name}.weight")
        for name in ("word_embeddings", "position_embeddings", "token_type_embeddings")
    ),
    *_norm("bert/embeddings/layer_norm", "bert.embeddings.LayerNorm"),
    *_dense(f"{_LAYERS}/attention/query", f"{_LAYER}.attention.self.query"),
    *_dense(f"{_LAYERS}/attention/key", f"{_LAYER}.attention.self.key"),
    *_dense(f"{_LAYERS}/attention/value", f"{_LAYER}.attention.self.value"),
    *_dense(f"{_LAYERS}/attention/output", f"{_LAYER}.attention.output.dense"),
    *_norm(f"{_LAYERS}/attention_norm", f"{_LAYER}.attention.output.LayerNorm"),
    *_dense(f"{_LAYERS}/intermediate", f"{_LAYER}.intermediate.dense"),
    *_dense(f"{_LAYERS}/output", f"{_LAYER}.output.dense"),
    *_norm(f"{_LAYERS}/output_norm", f"{_LAYER}.output.LayerNorm"),
    *_dense("pooler", "bert.pooler.dense"),
    *_dense("mlm/transform", "cls.predictions.transform.dense"),
    *_norm("mlm/layer_norm", "cls.predictions.transform.LayerNorm"),
    Entry("mlm/bias", "cls.predictions.bias"),
    *_dense("nsp", "cls.seq_relationship"),
    *_dense("classifier", "classifier"),
)

# Theirs that hold nothing of their own: a buffer, and copies of tied parameters.
_REDUNDANT = re.compile(r"bert\.embeddings\.position_ids|cls\.predictions\.decoder\.(weight|bias)")
_OLD_NAMES = (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias"))
_ACTIVATIONS = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
}
_SHARED_FIELDS = (
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


class HuggingFaceFolder(NamedTuple):
    """What a folder holds: `params` nested, `unexpected` their names that we have no place for."""

    model: ModelConfig
    params: dict[str, Any]
    labels: tuple[str, ...]
    unexpected: tuple[str, ...]
    vocab: Path
    max_seq_length: int


def read(folder: Path) -> HuggingFaceFolder:
    """Reads a BERT folder.

    Raises:
      UserError: no weights there that can be read, not a BERT, or no vocabulary.
    """
    config, labels = _read_config(folder / "config.json")
    weights = folder / "model.safetensors"
    if not weights.is_file():
        hint = (
            "pytorch_model.bin is not read, since it can run code: save it with "
            "transformers' save_pretrained, which writes safetensors"
            if (folder / "pytorch_model.bin").is_file()
            else "give a folder that transformers' save_pretrained wrote"
        )
        raise UserError(f"{weights}: no such file: {hint}")
    try:
        arrays = load_file(weights)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{weights}: not a safetensors file ({error})") from error
    vocab = folder / "vocab.txt"
    if not vocab.is_file():
        raise UserError(f"{vocab}: no such file: the folder needs its vocabulary")
    flat, unexpected = from_huggingface(arrays, config.num_hidden_layers)
    length = _max_seq_length(folder / "tokenizer_config.json", config.max_position_embeddings)
    return HuggingFaceFolder(config, unflatten(flat), labels, unexpected, vocab, length)


def from_huggingface(
    arrays: Mapping[str, np.ndarray], num_layers: int
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Their arrays by name to ours by path, and the names that the table does not know.

    Names without the `bert.` prefix (a bare BertModel) and TensorFlow's gamma and beta are read.

    Raises:
      UserError: layers of a parameter missing.
    """
    named = {}
    for name, array in arrays.items():
        for old, new in _OLD_NAMES:
            name = name.replace(old, new)
        if name.startswith(("embeddings.", "encoder.", "pooler.")):
            name = "bert." + name
        named[name] = np.asarray(array, np.float32)
    flat = {}
    for entry in TABLE:
        if "{}" in entry.theirs:
            names = [entry.theirs.format(i) for i in range(num_layers)]
            missing = [name for name in names if name not in named]
            if missing and len(missing) < num_layers:
                raise UserError(f"layers are missing: {', '.join(missing)}")
            if not missing:
                flat[entry.ours] = np.stack([_turn(named.pop(name), entry) for name in names])
        elif entry.theirs in named:
            flat[entry.ours] = _turn(named.pop(entry.theirs), entry)
    return flat, tuple(sorted(name for name in named if not _REDUNDANT.fullmatch(name)))


def to_huggingface(params: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Our parameters, nested, to theirs by name. Every one of ours must be in the table."""
    flat = {path: np.asarray(array) for path, array in flatten(params).items()}
    arrays = {}
    for entry in TABLE:
        if entry.ours not in flat:
            continue
        array = flat.pop(entry.ours)
        if "{}" in entry.theirs:
            for index, layer in enumerate(array):
                arrays[entry.theirs.format(index)] = _turn(layer, entry)
        else:
            arrays[entry.theirs] = _turn(array, entry)
    if flat:
        raise UserError(f"no Hugging Face name for: {', '.join(sorted(flat))}")
    return arrays


def write(
    folder: Path,
    model: ModelConfig,
    params: Mapping[str, Any],
    vocab: Path,
    labels: tuple[str, ...] = (),
    max_seq_length: int = 0,
) -> None:
    """Writes a folder that transformers' `from_pretrained` and AutoTokenizer read.

    Args:
      max_seq_length: row length it was fine-tuned with; 0: as many as there are positions.

    Raises:
      UserError: a SentencePiece vocabulary, which their BERT tokenizer cannot hold.
    """
    tokenizer = load_tokenizer(vocab)
    if tokenizer.kind != "wordpiece":
        raise UserError(f"{vocab}: a Hugging Face BERT folder holds a WordPiece vocabulary only")
    folder.mkdir(parents=True)
    save_file(to_huggingface(params), folder / "model.safetensors", metadata={"format": "pt"})
    names = {ours: theirs for theirs, ours in reversed(_ACTIVATIONS.items())}
    config = {
        "architectures": ["BertForTokenClassification" if labels else "BertForPreTraining"],
        "model_type": "bert",
        "hidden_act": names[model.hidden_act],
        "pad_token_id": tokenizer.special.pad,
        **{name: getattr(model, name) for name in _SHARED_FIELDS},
    }
    if labels:
        config["id2label"] = {str(index): label for index, label in enumerate(labels)}
        config["label2id"] = {label: index for index, label in enumerate(labels)}
    _write_json(folder / "config.json", config)
    shutil.copyfile(vocab, folder / "vocab.txt")
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": not tokenizer.cased,
            "strip_accents": not tokenizer.cased,
            "model_max_length": max_seq_length or model.max_position_embeddings,
        },
    )
    tokenizer.save_json(folder / "tokenizer.json")


def _turn(array: np.ndarray, entry: Entry) -> np.ndarray:
    return np.ascontiguousarray(array.T) if entry.transpose else array


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _max_seq_length(path: Path, positions: int) -> int:
    """`model_max_length` of a tokenizer_config.json; `positions` where it says none, or more."""
    try:
        length = json.loads(path.read_text(encoding="utf-8")).get("model_max_length")
    except (OSError, ValueError, AttributeError):  # The file is optional, and so is its sense.
        return positions
    return length if isinstance(length, int) and 8 <= length < positions else positions


def _read_config(path: Path) -> tuple[ModelConfig, tuple[str, ...]]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    if values.get("model_type", "bert") != "bert":
        raise UserError(f"{path}: model_type {values['model_type']!r} is not BERT")
    if values.get("position_embedding_type", "absolute") != "absolute":
        raise UserError(f"{path}: relative position embeddings are not supported")
    activation = values.get("hidden_act", "gelu")
    if activation not in _ACTIVATIONS:
        raise UserError(f"{path}: hidden_act {activation!r}: known: {', '.join(_ACTIVATIONS)}")
    missing = [name for name in ("vocab_size", "hidden_size") if name not in values]
    if missing:
        raise UserError(f"{path}: no {' and no '.join(missing)}: is this a BERT folder?")
    fields = {name: values[name] for name in _SHARED_FIELDS if name in values}
    labels = values.get("id2label") or {}
    names = tuple(labels[key] for key in sorted(labels, key=int))
    if not any("TokenClassification" in name for name in values.get("architectures") or ()):
        names = ()
    return ModelConfig(hidden_act=_ACTIVATIONS[activation], **fields), names
