"""TF1 checkpoints of google's BERT and of BioBERT, both directions; the names are derived from
`table.TABLE`, so that a parameter stands in one table.

A checkpoint is `PREFIX.index` and `PREFIX.data-…`, with `bert_config.json` and `vocab.txt` beside
it. TensorFlow is imported where arrays are read or written, and nowhere else.
"""

import contextlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from biobert_jax.checkpoints.huggingface_files import ACTIVATIONS, SHARED_FIELDS, read_config
from biobert_jax.checkpoints.table import TABLE, Entry, drop_incomplete_heads
from biobert_jax.checkpoints.tree import flatten, unflatten
from biobert_jax.config import ModelConfig
from biobert_jax.corpus.text.tokenization import Tokenizer, load_tokenizer
from biobert_jax.errors import UserError
from biobert_jax.files import write_text_atomically

PREFIX = "bert_model.ckpt"
_INDEX, _CONFIG, _VOCAB = ".index", "bert_config.json", "vocab.txt"
# Heads whose weights upstream multiplies transposed: [outputs, H].
_HEADS = {
    "nsp": "cls/seq_relationship/output",
    "classifier": "output",
    "qa_outputs": "cls/squad/output",
}
# What optimizers keep beside the parameters, and the count of steps.
_SLOT = re.compile(
    r"(^|/)(adam_[mv]|adam_[mv]_\d+|lamb_[mv]|m|v|Adam(_\d+)?|LAMB\w*|BERTAdam\w*|Momentum"
    r"|ExponentialMovingAverage|global_step|\w*_power)$|BERTAdam|AdamWeightDecay"
)


class TF1Checkpoint(NamedTuple):
    """What a checkpoint holds.

    Attributes:
      params: ours, nested; float32.
      head: "classifier" or "qa_outputs" where it is of a fine-tuned model, else "".
      unexpected: names that no model of ours has.
      num_slots: variables of the optimizer, which are passed over.
    """

    model: ModelConfig
    params: dict[str, Any]
    head: str
    unexpected: tuple[str, ...]
    num_slots: int
    tokenizer: Tokenizer
    max_seq_length: int


def find(path: Path) -> Path | None:
    """The prefix that `path` stands for; None where no TF1 checkpoint is there.

    A folder stands for the one that its file `checkpoint` names, or its only one, or that of most
    steps.
    """
    for prefix in (path, path.with_suffix("") if path.suffix == _INDEX else path):
        if Path(f"{prefix}{_INDEX}").is_file():
            return prefix
    if not path.is_dir():
        return None
    with contextlib.suppress(OSError, UnicodeDecodeError):
        said = re.search(r'^model_checkpoint_path: "([^"]+)"', (path / "checkpoint").read_text())
        if said and (path / f"{Path(said[1]).name}{_INDEX}").is_file():
            return path / Path(said[1]).name
    found = sorted(path.glob(f"*{_INDEX}"), key=lambda p: (_step(p), p.name))
    return found[-1].with_suffix("") if found else None


def read(prefix: Path) -> TF1Checkpoint:
    """Reads a checkpoint, with the config and vocabulary beside it.

    Raises:
      UserError: one of its files is missing, damaged or cut off; TensorFlow is not installed; no
        BERT; layers are missing, or of other shapes than each other.
    """
    config = read_config(prefix.parent, names=(_CONFIG,))
    tokenizer = load_tokenizer(prefix.parent)
    arrays = _read_arrays(prefix)
    slots = [name for name in arrays if _SLOT.search(name)]
    for name in slots:
        del arrays[name]
    if "bert/embeddings/word_embeddings" not in arrays:
        first = next(iter(sorted(arrays)), "nothing")
        raise UserError(
            f"{prefix}: no bert/embeddings/word_embeddings among its {len(arrays)} variables "
            f"({first}, …): not a BERT"
        )
    flat: dict[str, np.ndarray] = {}
    for entry in TABLE:
        names = names_of(entry, config.model.num_hidden_layers)
        found = [name for name in names if name in arrays]
        if found and len(found) < len(names):
            lost = [name for name in names if name not in arrays]
            raise UserError(f"{prefix}: layers are missing: {', '.join(lost)}")
        if found:
            layers = [_turn(arrays.pop(name), entry) for name in names]
            if len({layer.shape for layer in layers}) > 1:
                raise UserError(f"{prefix}: {entry.theirs}: the layers' shapes differ")
            flat[entry.ours] = np.stack(layers) if "{}" in entry.theirs else layers[0]
    incomplete = drop_incomplete_heads(flat)
    head = next((h for h in ("qa_outputs", "classifier") if f"{h}/kernel" in flat), "")
    return TF1Checkpoint(
        config.model,
        unflatten(flat),
        head,
        (*incomplete, *sorted(arrays)),
        len(slots),
        tokenizer,
        config.model.max_position_embeddings,
    )


def write(folder: Path, model: ModelConfig, params: Mapping[str, Any], tokenizer: Tokenizer):
    """Writes `bert_model.ckpt`, `bert_config.json` and `vocab.txt`, as google's releases have them.

    Raises:
      UserError: a SentencePiece vocabulary; parameters that upstream's code has no name for;
        TensorFlow is not installed, or cannot write.
    """
    if tokenizer.kind != "wordpiece":
        raise UserError(f"{tokenizer.path}: upstream's BERT holds a WordPiece vocabulary only")
    flat = {path: np.asarray(array) for path, array in flatten(params).items()}
    arrays: dict[str, np.ndarray] = {}
    for entry in TABLE:
        if entry.ours in flat:
            array = flat.pop(entry.ours)
            layers = array if "{}" in entry.theirs else [array]
            names = names_of(entry, model.num_hidden_layers)
            arrays |= {n: _turn(layer, entry) for n, layer in zip(names, layers, strict=True)}
    if flat:
        raise UserError(f"no TF1 name for: {', '.join(sorted(flat))}")
    activations = {ours: theirs for theirs, ours in reversed(ACTIVATIONS.items())}
    config = {name: getattr(model, name) for name in SHARED_FIELDS if name != "layer_norm_eps"}
    config["hidden_act"] = activations[model.hidden_act]
    folder.mkdir(parents=True, exist_ok=True)
    write_text_atomically(folder / _CONFIG, json.dumps(config, indent=2, sort_keys=True) + "\n")
    (folder / _VOCAB).write_bytes(tokenizer.vocab_bytes())
    tensorflow = _tensorflow(folder / PREFIX)
    try:
        tensorflow.raw_ops.SaveV2(
            prefix=str(folder / PREFIX),
            tensor_names=list(arrays),
            shape_and_slices=[""] * len(arrays),
            tensors=list(arrays.values()),
        )
    except tensorflow.errors.OpError as error:
        raise UserError(f"{folder / PREFIX}: cannot be written ({_reason(error)})") from error


def names_of(entry: Entry, num_layers: int) -> list[str]:
    """The TF1 names of a parameter, one a layer where it has layers."""
    head, *_, kind = entry.ours.split("/")
    if head in _HEADS:
        return [f"{_HEADS[head]}_{'weights' if kind == 'kernel' else 'bias'}"]
    if entry.ours == "mlm/bias":
        return ["cls/predictions/output_bias"]
    name = entry.theirs.replace(".", "/").replace("layer/{}", "layer_{}")
    if kind == "embedding":
        name = name.removesuffix("/weight")
    elif "LayerNorm" in name:
        name = name.replace("/weight", "/gamma").replace("/bias", "/beta")
    else:
        name = name.replace("/weight", "/kernel")
    return [name.format(i) for i in range(num_layers)] if "{}" in name else [name]


def _turn(array: np.ndarray, entry: Entry) -> np.ndarray:
    """Between our orientation and theirs, which is ours but for heads."""
    turned = entry.ours.split("/")[0] in _HEADS and array.ndim == 2
    return np.ascontiguousarray(array.T) if turned else array


def _read_arrays(prefix: Path) -> dict[str, np.ndarray]:
    tensorflow = _tensorflow(prefix)
    try:
        reader = tensorflow.train.load_checkpoint(str(prefix))
        names = reader.get_variable_to_shape_map()
        arrays = {
            name: reader.get_tensor(name)
            for name in names
            if not _SLOT.search(name) and not name.startswith("_CHECKPOINTABLE")
        }
    except (tensorflow.errors.OpError, ValueError, RuntimeError, IndexError) as error:
        raise UserError(
            f"{prefix}: not a TF1 checkpoint, or damaged or cut off ({_reason(error)}): copy "
            ".index and .data-00000-of-00001 again"
        ) from error
    slots = {name: np.zeros(0, np.float32) for name in names if _SLOT.search(name)}
    return {
        name: np.asarray(array, np.float32) if array.dtype.kind == "f" else array
        for name, array in (arrays | slots).items()
    }


def _tensorflow(path: Path) -> Any:
    try:
        import tensorflow
    except ImportError:
        raise UserError(
            f"{path}: TF1 checkpoints need TensorFlow: pip install 'biobert-jax[tf]', or convert "
            "it where that is installed"
        ) from None
    return tensorflow


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:160]


def _step(path: Path) -> int:
    numbers = re.findall(r"-(\d+)$", path.with_suffix("").name)
    return int(numbers[0]) if numbers else 0
