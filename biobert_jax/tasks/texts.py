"""Texts and pairs of texts as packed rows, cut where they are too long."""

from collections.abc import Mapping, Sequence

import numpy as np

from biobert_jax.corpus.text.tokenization import SpecialTokens
from biobert_jax.tasks.files.examples import TextExample
from biobert_jax.tasks.markers import Marked, cut_text, mark_texts
from biobert_jax.tasks.rows import Rows, pack
from biobert_jax.tasks.task import Setting
from biobert_jax.units import plural


def pack_texts(
    examples: Sequence[TextExample], setting: Setting, seed: int | None
) -> tuple[Rows, Mapping[str, np.ndarray], tuple[str, ...]]:
    """A sequence an example: [CLS] text [SEP], or [CLS] text [SEP] second text [SEP].

    Returns:
      The rows; what the head takes beside them: `positions`, of each sequence's [CLS], int32
      [N, K], or of its two marks, [N, K, 2]; and what the user should be told.
    """
    tokenizer, length = setting.tokenizer, setting.max_seq_length
    by_marks = setting.options.get("pooling", "cls") == "markers"
    how = setting.options.get("markers", "none")
    texts = mark_texts(tokenizer, examples, how, find=by_marks)
    pairs = tokenizer.encode_batch([example.pair for example in examples])
    sequences, second, marks = [], [], []
    for text, pair in zip(texts, pairs, strict=True):
        ids, begins, own = sequence_of(text, list(pair), tokenizer.special, length)
        sequences.append(ids)
        second.append(begins)
        marks.append(own)
    has_pairs = any(map(len, pairs))
    rows = pack(sequences, length, tokenizer.special, second=second if has_pairs else (), seed=seed)
    positions = rows.starts()
    if by_marks:
        places = rows.offsets[:, None] + np.array(marks, np.int64).reshape(-1, 2)
        positions = rows.of_sequences(places.astype(np.int32), fill=0)
    notes = []
    sizes = [len(t.ids) + len(p) + 2 + bool(len(p)) for t, p in zip(texts, pairs, strict=True)]
    if num_cut := sum(size > length for size in sizes):
        notes.append(
            f"{num_cut:,} of {plural(len(examples), 'text')} longer than {length} pieces: cut"
        )
    if num_lost := sum(0 in own for own in marks):
        notes.append(f"{plural(num_lost, 'text')} with mentions too far apart: one is cut off")
    return rows, {"positions": positions}, tuple(notes)


def sequence_of(
    text: Marked, pair: list[int], special: SpecialTokens, length: int
) -> tuple[list[int], int, tuple[int, ...]]:
    """A sequence's ids, where its second segment begins, and where its marks stand.

    A mark that was cut off stands at [CLS]. Where both are too long together, the longer one gives
    way (upstream's `_truncate_seq_pair`).
    """
    capacity = length - 3 if pair else length - 2
    half = (capacity + 1) // 2
    own = min(len(text.ids), max(half, capacity - len(pair)))
    text = cut_text(text, own)
    pair = pair[: capacity - len(text.ids)]
    ids = [special.cls, *text.ids, special.sep]
    begins = len(ids)
    return ids + ([*pair, special.sep] if pair else []), begins, tuple(m + 1 for m in text.marks)
