"""Models of a few numbers, for tests that need no training."""

import numpy as np

from biobert_jax.checkpoints.table import TABLE
from biobert_jax.checkpoints.tree import unflatten
from biobert_jax.config import ModelConfig
from biobert_jax.corpus.text.tokenization import SPECIAL_NAMES, load_tokenizer

TOKENS = [*SPECIAL_NAMES, *"abcdefgh", "Ab", "Cd"]
MODEL = ModelConfig(
    vocab_size=len(TOKENS),
    hidden_size=4,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=6,
    max_position_embeddings=16,
)
LABELS = ("O", "B-Drug", "I-Drug")


def tiny_params(*heads, model=MODEL, num_labels=3, seed=0):
    """Random parameters of an encoder and of some of `table.HEADS`."""
    draw = np.random.default_rng(seed)
    sizes = {**vars(model), "labels": num_labels, "classifier_inputs": model.hidden_size}
    return unflatten(
        {
            entry.ours: draw.normal(size=[sizes.get(s, s) for s in entry.shape]).astype(np.float32)
            for entry in TABLE
            if entry.ours.split("/")[0] in ("bert", *heads)
        }
    )


def tiny_tokenizer(folder, tokens=TOKENS):
    """The tokenizer of a vocabulary that is written there."""
    path = folder / "given.txt"
    path.write_text("".join(f"{token}\n" for token in tokens))
    return load_tokenizer(path)
