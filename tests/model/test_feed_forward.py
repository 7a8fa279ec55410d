"""The feed-forward kernel against the plain products, and what it refuses."""

import functools
import os
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biobert_jax.errors import UserError
from biobert_jax.model.feed_forward import feed_forward


def inputs(batch, length, size, inner, dtype=jnp.float32):
    keys = jax.random.split(jax.random.key(0), 6)
    shapes = [(batch, length, size), (size, inner), (inner,), (inner, size), (size,)]
    scales = (1, size**-0.5, 1, inner**-0.5, 1)
    arrays = [
        (jax.random.normal(key, shape) * scale).astype(dtype)
        for key, shape, scale in zip(keys, shapes, scales, strict=False)
    ]
    return arrays, jax.random.normal(keys[5], shapes[0]).astype(dtype)


@functools.partial(jax.jit, static_argnames=("activation", "implementation"))
def output_and_gradients(arrays, cotangent, **options):
    output, pull_back = jax.vjp(lambda *x: feed_forward(*x, **options), *arrays)
    return output, *pull_back(cotangent)


def worst(found, expected):
    return max(
        float(jnp.abs(a.astype(jnp.float32) - b.astype(jnp.float32)).max() / jnp.abs(b).max())
        for a, b in zip(found, expected, strict=True)
    )


def test_fused_equals_xla():
    assert_fused_equals_xla(blocks=3, size=128, inner=640, activation="gelu")


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(
    blocks=st.integers(1, 7),
    size=st.sampled_from([128, 256]),
    inner=st.sampled_from([128, 640, 896]),
    activation=st.sampled_from(["gelu", "gelu_tanh", "relu"]),
)
def test_fused_equals_xla_at_any_size(blocks, size, inner, activation):
    assert_fused_equals_xla(blocks, size, inner, activation)


def assert_fused_equals_xla(blocks, size, inner, activation):
    arrays, cotangent = inputs(blocks, 128, size, inner)
    ours = output_and_gradients(arrays, cotangent, activation=activation, implementation="fused")
    expected = output_and_gradients(arrays, cotangent, activation=activation)
    assert worst(ours, expected) < 2e-6


def test_in_bfloat16_fused_is_nearer_to_the_truth_than_xla():
    arrays, cotangent = inputs(4, 256, 128, 512, jnp.bfloat16)
    truth = output_and_gradients(
        [x.astype(jnp.float32) for x in arrays], cotangent.astype("float32")
    )
    fused = output_and_gradients(arrays, cotangent, implementation="fused")
    plain = output_and_gradients(arrays, cotangent)
    assert all(x.dtype == jnp.bfloat16 for x in fused)
    assert worst(fused, truth) < min(0.02, 1.1 * worst(plain, truth))


@pytest.mark.parametrize("shape", [(1, 100, 128, 128), (1, 128, 96, 128), (1, 128, 128, 200)])
def test_what_is_not_in_128s_is_refused(shape):
    arrays, _ = inputs(*shape)
    with pytest.raises(UserError, match="model.feed_forward 'fused' works on 128s"):
        feed_forward(*arrays, implementation="fused")


ON_DEVICES = textwrap.dedent(
    """
    import jax, numpy as np
    from biobert_jax.config import MeshConfig
    from biobert_jax.errors import UserError
    from biobert_jax.training.sharding import make_mesh
    from tests.model.test_feed_forward import inputs, output_and_gradients, worst

    arrays, cotangent = inputs(8, 128, 128, 256)
    expected = output_and_gradients(arrays, cotangent)
    fused = jax.jit(lambda *x: output_and_gradients(*x, implementation="fused"))
    for layout in ("dp", "fsdp"):
        with jax.set_mesh(make_mesh(MeshConfig(layout), jax.devices(), heads=2)):
            found = fused(arrays, cotangent)
        assert worst(jax.device_get(found), expected) < 2e-6, layout
    with jax.set_mesh(make_mesh(MeshConfig("fsdp+tp", tensor=2), jax.devices(), heads=2)):
        try:
            fused(arrays, cotangent)
        except UserError as error:
            assert "mesh.layout to 'fsdp'" in str(error)
        else:
            raise AssertionError("not refused")
    """
)


@pytest.mark.slow
def test_on_four_devices_it_gives_the_same():
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    subprocess.run([sys.executable, "-c", ON_DEVICES], check=True, env=environment)
