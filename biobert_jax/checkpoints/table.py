"""Every parameter's names and shape: the one table that both foreign formats are read by.

Hugging Face's arrays are one a layer and [out, in]; ours stack the layers on a leading axis and are
[in, out].
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from biobert_jax.checkpoints.tree import flatten
from biobert_jax.config import ModelConfig


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
    *_dense("classifier", "classifier", "classifier_inputs", "labels"),
    *_dense("qa_outputs", "qa_outputs", _H, 2),
)
HEADS = ("pooler", "mlm", "nsp", "classifier", "qa_outputs")


def drop_incomplete_heads(flat: dict[str, np.ndarray]) -> list[str]:
    """Takes heads out of which a part is missing: half a head is none."""
    dropped = []
    for head in HEADS:
        entries = [entry for entry in TABLE if entry.ours.startswith(f"{head}/")]
        lost = [entry.theirs for entry in entries if entry.ours not in flat]
        if lost and len(lost) < len(entries):
            for entry in entries:
                flat.pop(entry.ours, None)
            dropped.append(f"{head} (incomplete: it lacks {', '.join(lost)})")
    return dropped


def check_shapes(
    params: Mapping[str, Any],
    model: ModelConfig,
    num_labels: int,
    *,
    theirs: bool,
    by_markers: bool = False,
) -> list[str]:
    """What a model's parameters lack or have in another shape than its config says.

    JAX takes an index past the end of a table for its last row: a table that is too short would
    not be noticed later.

    Args:
      params: ours, nested. All of the encoder must be there; heads may be absent.
      theirs: whether parameters are called by their Hugging Face names.
      by_markers: the classifier takes two markers' vectors.
    """
    flat = flatten(params)
    inputs = model.hidden_size * (2 if by_markers else 1)
    sizes = {**vars(model), "labels": num_labels, "classifier_inputs": inputs}
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


def _size(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
