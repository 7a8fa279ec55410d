"""Hugging Face BERT folders (`config.json`, `model.safetensors`, `vocab.txt`), both directions.

One table names every parameter on both sides. Theirs are one array a layer and [out, in]; ours
stack the layers on a leading axis and are [in, out].
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from biobert_jax.checkpoints.huggingface_files import (
    ACTIVATIONS,
    SHARED_FIELDS,
    FolderConfig,
    read_config,
    read_weights,
)
from biobert_jax.checkpoints.labels import check_labels
from biobert_jax.checkpoints.tree import flatten, unflatten
from biobert_jax.config import ModelConfig
from biobert_jax.corpus.text.tokenization import Tokenizer, load_tokenizer
from biobert_jax.errors import UserError
from biobert_jax.json_fields import read_optional_object


class Entry(NamedTuple):
    """One parameter: our path, their name (`{}` is the layer), our shape, whether to transpose.

    Sizes are numbers or fields of ModelConfig; "labels" is the number of labels.
    """

    ours: str
    theirs: str
    shape: tuple[str | int, ...]
    transpose: bool = False


def _dense(ours: str, theirs: str, size_in: str, size_out: str | int) -> list[Entry]:
    layers = ("num_hidden_layers",) if "{}" in theirs else ()
    return [
        Entry(f"{ours}/kernel", f"{theirs}.weight", (*layers, size_in, size_out), True),
        Entry(f"{ours}/bias", f"{theirs}.bias", (*layers, size_out)),
    ]


def _norm(ours: str, theirs: str) -> list[Entry]:
    shape = ("num_hidden_layers", "hidden_size") if "{}" in theirs else ("hidden_size",)
    return [
        Entry(f"{ours}/scale", f"{theirs}.weight", shape),
        Entry(f"{ours}/bias", f"{theirs}.bias", shape),
    ]


_H, _I = "hidden_size", "intermediate_size"
_LAYERS, _LAYER = "bert/encoder/layers", "bert.encoder.layer.{}"
_TABLES = {
    "word_embeddings": "vocab_size",
    "position_embeddings": "max_position_embeddings",
    "token_type_embeddings": "type_vocab_size",
}
TABLE: tuple[Entry, ...] = (
    *(
        Entry(f"bert/embeddings/{name}/embedding", f"bert.embeddings.{name}.weight", (size, _H))
        for name, size in _TABLES.items()
    ),
    *_norm("bert/embeddings/layer_norm", "bert.embeddings.LayerNorm"),
    *_dense(f"{_LAYERS}/attention/query", f"{_LAYER}.attention.self.query", _H, _H),
    *_dense(f"{_LAYERS}/attention/key", f"{_LAYER}.attention.self.key", _H, _H),
    *_dense(f"{_LAYERS}/attention/value", f"{_LAYER}.attention.self.value", _H, _H),
    *_dense(f"{_LAYERS}/attention/output", f"{_LAYER}.attention.output.dense", _H, _H),
    *_norm(f"{_LAYERS}/attention_norm", f"{_LAYER}.attention.output.LayerNorm"),
    *_dense(f"{_LAYERS}/intermediate", f"{_LAYER}.intermediate.dense", _H, _I),
    *_dense(f"{_LAYERS}/output", f"{_LAYER}.output.dense", _I, _H),
    *_norm(f"{_LAYERS}/output_norm", f"{_LAYER}.output.LayerNorm"),
    *_dense("pooler", "bert.pooler.dense", _H, _H),
    *_dense("mlm/transform", "cls.predictions.transform.dense", _H, _H),
    *_norm("mlm/layer_norm", "cls.predictions.transform.LayerNorm"),
    Entry("mlm/bias", "cls.predictions.bias", ("vocab_size",)),
    *_dense("nsp", "cls.seq_relationship", _H, 2),
    *_dense("classifier", "classifier", _H, "labels"),
)

_WORDS = "embeddings.word_embeddings.weight"
_DECODER = "cls.predictions.decoder"
_OLD_NAMES = (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias"))


class HuggingFaceFolder(NamedTuple):
    """What a folder holds: `params` nested, `unexpected` their names that we have no place for.

    `is_tagger`: `labels` are those of its classifier, which label words.
    """

    model: ModelConfig
    params: dict[str, Any]
    is_tagger: bool
    labels: tuple[str, ...]
    unexpected: tuple[str, ...]
    tokenizer: Tokenizer
    max_seq_length: int


def read(folder: Path) -> HuggingFaceFolder:
    """Reads a BERT folder, and compares what its files say with each other.

    Raises:
      UserError: no weights there that can be read, not a BERT, or no vocabulary; files that
        contradict each other.
    """
    config = read_config(folder)
    arrays = read_weights(folder)
    try:
        arrays = standard_names(arrays)
        unexpected = _drop_foreign_heads(arrays, config)
        flat, unknown = from_huggingface(arrays, config.model.num_hidden_layers)
        unexpected += _drop_incomplete_heads(flat)
    except UserError as error:
        raise UserError(f"{folder}: {error}") from error
    tokenizer = load_tokenizer(folder)
    length = _max_seq_length(folder / "tokenizer_config.json", config.model.max_position_embeddings)
    return HuggingFaceFolder(
        config.model,
        unflatten(flat),
        "classifier/kernel" in flat,
        config.labels,
        tuple(unexpected) + unknown,
        tokenizer,
        length,
    )


def standard_names(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays under the names of `TABLE`, whatever stands before the encoder's.

    Read are a bare BertModel, TensorFlow's gamma and beta, and what training programs put before
    all names (`module.`) or call the encoder (`bert_model.`).

    Raises:
      UserError: no encoder there, or several.
    """
    prefixes = sorted(name.removesuffix(_WORDS) for name in arrays if name.endswith(_WORDS))
    if not prefixes:
        first = next(iter(sorted(arrays)), "nothing")
        raise UserError(f"no {_WORDS} among its {len(arrays)} arrays ({first}, …): not a BERT")
    if len(prefixes) > 1:
        raise UserError(
            f"it holds several encoders ({', '.join(prefixes)}): save the one that you mean alone"
        )
    [encoder] = prefixes
    wrapper = encoder.removesuffix("bert.")
    named = {}
    for name, array in arrays.items():
        standard = name.removeprefix(wrapper) if name.startswith(wrapper) else name
        if standard.startswith(("embeddings.", "encoder.", "pooler.")):
            standard = f"bert.{standard}"
        for old, new in _OLD_NAMES:
            standard = standard.replace(old, new)
        if standard in named:
            raise UserError(f"two arrays of one meaning: {name} and another of {standard}")
        named[standard] = array
    return named


def _drop_foreign_heads(arrays: dict[str, np.ndarray], config: FolderConfig) -> list[str]:
    """Takes heads out that ours would compute otherwise; returns what is to be said of them."""
    dropped = []
    # transformers computes with the decoder's; it saves a tied one under both names or either.
    weight, bias = arrays.pop(f"{_DECODER}.weight", None), arrays.pop(f"{_DECODER}.bias", None)
    words, own = arrays[f"bert.{_WORDS}"], arrays.get("cls.predictions.bias")
    if own is None and bias is not None:
        arrays["cls.predictions.bias"] = own = bias
    differs = bias is not None and not np.array_equal(bias, own)
    has_head = any(name.startswith("cls.predictions.") for name in arrays)
    untied = not config.tied if weight is None else not np.array_equal(weight, words)
    if has_head and (untied or differs):
        for name in [name for name in arrays if name.startswith("cls.predictions.")]:
            del arrays[name]
        dropped.append(
            "cls.predictions (its decoder is not the word embeddings, as ours is: the masked LM "
            "head is left out)"
        )
    # A classifier of whole texts has the same shape as one of words.
    labels_words = "TokenClassification" in config.head
    if not config.head and "classifier.weight" in arrays:
        try:
            check_labels(config.labels, "")
            labels_words = True
        except UserError:
            labels_words = False
    if "classifier.weight" in arrays and not labels_words:
        for name in [name for name in arrays if name.startswith("classifier.")]:
            del arrays[name]
        dropped.append(f"classifier (of {config.head or 'an unknown model'}, not of a tagger)")
    if labels_words and "classifier.weight" not in arrays:
        raise UserError(f"{config.path.name} says {config.head}, but there is no classifier.weight")
    return dropped


def _drop_incomplete_heads(flat: dict[str, np.ndarray]) -> list[str]:
    """Takes heads out of which a part is missing: half a head is none."""
    dropped = []
    for head in ("pooler", "mlm", "nsp", "classifier"):
        entries = [entry for entry in TABLE if entry.ours.startswith(f"{head}/")]
        lost = [entry.theirs for entry in entries if entry.ours not in flat]
        if lost and len(lost) < len(entries):
            for entry in entries:
                flat.pop(entry.ours, None)
            dropped.append(f"{head} (incomplete: it lacks {', '.join(lost)})")
    return dropped


def from_huggingface(
    arrays: Mapping[str, np.ndarray], num_layers: int
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Their arrays by (standard) name to ours by path, and the names that the table does not know.

    Raises:
      UserError: layers of a parameter missing, or of other shapes than each other.
    """
    named = dict(arrays)
    flat = {}
    for entry in TABLE:
        if "{}" in entry.theirs:
            names = [entry.theirs.format(i) for i in range(num_layers)]
            missing = [name for name in names if name not in named]
            if missing and len(missing) < num_layers:
                raise UserError(f"layers are missing: {', '.join(missing)}")
            if not missing:
                layers = [_turn(named.pop(name), entry) for name in names]
                if len({layer.shape for layer in layers}) > 1:
                    raise UserError(f"{entry.theirs}: the layers' shapes differ")
                flat[entry.ours] = np.stack(layers)
        elif entry.theirs in named:
            flat[entry.ours] = _turn(named.pop(entry.theirs), entry)
    return flat, tuple(sorted(named))


def check_shapes(
    params: Mapping[str, Any], model: ModelConfig, num_labels: int, *, theirs: bool
) -> list[str]:
    """What a model's parameters lack or have in another shape than its config says.

    JAX takes an index past the end of a table for its last row: a table that is too short would
    not be noticed later.

    Args:
      params: ours, nested. All of the encoder must be there; heads may be absent.
      theirs: whether parameters are called by their Hugging Face names.
    """
    flat = flatten(params)
    sizes = {**vars(model), "labels": num_labels}
    problems = []
    for entry in TABLE:
        name = entry.theirs if theirs else entry.ours
        if entry.ours not in flat:
            if entry.ours.startswith("bert/"):
                problems.append(f"{name} is missing")
            continue
        shape = tuple(sizes.get(size, size) for size in entry.shape)
        found = np.shape(flat[entry.ours])
        if found != shape:
            if theirs:  # theirs are one a layer
                layered = "{}" in name
                found, shape = found[layered:], shape[layered:]
                if entry.transpose:
                    found, shape = found[::-1], shape[::-1]
            problems.append(f"{name} is {_size(found)}, its config says {_size(shape)}")
    return problems


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
    tokenizer: Tokenizer,
    labels: tuple[str, ...] = (),
    max_seq_length: int = 0,
) -> None:
    """Writes a folder that transformers' `from_pretrained` and AutoTokenizer read.

    Args:
      folder: made where it is not there.
      labels: with their types, so that transformers puts entities together.
      max_seq_length: row length it was fine-tuned with; 0: as many as there are positions.

    Raises:
      UserError: a SentencePiece vocabulary, which their BERT tokenizer cannot hold; the weights
        cannot be written.
    """
    if tokenizer.kind != "wordpiece":
        raise UserError(
            f"{tokenizer.path}: a Hugging Face BERT folder holds a WordPiece vocabulary only"
        )
    folder.mkdir(parents=True, exist_ok=True)
    names = {ours: theirs for theirs, ours in reversed(ACTIVATIONS.items())}
    kind = "ForPreTraining" if "mlm" in params else "Model"
    config = {
        "architectures": [f"Bert{'ForTokenClassification' if labels else kind}"],
        "model_type": "bert",
        "hidden_act": names[model.hidden_act],
        "pad_token_id": tokenizer.special.pad,
        **{name: getattr(model, name) for name in SHARED_FIELDS},
    }
    if labels:
        config["id2label"] = {str(index): label for index, label in enumerate(labels)}
        config["label2id"] = {label: index for index, label in enumerate(labels)}
    _write_json(folder / "config.json", config)
    (folder / "vocab.txt").write_bytes(tokenizer.vocab_bytes())
    _write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": tokenizer.options.do_lower_case,
            "strip_accents": tokenizer.options.strip_accents,
            "tokenize_chinese_chars": tokenizer.options.tokenize_chinese_chars,
            "model_max_length": max_seq_length or model.max_position_embeddings,
        },
    )
    tokenizer.save_json(folder / "tokenizer.json")
    weights = folder / "model.safetensors"
    try:
        save_file(to_huggingface(params), weights, metadata={"format": "pt"})
    except SafetensorError as error:
        raise UserError(f"{weights}: cannot be written ({error})") from error
    # safetensors makes its file for its owner alone, whatever umask says.
    os.chmod(weights, (folder / "config.json").stat().st_mode & 0o777)


def _turn(array: np.ndarray, entry: Entry) -> np.ndarray:
    return np.ascontiguousarray(array.T) if entry.transpose else array


def _size(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _max_seq_length(path: Path, positions: int) -> int:
    """`model_max_length` of a tokenizer_config.json; `positions` where it says none, or more."""
    length = (read_optional_object(path) or {}).get("model_max_length")
    return length if isinstance(length, int) and 8 <= length < positions else positions
