"""Hugging Face BERT folders (`config.json`, `model.safetensors`, `vocab.txt`), both directions.

`table.TABLE` names every parameter on both sides.
"""

import contextlib
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
from biobert_jax.checkpoints.table import TABLE, Entry, drop_incomplete_heads
from biobert_jax.checkpoints.tree import flatten, unflatten
from biobert_jax.config import ModelConfig
from biobert_jax.corpus.text.tokenization import Tokenizer, load_tokenizer
from biobert_jax.errors import UserError
from biobert_jax.json_fields import read_optional_object

# Of each task whose model they have: their class, and the head of ours.
CLASSES = {
    "ner": ("TokenClassification", "classifier"),
    "classification": ("SequenceClassification", "classifier"),
    "qa": ("QuestionAnswering", "qa_outputs"),
}
# Their `problem_type`, by ours.
PROBLEMS = {
    "single": "single_label_classification",
    "multi_label": "multi_label_classification",
    "regression": "regression",
}
# Of config.json: what a task knows beside its labels, which theirs have no place for.
OPTIONS = "biobert_jax_options"

_WORDS = "embeddings.word_embeddings.weight"
_DECODER = "cls.predictions.decoder"
_OLD_NAMES = (("LayerNorm.gamma", "LayerNorm.weight"), ("LayerNorm.beta", "LayerNorm.bias"))


class HuggingFaceFolder(NamedTuple):
    """What a folder holds: `params` nested, `unexpected` their names that we have no place for.

    `kind` is as of `load.Checkpoint`, and so are `labels` and `options`.
    """

    model: ModelConfig
    params: dict[str, Any]
    kind: str
    labels: tuple[str, ...]
    options: dict[str, Any]
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
        kind, unexpected = _kind_of_heads(arrays, config)
        flat, unknown = from_huggingface(arrays, config.model.num_hidden_layers)
        unexpected += drop_incomplete_heads(flat)
    except UserError as error:
        raise UserError(f"{folder}: {error}") from error
    tokenizer = load_tokenizer(folder)
    length = _max_seq_length(folder / "tokenizer_config.json", config.model.max_position_embeddings)
    if kind and f"{CLASSES[kind][1]}/kernel" not in flat:  # half of it was there
        kind = ""
    return HuggingFaceFolder(
        config.model,
        unflatten(flat),
        kind or ("pretraining" if "mlm/bias" in flat else "encoder"),
        config.labels if kind in ("ner", "classification") else (),
        _options(kind, config),
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


def _kind_of_heads(arrays: dict[str, np.ndarray], config: FolderConfig) -> tuple[str, list[str]]:
    """The task of the folder's head, "" where it has none; takes heads out that ours would compute
    otherwise.

    Returns:
      The task, and what is to be said of what was taken out.
    """
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
    # A classifier of whole texts has the same shape as one of words: the class tells them apart.
    kind = next((task for task, (name, _) in CLASSES.items() if name in config.head), "")
    if not config.head and "classifier.weight" in arrays:
        with contextlib.suppress(UserError):
            check_labels(config.labels, "")
            kind = "ner"
    if not config.head and "qa_outputs.weight" in arrays:
        kind = "qa"
    if kind == "classification" and "bert.pooler.dense.weight" not in arrays:
        kind = ""
    wanted = CLASSES[kind][1] if kind else ""
    for head in ("classifier", "qa_outputs"):
        if f"{head}.weight" in arrays and head != wanted:
            for name in [name for name in arrays if name.startswith(f"{head}.")]:
                del arrays[name]
            dropped.append(f"{head} (of {config.head or 'an unknown model'})")
    if wanted and f"{wanted}.weight" not in arrays:
        raise UserError(f"{config.path.name} says {config.head}, but there is no {wanted}.weight")
    return kind, dropped


def _options(kind: str, config: FolderConfig) -> dict[str, Any]:
    """What the folder says of its task beside labels."""
    options = dict(config.options)
    if kind == "classification" and "kind" not in options:
        ours = {theirs: name for name, theirs in PROBLEMS.items()}
        # Without a word of it, transformers takes one output for a number.
        default = "regression" if len(config.labels) == 1 else "single"
        options["kind"] = ours.get(config.problem, default)
    return options if kind else {}


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
    *,
    kind: str = "",
    options: Mapping[str, Any] | None = None,
) -> None:
    """Writes a folder that transformers' `from_pretrained` and AutoTokenizer read.

    Args:
      folder: made where it is not there.
      labels: a tagger's with their types, so that transformers puts entities together.
      max_seq_length: row length it was fine-tuned with; 0: as many as there are positions.
      kind: as `load.Checkpoint`'s; "": a tagger where there are labels, else what the heads say.
      options: of the task; kept under a key of ours.

    Raises:
      UserError: a SentencePiece vocabulary, which their BERT tokenizer cannot hold; a classifier of
        markers' vectors, which their models do not have; the weights cannot be written.
    """
    options = dict(options or {})
    if options.get("pooling") == "markers":
        raise UserError(
            "a classifier of the markers' vectors: no model of transformers computes it: fine-tune "
            "with data.pooling=cls to convert"
        )
    if tokenizer.kind != "wordpiece":
        raise UserError(
            f"{tokenizer.path}: a Hugging Face BERT folder holds a WordPiece vocabulary only"
        )
    folder.mkdir(parents=True, exist_ok=True)
    names = {ours: theirs for theirs, ours in reversed(ACTIVATIONS.items())}
    kind = kind or ("ner" if labels else "")
    head = "ForPreTraining" if "mlm" in params else "Model"
    if kind in CLASSES:
        head = f"For{CLASSES[kind][0]}"
    config = {
        "architectures": [
            f"Bert{'ForPreTraining' if 'mlm' in params and head == 'Model' else head}"
        ],
        "model_type": "bert",
        "hidden_act": names[model.hidden_act],
        "pad_token_id": tokenizer.special.pad,
        **{name: getattr(model, name) for name in SHARED_FIELDS},
    }
    if labels:
        config["id2label"] = {str(index): label for index, label in enumerate(labels)}
        config["label2id"] = {label: index for index, label in enumerate(labels)}
    if kind == "classification":
        config["problem_type"] = PROBLEMS[options.get("kind", "single")]
    if options:
        config[OPTIONS] = options
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


def _write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _max_seq_length(path: Path, positions: int) -> int:
    """`model_max_length` of a tokenizer_config.json; `positions` where it says none, or more."""
    length = (read_optional_object(path) or {}).get("model_max_length")
    return length if isinstance(length, int) and 8 <= length < positions else positions
