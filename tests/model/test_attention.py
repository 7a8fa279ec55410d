"""Every implementation of attention against the plain one, and what each refuses."""

import functools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from biobert_jax.config import ATTENTION
from biobert_jax.errors import UserError
from biobert_jax.model import attention_kernels
from biobert_jax.model.attention import attention, choose
from biobert_jax.model.dropout import row_seeds

KERNELS = ("fused", "splash", "triton")
BATCH, LENGTH, HEADS, SIZE = 2, 160, 4, 32


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=(4, BATCH, LENGTH, HEADS, SIZE)).astype(np.float32)
    sequence_ids = np.zeros((BATCH, LENGTH), np.int32)
    sequence_ids[0] = np.repeat([1, 2, 3, 0], [70, 40, 30, 20])
    sequence_ids[1] = np.repeat([1, 2], [31, 129])
    return [jnp.array(x) for x in arrays], jnp.array(sequence_ids)


@functools.partial(jax.jit, static_argnames=("implementation", "dropout_rate"))
def value_and_gradients(inputs, implementation, **options):
    (query, key, value, cotangent), sequence_ids = inputs

    def run(*arrays):
        return attention(*arrays, sequence_ids, implementation=implementation, **options)

    context, pull_back = jax.vjp(run, query, key, value)
    return context, *pull_back(cotangent)


@pytest.mark.parametrize("implementation", KERNELS)
def test_kernels_equal_xla(inputs, implementation):
    ours = value_and_gradients(inputs, implementation)
    expected = value_and_gradients(inputs, "xla")
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=5e-6, rtol=0)


def test_fused_drops_the_same_probabilities_as_xla(inputs):
    options = {"dropout_rate": 0.2, "dropout_seeds": row_seeds(jax.random.key(1), BATCH)}
    ours = value_and_gradients(inputs, "fused", **options)
    expected = value_and_gradients(inputs, "xla", **options)
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=5e-6, rtol=0)
    assert not np.allclose(ours[0], value_and_gradients(inputs, "xla")[0], atol=1e-2)


@pytest.mark.parametrize("implementation", KERNELS)
def test_kernels_leak_nothing_between_sequences(inputs, implementation):
    (query, key, value, _), sequence_ids = inputs

    @jax.jit
    @functools.partial(jax.grad, argnums=(0, 1))
    def gradients(key, value):
        context = attention(query, key, value, sequence_ids, implementation=implementation)
        return jnp.sum(jnp.sin(context) * (sequence_ids == 2)[..., None, None])

    own = np.asarray(sequence_ids == 2)
    for gradient in gradients(key, value):
        assert np.all(np.asarray(gradient)[~own] == 0.0)
        assert np.all(np.abs(np.asarray(gradient)[own]).max((-1, -2)) > 0)


def test_the_bias_of_cudnn_keeps_sequences_apart(inputs):
    (query, key, value, cotangent), sequence_ids = inputs
    for dtype in (jnp.bfloat16, jnp.float16, jnp.float32):
        bias = attention_kernels.packed_bias(sequence_ids, dtype)
        same = sequence_ids[:, None, :, None] == sequence_ids[:, None, None, :]
        assert bias.shape == (BATCH, 1, LENGTH, LENGTH) and bias.dtype == dtype
        assert np.array_equal(bias == 0, same)
        assert np.all(np.asarray(jnp.exp(bias.astype(jnp.float32)))[~np.asarray(same)] == 0.0)

    @jax.jit
    def by_cudnn(*arrays):
        context, pull_back = jax.vjp(
            lambda *x: attention_kernels.cudnn(*x, sequence_ids, implementation="xla"), *arrays
        )
        return context, *pull_back(cotangent)

    ours = by_cudnn(query, key, value)
    for one, other in zip(ours, value_and_gradients(inputs, "xla"), strict=True):
        np.testing.assert_allclose(one, other, atol=5e-6, rtol=0)


def test_cudnn_equals_xla(inputs):
    if jax.default_backend() != "gpu":
        pytest.skip("cuDNN needs a GPU")
    (query, key, value, _), sequence_ids = inputs
    query, key, value = (x.astype(jnp.bfloat16) for x in (query, key, value))
    ours = attention(query, key, value, sequence_ids, implementation="cudnn")
    expected = attention(query, key, value, sequence_ids, implementation="xla")
    np.testing.assert_allclose(ours.astype(jnp.float32), expected.astype(jnp.float32), atol=0.05)


def test_auto_is_the_reference_but_on_a_tpu():
    assert choose("auto", True, 512, 768, 64) == "xla"
    assert choose("auto", True, 512, 768, 64, platform="gpu") == "xla"
    assert choose("auto", True, 512, 768, 64, platform="tpu") == "fused"
    assert choose("auto", False, 1024, 768, 64, platform="tpu") == "splash"
    assert choose("auto", True, 1024, 768, 64, platform="tpu") == "xla"


@pytest.mark.parametrize(
    "implementation", [x for x in ATTENTION if x not in ("auto", "xla", "fused")]
)
def test_what_cannot_drop_probabilities_says_so(inputs, implementation):
    with pytest.raises(UserError, match="attention_probs_dropout_prob to 0"):
        value_and_gradients(
            inputs,
            implementation,
            dropout_rate=0.1,
            dropout_seeds=row_seeds(jax.random.key(0), BATCH),
        )


@pytest.mark.parametrize(
    ("implementation", "length", "hidden", "message"),
    [
        ("cudnn_flash_jax", 128, 768, "not known to keep packed sequences apart"),
        ("fused", 1024, 768, "at most 512"),
        ("fused", 128, 800, "cannot deal"),
    ],
)
def test_refusals_name_the_remedy(implementation, length, hidden, message):
    with pytest.raises(UserError, match=message):
        choose(implementation, False, length, hidden, hidden // 8)


def test_cudnn_refuses_float32(inputs):
    (query, key, value, _), sequence_ids = inputs
    with pytest.raises(UserError, match="model.dtype to 'bfloat16'"):
        attention(query, key, value, sequence_ids, implementation="cudnn")


ON_A_MESH = """
import functools, jax, numpy as np
from biobert_jax.config import MeshConfig
from biobert_jax.model.attention import attention
from biobert_jax.model.dropout import row_seeds
from biobert_jax.training.sharding import make_mesh
arrays = np.random.default_rng(0).normal(size=(3, 4, 128, 8, 32)).astype("float32")
ids = np.repeat([[1] * 50 + [2] * 78], 4, 0)
seeds = row_seeds(jax.random.key(0), 4)
mesh = make_mesh(MeshConfig(layout="fsdp+tp", tensor=2), heads=8)
for name, rate in (("fused", 0.1), ("splash", 0.0)):
    def loss(name, *arrays, rate=rate):
        context = attention(
            *arrays, ids, implementation=name, dropout_rate=rate, dropout_seeds=seeds
        )
        return (context ** 2).sum(), context
    def run(name):
        gradients = jax.value_and_grad(functools.partial(loss, name), (0, 1, 2), has_aux=True)
        (_, context), found = jax.jit(gradients)(*arrays)
        return context, *found
    with jax.set_mesh(mesh):
        found = run(name)
    for one, other in zip(found, run("xla")):
        assert np.abs(np.asarray(one) - np.asarray(other)).max() < 2e-5, name
"""


def test_kernels_run_on_their_own_rows_and_heads():
    flags = "--xla_force_host_platform_device_count=4"
    done = subprocess.run(
        [sys.executable, "-c", ON_A_MESH],
        env=os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
