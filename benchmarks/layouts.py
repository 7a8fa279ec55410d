"""The same losses in every layout: dp, fsdp, fsdp+tp, accumulation, scan or not, 1 or 8 devices.

    python benchmarks/layouts.py [--json FILE] [--only NAME,NAME]

A small BERT, float32, dropout on, 20 steps on packed rows of learnable made-up text, on CPU
devices that XLA simulates. Prints each layout's largest difference from one device's losses, and
from its last parameters. What is compared is the real step: `training/step.py`.
"""

import argparse
import functools
import json
import os
import sys
from pathlib import Path

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import numpy as np

from biobert_jax.config import MaskingConfig, MeshConfig, ModelConfig, OptimizerConfig
from biobert_jax.model.masking import SpecialIds
from biobert_jax.training.initial import initial_state
from biobert_jax.training.inputs import packed_inputs, with_dropout
from biobert_jax.training.objective import model_of, pretraining_losses
from biobert_jax.training.optimizer import make_optimizer
from biobert_jax.training.schedule import learning_rate
from biobert_jax.training.sharding import device_batch, make_mesh
from biobert_jax.training.step import make_train_step

STEPS, ROWS, LENGTH, VOCAB = 20, 16, 64, 203
SPECIAL = SpecialIds(VOCAB, cls=2, sep=3, mask=4)
# Name: devices, mesh keys, model keys, accumulation steps.
LAYOUTS: dict[str, tuple[int, dict, dict, int]] = {
    "1 device": (1, {}, {}, 1),
    "1 device, unrolled": (1, {}, {"scan_layers": False}, 1),
    "1 device, 4 micro-batches": (1, {}, {}, 4),
    "1 device, remat full": (1, {}, {"remat": "full"}, 1),
    "dp": (8, {"layout": "dp"}, {}, 1),
    "dp, 2 slices": (8, {"layout": "dp", "slices": 2}, {}, 1),
    "dp, 2 micro-batches": (8, {"layout": "dp"}, {}, 2),
    "fsdp": (8, {"layout": "fsdp"}, {}, 1),
    "fsdp 4 of 8": (8, {"layout": "fsdp", "fsdp": 4}, {}, 1),
    "fsdp, 2 micro-batches": (8, {"layout": "fsdp"}, {}, 2),
    "fsdp, 2 slices": (8, {"layout": "fsdp", "slices": 2}, {}, 1),
    "fsdp+tp": (8, {"layout": "fsdp+tp"}, {}, 1),
    "fsdp+tp, tensor 4": (8, {"layout": "fsdp+tp", "tensor": 4}, {}, 1),
    "fsdp+tp, unrolled": (8, {"layout": "fsdp+tp"}, {"scan_layers": False}, 1),
}


def batches() -> list[dict[str, np.ndarray]]:
    """Packed rows of sequences in which every token mostly follows from the one before."""
    rng = np.random.default_rng(0)
    follows = rng.permutation(np.arange(5, VOCAB))
    result = []
    for _ in range(STEPS):
        sequence_ids = np.sort(rng.integers(1, 4, (ROWS, LENGTH)), -1).astype(np.uint8)
        sequence_ids[0, -9:] = 0  # a row that is not full
        ids = rng.integers(5, VOCAB, (ROWS, LENGTH))
        for place in range(1, LENGTH):
            keeps = rng.random(ROWS) < 0.9
            ids[:, place] = np.where(keeps, follows[ids[:, place - 1] - 5], ids[:, place])
        starts = np.diff(sequence_ids.astype(int), axis=1, prepend=0) != 0
        ids = np.where(starts, SPECIAL.cls, ids) * (sequence_ids > 0)
        result.append({"input_ids": ids.astype(np.uint16), "sequence_ids": sequence_ids})
    return result


def train(name: str) -> tuple[np.ndarray, dict, dict[str, str]]:
    """Losses [steps], the last parameters, and specs of a matrix and of its first moment."""
    devices, mesh_keys, model_keys, accumulation = LAYOUTS[name]
    model = ModelConfig(
        vocab_size=VOCAB,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=LENGTH,
        initializer_range=0.1,
        **model_keys,
    )
    config = OptimizerConfig(name="adamw", learning_rate=1e-2, warmup_steps=3)
    mesh = make_mesh(MeshConfig(**mesh_keys), jax.devices()[:devices])
    graph, create_params = model_of(model, 0)
    optimizer = make_optimizer(config, STEPS)
    state, _ = initial_state(create_params, None, optimizer, mesh)
    step = make_train_step(
        with_dropout(
            functools.partial(packed_inputs, special=SPECIAL, masking=MaskingConfig(rate=0.3))
        ),
        functools.partial(pretraining_losses, graph),
        optimizer,
        learning_rate(config, STEPS),
        mesh,
        0,
        like=state,
        accumulation_steps=accumulation,
    )
    losses = []
    for batch in batches():
        state, metrics = step(state, device_batch(mesh, batch))
        losses.append(float(metrics["loss"]))
    kernel = state.params["bert"]["encoder"]["layers"]["intermediate"]["kernel"]
    moments = [x for x in jax.tree.leaves(state.opt_state) if x.shape == kernel.shape]
    specs = {"kernel": str(kernel.sharding.spec), "moment": str(moments[0].sharding.spec)}
    specs["kernel_part"] = str(kernel.addressable_shards[0].data.shape)
    return np.array(losses), jax.device_get(state.params), specs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default=",".join(LAYOUTS).replace(", ", ";"), metavar="NAMES")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    names = [name.replace(";", ", ") for name in args.only.split(",")]
    expected, params, _ = train("1 device")
    print(f"one device: loss {expected[0]:.4f} to {expected[-1]:.4f} in {STEPS} steps")
    results = {}
    for name in names:
        losses, found, specs = train(name)
        loss = float(np.abs(losses - expected).max())
        worst = max(
            float(np.abs(a - b).max())
            for a, b in zip(jax.tree.leaves(params), jax.tree.leaves(found), strict=True)
        )
        results[name] = {"loss": loss, "params": worst, **specs}
        print(f"{name:28s} losses differ by {loss:.1e}, parameters by {worst:.1e}  {specs}")
        sys.stdout.flush()
    if args.json:
        args.json.write_text(json.dumps(results))


if __name__ == "__main__":
    main()
