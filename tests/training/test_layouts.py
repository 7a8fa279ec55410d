"""Every layout gives the losses of one device, and holds what it says on each of them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from jax.sharding import PartitionSpec as P

from biobert_jax.config import MeshConfig, ModelConfig, OptimizerConfig
from biobert_jax.errors import UserError
from biobert_jax.model.partitioning import parameter_spec, tree_specs
from biobert_jax.training.objective import model_of
from biobert_jax.training.optimizer import make_optimizer
from biobert_jax.training.sharding import check_batch, make_mesh

ROOT = Path(__file__).resolve().parents[2]


class Shape(dict):
    """A mesh as far as specs need one."""

    @property
    def shape(self):
        return self


MESH = Shape(data=2, fsdp=4, tensor=2)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_all_layouts_give_the_losses_of_one_device(tmp_path):
    """By the benchmark's table, from a process with eight devices."""
    output = tmp_path / "layouts.json"
    subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/layouts.py"), "--json", str(output)],
        check=True,
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        cwd=ROOT,
    )
    results = json.loads(output.read_text())
    assert len(results) > 10
    for name, result in results.items():
        assert result["loss"] < 1e-5, (name, result)
        assert result["params"] < 1e-3, (name, result)
    # [3 layers, 32, 64] over 8 devices by fsdp, and over 4 by fsdp and 2 by tensor.
    dealt = {"fsdp, 2 micro-batches": "(3, 4, 64)", "fsdp+tp": "(3, 8, 32)"}
    for name, part in dealt.items():
        assert results[name]["kernel_part"] == part
        assert results[name]["moment"] == results[name]["kernel"]


def parameters(layers=3):
    config = ModelConfig(
        vocab_size=28996,
        hidden_size=64,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=128,
    )
    return jax.eval_shape(model_of(config, 0)[1])


def test_every_large_parameter_is_dealt_out():
    params = parameters()
    specs = tree_specs(params, params, MESH)
    leaves = jax.tree_util.tree_leaves_with_path(params)
    for (path, leaf), spec in zip(leaves, jax.tree.leaves(specs), strict=True):
        dealt = any(name is not None for name in spec)
        is_matrix = path[-1].key in ("kernel", "embedding")
        tiny = min(leaf.shape) == 2 or "token_type" in str(path)
        assert dealt or not is_matrix or tiny, path


def test_an_axis_that_does_not_divide_stays_whole():
    path = ("bert", "embeddings", "word_embeddings", "embedding")
    assert parameter_spec(path, (28996, 768), MESH) == P("tensor", "fsdp")
    assert parameter_spec(path, (28997, 768), MESH) == P(None, "fsdp")
    assert parameter_spec(path, (28996, 770), MESH) == P("tensor", None)


@pytest.mark.parametrize("name", ["bert_adamw", "adamw", "lamb", "muon"])
def test_moments_lie_as_their_parameters(name):
    params = parameters()
    optimizer = make_optimizer(OptimizerConfig(name=name), 10)
    specs = tree_specs(jax.eval_shape(optimizer.init, params), params, MESH)
    found = {
        tuple(str(getattr(key, "key", "")) for key in path[-3:]): spec
        for path, spec in jax.tree_util.tree_leaves_with_path(specs)
    }
    assert found["layers", "intermediate", "kernel"] == P(None, "fsdp", "tensor")
    assert found["attention", "output", "kernel"] == P(None, "tensor", "fsdp")
    assert found["layers", "output", "kernel"] == P(None, "tensor", "fsdp")


@pytest.mark.parametrize(
    "config, heads, word",
    [
        (MeshConfig("fsdp+tp", tensor=2), 4, "mesh.tensor"),
        (MeshConfig("fsdp", fsdp=3), 4, "mesh.fsdp"),
        (MeshConfig("dp", slices=2), 4, "slice"),
        (MeshConfig("fsdp+tp", tensor=1), 4, None),
    ],
)
def test_what_cannot_be_dealt_out_is_refused(config, heads, word):
    devices = jax.devices()[:1]
    if word is None:
        assert dict(make_mesh(config, devices, heads=heads).shape) == {
            "data": 1,
            "fsdp": 1,
            "tensor": 1,
        }
    else:
        with pytest.raises(UserError, match=word):
            make_mesh(config, devices, heads=heads)


def test_a_batch_that_cannot_be_dealt_out_is_refused():
    mesh = make_mesh(MeshConfig(), jax.devices()[:1])
    check_batch(mesh, 12, 4)
    with pytest.raises(UserError, match="batch_size 12 is not a multiple of 5 .*: 10 is"):
        check_batch(mesh, 12, 5)
