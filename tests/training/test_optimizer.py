"""The update rule against a transcription of upstream's `optimization.py` in NumPy; schedules."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from biobert_jax.config import ModelConfig, OptimizerConfig
from biobert_jax.errors import UserError
from biobert_jax.training.optimizer import decay_mask, learning_rate, make_optimizer
from biobert_jax.training.pretrain import init_model


def upstream_rate(step, peak, warmup, total):
    if step < warmup:
        return peak * step / warmup
    return peak * (1 - min(step, total) / total)


def test_bert_adamw_equals_upstream():
    config = OptimizerConfig(learning_rate=0.1, warmup_steps=3, clip_norm=1.0)
    params = {"a": {"kernel": jnp.array([1.0, -2.0]), "bias": jnp.array([0.5])}}
    optimizer = make_optimizer(config, 10)
    state = optimizer.init(params)
    expected = {"kernel": np.array([1.0, -2.0]), "bias": np.array([0.5])}
    m = {k: np.zeros_like(v) for k, v in expected.items()}
    v = {k: np.zeros_like(x) for k, x in expected.items()}
    rng = np.random.default_rng(0)
    for step in range(10):
        grads = {"kernel": rng.normal(size=2), "bias": rng.normal(size=1)}
        norm = np.sqrt(sum((g**2).sum() for g in grads.values()))
        updates, state = optimizer.update(
            {"a": {k: jnp.array(g, jnp.float32) for k, g in grads.items()}}, state, params
        )
        params = optax.apply_updates(params, updates)
        for name, grad in grads.items():
            grad = grad * min(1.0, 1.0 / norm)
            m[name] = 0.9 * m[name] + 0.1 * grad
            v[name] = 0.999 * v[name] + 0.001 * grad**2
            update = m[name] / (np.sqrt(v[name]) + 1e-6)
            if name == "kernel":
                update = update + 0.01 * expected[name]
            expected[name] = expected[name] - upstream_rate(step, 0.1, 3, 10) * update
        for name in expected:
            np.testing.assert_allclose(params["a"][name], expected[name], rtol=2e-5)


def test_schedule_is_upstreams_at_every_step():
    schedule = learning_rate(OptimizerConfig(learning_rate=2.0, warmup_steps=10), 100)
    for step in range(101):
        assert float(schedule(step)) == pytest.approx(upstream_rate(step, 2.0, 10, 100), abs=1e-6)


def test_power_and_warmup_fraction():
    config = OptimizerConfig(learning_rate=1.0, warmup_fraction=0.2, power=0.5)
    schedule = learning_rate(config, 50)
    assert float(schedule(5)) == pytest.approx(0.5)
    assert float(schedule(32)) == pytest.approx((1 - 32 / 50) ** 0.5)
    with pytest.raises(UserError, match="warmup_steps 60"):
        learning_rate(OptimizerConfig(warmup_steps=60), 50)


def test_what_is_decayed():
    config = ModelConfig(
        vocab_size=11,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=8,
    )
    _, params = init_model(config, 0)
    mask = decay_mask(params, frozen=("nsp", "pooler"))
    layers = mask["bert"]["encoder"]["layers"]
    assert layers["attention"]["query"] == {"kernel": True, "bias": False}
    assert layers["attention_norm"] == {"scale": False, "bias": False}
    assert mask["bert"]["embeddings"]["word_embeddings"]["embedding"] is True
    assert mask["mlm"]["bias"] is False
    assert mask["nsp"]["kernel"] is False and mask["pooler"]["kernel"] is False
