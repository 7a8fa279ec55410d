"""The look at attention before a run: it passes what is right and stops what is not."""

import dataclasses

import jax.numpy as jnp
import pytest

from biobert_jax.config import ModelConfig
from biobert_jax.errors import UserError
from biobert_jax.model import attention_check
from biobert_jax.model.attention import attention

CONFIG = ModelConfig(
    hidden_size=128,
    num_attention_heads=2,
    attention="fused",
    attention_probs_dropout_prob=0.0,
)


def test_the_reference_is_not_compared_with_itself():
    assert attention_check.check_attention(dataclasses.replace(CONFIG, attention="xla"), 64) == 0


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_right_kernel_passes(dtype):
    config = dataclasses.replace(CONFIG, dtype=dtype)
    assert 0 <= attention_check.check_attention(config, 128) < 0.03


def wrong(query, key, value, sequence_ids, *, implementation):
    if implementation == "fused":
        value = value * 1.2
    return attention(query, key, value, sequence_ids, implementation="xla")


def leaking(query, key, value, sequence_ids, *, implementation):
    if implementation == "fused":
        sequence_ids = jnp.ones_like(sequence_ids)
    return attention(query, key, value, sequence_ids, implementation="xla")


@pytest.mark.parametrize("broken, word", [(wrong, "differs by"), (leaking, "see each other")])
def test_a_wrong_kernel_is_stopped(monkeypatch, broken, word):
    monkeypatch.setattr(attention_check, "attention", broken)
    with pytest.raises(UserError, match=f"{word}.*model.attention to 'xla'"):
        attention_check.check_attention(CONFIG, 64)
