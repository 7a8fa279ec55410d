"""The step and the predictions of a fine-tuning config, lowered for a topology without its data."""

import dataclasses
import functools
import math
import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from biobert_jax.aot.cost import Outputs
from biobert_jax.aot.program import DEFAULT_VOCAB_SIZE
from biobert_jax.aot.topology import Topology
from biobert_jax.checkpoints.load import load_checkpoint
from biobert_jax.config import MeshConfig, ModelConfig
from biobert_jax.config_finetuning import FinetuneConfig
from biobert_jax.corpus.dataset.records import RecordFormat
from biobert_jax.corpus.text.tokenization import SPECIAL_NAMES, load_tokenizer
from biobert_jax.errors import UserError
from biobert_jax.model import loops
from biobert_jax.tasks.forward import model_of, outputs_of, task_inputs, task_losses
from biobert_jax.tasks.task import Setting, Task, options_of, task_of
from biobert_jax.training.flops import training_flops
from biobert_jax.training.initial import abstract_state
from biobert_jax.training.optimizer import make_optimizer
from biobert_jax.training.schedule import learning_rate
from biobert_jax.training.sharding import check_batch, make_mesh, row_sharding
from biobert_jax.training.step import jit_train_step

# Of a classifier whose labels nothing says; and of sequences in a row, of which data decide.
DEFAULT_LABELS, DEFAULT_SEQUENCES = 3, 8
# Updates, over which a schedule is drawn; their number changes nothing of what is compiled.
_NUM_STEPS = 1000


@dataclasses.dataclass(frozen=True)
class Computed:
    """What of a config decides a program's costs; named as `PretrainConfig`'s groups are."""

    model: ModelConfig
    mesh: MeshConfig
    train: Any
    data: Any


@dataclasses.dataclass(frozen=True)
class FinetuneProgram:
    """A fine-tuning step that is to be compiled, as `program.Program` is for pre-training.

    Attributes:
      arrays: of a batch, shapes [rows, …] and types by name.
      targets: which of them are not there where a model predicts.
    """

    finetune: FinetuneConfig
    config: Computed
    format: RecordFormat
    topology: Topology
    task: Task
    setting: Setting
    arrays: dict[str, jax.ShapeDtypeStruct]
    targets: tuple[str, ...]

    @property
    def rows_per_chip(self) -> float:
        """Rows of the global batch over the chips."""
        return self.config.data.batch_size / self.topology.num_chips

    @property
    def model_flops_per_chip(self) -> float:
        """What the formula gives for a chip's part of full rows, each one sequence."""
        length = self.format.max_seq_length
        return self.rows_per_chip * training_flops(
            self.config.model, tokens=length, squared_lengths=length**2, predictions=0
        )

    def lower(self, **rounds: int) -> Any:
        """The step as a `jax.stages.Lowered`; `rounds` of its loops' bodies, see `model.loops`."""
        mesh, graph, state, optimizer = self._parts()
        config = self.finetune
        step = jit_train_step(
            task_inputs,
            functools.partial(task_losses, self.task, self.setting, graph),
            optimizer,
            learning_rate(config.optimizer, _NUM_STEPS),
            config.seed,
            like=state,
            accumulation_steps=config.train.accumulation_steps,
            gradient_dtype=config.train.gradient_dtype,
        )
        with jax.set_mesh(mesh), loops.bodies_of(**rounds):
            return step.lower(state, self._batch(mesh, self.arrays))

    def outputs(self) -> Outputs:
        """What evaluation and test scoring run on a batch, while the optimizer's state waits."""
        mesh, graph, state, _ = self._parts()
        names = [name for name in self.arrays if name not in self.targets]
        batch = self._batch(mesh, {name: self.arrays[name] for name in names})
        with jax.set_mesh(mesh):
            lowered = outputs_of(self.task, graph, mesh).lower(state.params, batch)
        return Outputs(lowered, sum(map(_bytes_a_chip, jax.tree.leaves(state.opt_state))))

    def _parts(self):
        config = self.config
        heads = config.model.num_attention_heads
        mesh = make_mesh(config.mesh, self.topology.devices, heads=heads)
        check_batch(mesh, config.data.batch_size, config.train.accumulation_steps)
        graph, create = model_of(self.task, config.model, self.setting, self.finetune.seed)
        optimizer = make_optimizer(self.finetune.optimizer, _NUM_STEPS)
        return mesh, graph, abstract_state(create, optimizer, mesh), optimizer

    def _batch(self, mesh, arrays) -> dict[str, jax.ShapeDtypeStruct]:
        sharding = row_sharding(mesh)
        return {
            name: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)
            for name, x in arrays.items()
        }


def make_finetune_program(
    config: FinetuneConfig,
    topology: Topology,
    *,
    rows_per_chip: int | None = None,
    num_labels: int = DEFAULT_LABELS,
    sequences_a_row: int = DEFAULT_SEQUENCES,
    model: ModelConfig | None = None,
) -> FinetuneProgram:
    """The step of a config on a topology.

    Args:
      rows_per_chip: instead of data.batch_size, which counts the rows of all chips.
      num_labels: of the classifier; data say it otherwise.
      sequences_a_row: the most that a packed row holds; data say it otherwise.
      model: None: that of `init`, or, without one, BERT-base.

    Raises:
      UserError: `init` cannot be read; rows longer than the model's positions.
    """
    task = task_of(config.task)
    if model is None and config.init:
        model = load_checkpoint(config.init).model
    model = model or ModelConfig(vocab_size=DEFAULT_VOCAB_SIZE)
    model = dataclasses.replace(model, **dataclasses.asdict(config.model))
    length = config.data.max_seq_length
    if length > model.max_position_embeddings:
        raise UserError(
            f"data.max_seq_length {length} is over the model's {model.max_position_embeddings}"
        )
    batch_size = config.data.batch_size
    if rows_per_chip is not None:
        if rows_per_chip < 1:
            raise UserError(f"--rows_per_chip is {rows_per_chip}: it must be at least 1")
        batch_size = rows_per_chip * topology.num_chips
    options = options_of(task, config.data)
    labels = tuple(options.get("labels") or map(str, range(num_labels)))
    options = task.fit_options([task.sample], options, labels)
    with tempfile.TemporaryDirectory() as folder:
        vocab = Path(folder) / "vocab.txt"
        vocab.write_text("".join(f"{token}\n" for token in (*SPECIAL_NAMES, "a")))
        setting = Setting(labels, options, load_tokenizer(vocab), length)
        encoded = task.encode([task.sample], setting, None)
    arrays = {
        name: _shape(array, batch_size, length, sequences_a_row)
        for name, array in encoded.arrays(with_targets=True).items()
    }
    data = dataclasses.replace(config.data, batch_size=batch_size)
    mesh = dataclasses.replace(config.mesh, slices=topology.slices)
    return FinetuneProgram(
        config,
        Computed(model, mesh, config.train, data),
        RecordFormat("packed", "mlm", length, model.vocab_size),
        topology,
        task,
        setting,
        arrays,
        tuple(encoded.targets),
    )


def _bytes_a_chip(x: jax.ShapeDtypeStruct) -> int:
    return math.prod(x.sharding.shard_shape(x.shape)) * x.dtype.itemsize


def _shape(array: np.ndarray, rows: int, length: int, sequences: int) -> jax.ShapeDtypeStruct:
    """Of one row with one sequence, [1, L, …] or [1, 1, …], to that of a batch."""
    second = length if array.shape[1] == length else sequences
    return jax.ShapeDtypeStruct((rows, second, *array.shape[2:]), jnp.dtype(array.dtype))
