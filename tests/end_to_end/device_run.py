"""Fine-tuning of a head on one device and on four that XLA simulates, for `test_devices.py`.

    python -m tests.end_to_end.device_run TASK VOCAB FILE

A process of its own, since a process has its devices from its start. Trains on an embedded sample
by the parts that `tasks/finetune.py` is made of, with dropout on, and writes each layout's losses,
last parameters and evaluation outputs to FILE (.npz): LAYOUT/losses, LAYOUT/outputs and so on.
"""

import functools
import sys
from pathlib import Path

import jax
import numpy as np

from biobert_jax.checkpoints.tree import flatten
from biobert_jax.config import MeshConfig, ModelConfig, OptimizerConfig
from biobert_jax.config_finetuning import FinetuneDataConfig
from biobert_jax.corpus.text.tokenization import load_tokenizer
from biobert_jax.data.order import row_order
from biobert_jax.tasks.forward import model_of, outputs_of, run_rows, task_inputs, task_losses
from biobert_jax.tasks.task import Setting, options_of, task_of
from biobert_jax.training.initial import initial_state
from biobert_jax.training.optimizer import make_optimizer
from biobert_jax.training.schedule import learning_rate
from biobert_jax.training.sharding import device_batch, make_mesh
from biobert_jax.training.step import make_train_step
from tests.end_to_end.conftest import ROOT

SAMPLES = ROOT / "biobert_jax/quickstart/samples"
STEPS, BATCH, LENGTH, DEVICES = 4, 8, 64, 4
FILES = {
    "ner": "entities/train.tsv",
    "classification": "relations/train.tsv",
    "qa": "questions/train.json",
}
# Name: devices, layout, attention.
LAYOUTS = {
    "one": (1, "dp", "xla"),
    "dp": (DEVICES, "dp", "fused"),
    "fsdp": (DEVICES, "fsdp", "fused"),
}


def train(name: str, vocab: Path, layout: str) -> dict[str, np.ndarray]:
    """Losses [steps], outputs of all rows, a matrix's part on a device, parameters by path."""
    count, mesh_layout, attention = LAYOUTS[layout]
    task = task_of(name)
    options = options_of(
        task, FinetuneDataConfig(stride=16) if name == "qa" else FinetuneDataConfig()
    )
    examples = task.read(SAMPLES / FILES[name], options)
    setting = Setting(task.labels(examples, options), options, load_tokenizer(vocab), LENGTH)
    encoded = task.encode(examples, setting, 0)
    arrays = encoded.arrays(with_targets=True)
    model = ModelConfig(
        vocab_size=len(setting.tokenizer.tokens),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=LENGTH,
        initializer_range=0.1,
        attention=attention,
    )
    mesh = make_mesh(MeshConfig(layout=mesh_layout), jax.devices()[:count])
    graph, create_params = model_of(task, model, setting, 0)
    config = OptimizerConfig(name="adamw", learning_rate=1e-2)
    optimizer = make_optimizer(config, STEPS)
    state, _ = initial_state(create_params, None, optimizer, mesh)
    step = make_train_step(
        task_inputs,
        functools.partial(task_losses, task, setting, graph),
        optimizer,
        learning_rate(config, STEPS),
        mesh,
        0,
        like=state,
    )
    losses = []
    for number in range(STEPS):
        chosen = row_order(len(encoded.rows), BATCH, 0, number)
        batch = {name: array[chosen] for name, array in arrays.items()}
        state, metrics = step(state, device_batch(mesh, batch))
        losses.append(float(metrics["loss"]))
    inputs = encoded.arrays(with_targets=False)
    outputs = run_rows(outputs_of(task, graph, mesh), state.params, inputs, (BATCH,), mesh)
    kernel = state.params["bert"]["encoder"]["layers"]["intermediate"]["kernel"]
    return {
        "losses": np.array(losses),
        "outputs": outputs,
        "part": np.array(kernel.addressable_shards[0].data.shape),
        **{f"params/{path}": np.asarray(x) for path, x in flatten(state.params).items()},
    }


def main(name: str, vocab: str, file: str) -> None:
    found = {layout: train(name, Path(vocab), layout) for layout in LAYOUTS}
    arrays = {f"{layout}/{key}": x for layout, own in found.items() for key, x in own.items()}
    np.savez(file, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
