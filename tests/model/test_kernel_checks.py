"""The look at kernels before a run: it passes what is right and stops what is not."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from biobert_jax.config import ModelConfig
from biobert_jax.errors import UserError
from biobert_jax.model import kernel_checks
from biobert_jax.model.attention import attention
from biobert_jax.model.feed_forward import feed_forward

CONFIG = ModelConfig(
    hidden_size=128,
    num_attention_heads=2,
    intermediate_size=256,
    attention="fused",
    feed_forward="fused",
    attention_probs_dropout_prob=0.0,
)


def test_the_reference_is_not_compared_with_itself():
    config = dataclasses.replace(CONFIG, attention="xla", feed_forward="xla")
    assert kernel_checks.check_attention(config, 64) == 0
    assert kernel_checks.check_feed_forward(config) == 0


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_right_kernel_passes(dtype):
    config = dataclasses.replace(CONFIG, dtype=dtype)
    assert 0 < kernel_checks.check_attention(config, 128) < 0.03
    assert 0 < kernel_checks.check_feed_forward(config) < 0.03


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
    monkeypatch.setattr(kernel_checks, "attention", broken)
    with pytest.raises(UserError, match=f"{word}.*model.attention to 'xla'"):
        kernel_checks.check_attention(CONFIG, 64)


def without_gradient_of_bias(x, wide_kernel, wide_bias, *rest, activation, implementation):
    if implementation == "fused":
        wide_bias = jax.lax.stop_gradient(wide_bias)
    return feed_forward(x, wide_kernel, wide_bias, *rest, activation=activation)


def not_a_number(x, *parameters, activation, implementation):
    y = feed_forward(x, *parameters, activation=activation)
    return y * jnp.nan if implementation == "fused" else y


def test_a_kernel_that_fails_is_one_line(monkeypatch):
    def failing(*arrays, implementation, **options):
        if implementation == "fused":
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: vmem\nProgram …")
        return attention(*arrays, implementation=implementation)

    monkeypatch.setattr(kernel_checks, "attention", failing)
    with pytest.raises(UserError, match=r"fails \(RESOURCE_EXHAUSTED: vmem\).*to 'xla'") as error:
        kernel_checks.check_kernels(CONFIG, 64)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("broken", [without_gradient_of_bias, not_a_number])
def test_a_wrong_feed_forward_is_stopped(monkeypatch, broken):
    monkeypatch.setattr(kernel_checks, "feed_forward", broken)
    with pytest.raises(UserError, match="differs by.*model.feed_forward to 'xla'"):
        kernel_checks.check_kernels(CONFIG, 64)
