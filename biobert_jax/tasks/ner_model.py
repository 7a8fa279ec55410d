"""The tagger: BERT with a label at every first piece; its losses and its predictions."""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from biobert_jax.config import ModelConfig
from biobert_jax.model.dropout import row_seeds
from biobert_jax.model.heads import BertForTokenClassification, WeightedSum, cross_entropy
from biobert_jax.tasks.ner_features import NO_LABEL, NerRows


def tagger_of(
    config: ModelConfig, num_labels: int, seed: int
) -> tuple[Any, Callable[[], dict[str, Any]]]:
    """The model's graph, and what makes its fresh parameters (to be traced) from `seed`."""

    def build(rngs):
        return BertForTokenClassification(config, num_labels, rngs=rngs)

    graph = nnx.split(nnx.eval_shape(lambda: build(nnx.Rngs(0))))[0]
    return graph, lambda: nnx.to_pure_dict(nnx.split(build(nnx.Rngs(jax.random.key(seed))))[1])


def label_inputs(batch: dict[str, Array], key: Array) -> dict[str, Array]:
    """What `label_losses` takes of a batch of rows [B, L]: as int32, with the seeds of dropout."""
    inputs = {name: rows.astype(jnp.int32) for name, rows in batch.items()}
    return inputs | {"dropout_seeds": row_seeds(key, len(inputs["input_ids"]))}


def label_losses(graph: Any, params: Any, ids: dict[str, Array]) -> dict[str, WeightedSum]:
    """Cross-entropy and accuracy over the labelled pieces of a batch [B, L], with dropout."""
    model = nnx.merge(graph, params)
    logits = model(ids["input_ids"], ids["sequence_ids"], seeds=ids["dropout_seeds"])
    weights = (ids["labels"] != NO_LABEL).astype(jnp.float32)
    labels = jnp.maximum(ids["labels"], 0)
    correct = (jnp.argmax(logits, -1) == labels) * weights
    return {
        "label_loss": cross_entropy(logits, labels, weights),
        "label_accuracy": WeightedSum(jnp.sum(correct), jnp.sum(weights)),
    }


@functools.partial(jax.jit, static_argnums=0)
def _probabilities(graph: Any, params: Any, input_ids: Array, sequence_ids: Array) -> Array:
    logits = nnx.merge(graph, params)(input_ids, sequence_ids)
    return jax.nn.softmax(logits, axis=-1)


def word_probabilities(
    graph: Any,
    params: Any,
    rows: NerRows,
    batch_sizes: Sequence[int],
    to_device: Callable[[dict[str, np.ndarray]], dict[str, Array]] = lambda batch: batch,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> np.ndarray:
    """Label probabilities of every word, float32 [W, labels], in reading order.

    Args:
      batch_sizes: numbers of rows to run at a time; each is compiled when it is first needed.
      to_device: places a batch on a mesh.
      progress: told how many rows are done, and of how many.
    """
    chunks = []
    for start, size in cut_batches(len(rows.input_ids), batch_sizes):
        part = slice(start, start + size)
        missing = max(0, start + size - len(rows.input_ids))
        batch = to_device(
            {
                "input_ids": np.pad(rows.input_ids[part], ((0, missing), (0, 0))),
                "sequence_ids": np.pad(rows.sequence_ids[part], ((0, missing), (0, 0))),
            }
        )
        chunks.append(np.asarray(_probabilities(graph, params, **batch)))
        progress(start + size - missing, len(rows.input_ids))
    if not chunks:
        return np.zeros((0, 1), np.float32)
    return np.concatenate(chunks)[rows.word_rows, rows.word_positions]


def cut_batches(num_rows: int, sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Cuts rows into batches of the given sizes: yields (first row, size); only the last is padded.

    The rest of the rows is filled up to a size that holds it if that adds at most half of it, and
    otherwise cut into smaller batches.
    """
    start = 0
    while (left := num_rows - start) > 0:
        above = min((size for size in sizes if size >= left), default=max(sizes))
        below = max((size for size in sizes if size <= left), default=above)
        size = above if above <= 1.5 * left else below
        yield start, size
        start += size


def split_by_sentence(values: np.ndarray, rows: NerRows) -> list[np.ndarray]:
    """Cuts an array over all words [W, …] into one a sentence."""
    return np.split(values, np.cumsum(rows.word_counts)[:-1]) if rows.word_counts else []
