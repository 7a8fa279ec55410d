"""The training step of a config, lowered for a topology: nothing of it is run."""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np

from biobert_jax.aot.topology import Topology
from biobert_jax.config import PretrainConfig
from biobert_jax.corpus.dataset.records import RecordFormat
from biobert_jax.data.folders import open_prepared
from biobert_jax.errors import UserError
from biobert_jax.model import loops
from biobert_jax.model.masking import SpecialIds, num_predictions
from biobert_jax.training.flops import training_flops
from biobert_jax.training.initial import abstract_state
from biobert_jax.training.inputs import abstract_batch, inputs_of, with_dropout
from biobert_jax.training.objective import NSP_HEADS, model_of, pretraining_losses
from biobert_jax.training.optimizer import make_optimizer
from biobert_jax.training.schedule import learning_rate
from biobert_jax.training.sharding import check_batch, make_mesh
from biobert_jax.training.step import jit_train_step

# Of BERT's cased vocabulary, which BioBERT kept: where neither config nor data say.
DEFAULT_VOCAB_SIZE = 28_996
DEFAULT_LENGTH = 512


@dataclasses.dataclass(frozen=True)
class Program:
    """A training step that is to be compiled.

    Attributes:
      config: resolved: with the vocabulary's size, the batch and the slices.
      format: what its rows hold.
      topology: what it is for.
    """

    config: PretrainConfig
    format: RecordFormat
    topology: Topology

    @property
    def rows_per_chip(self) -> float:
        """Rows of the global batch over the chips."""
        return self.config.data.batch_size / self.topology.num_chips

    @property
    def model_flops_per_chip(self) -> float:
        """What the formula gives for a chip's part of full rows, each one sequence."""
        length = self.format.max_seq_length
        predictions = self.format.max_predictions or num_predictions(
            length, self.config.masking.rate
        )
        return self.rows_per_chip * training_flops(
            self.config.model, tokens=length, squared_lengths=length**2, predictions=predictions
        )

    def lower(self, **rounds: int) -> Any:
        """The step as a `jax.stages.Lowered`; `rounds` of its loops' bodies, see `model.loops`."""
        config = self.config
        mesh = make_mesh(config.mesh, self.topology.devices, heads=config.model.num_attention_heads)
        check_batch(mesh, config.data.batch_size, config.train.accumulation_steps)
        num_steps = config.train.num_steps
        graph, create_params = model_of(config.model, config.seed)
        frozen = () if self.format.objective == "mlm_nsp" else NSP_HEADS
        optimizer = make_optimizer(config.optimizer, num_steps, frozen=frozen)
        state = abstract_state(create_params, optimizer, mesh)
        # Which ids are special, or go on a word, changes nothing of what is compiled.
        special = SpecialIds(self.format.vocab_size, cls=1, sep=2, mask=3)
        continues = np.zeros(self.format.vocab_size, bool) if config.masking.whole_word else None
        step = jit_train_step(
            with_dropout(inputs_of(self.format, special, config.masking, continues)),
            functools.partial(pretraining_losses, graph),
            optimizer,
            learning_rate(config.optimizer, num_steps),
            config.seed,
            like=state,
            accumulation_steps=config.train.accumulation_steps,
            gradient_dtype=config.train.gradient_dtype,
            overlap_reductions=config.train.overlap_reductions,
        )
        batch = abstract_batch(self.format, config.data.batch_size, mesh)
        with jax.set_mesh(mesh), loops.bodies_of(**rounds):
            return step.lower(state, batch)


def make_program(
    config: PretrainConfig,
    topology: Topology,
    *,
    max_seq_length: int | None = None,
    rows_per_chip: int | None = None,
) -> Program:
    """The step of a config on a topology.

    Rows are as data.dir's manifest says, where there is one, else packed rows without sentence
    pairs, of `max_seq_length`, by default 512 or the model's positions.

    Args:
      rows_per_chip: instead of data.batch_size, which counts the rows of all chips.

    Raises:
      UserError: no data set at data.dir; rows longer than the model's positions.
    """
    length = min(DEFAULT_LENGTH, config.model.max_position_embeddings)
    format = RecordFormat("packed", "mlm", length, DEFAULT_VOCAB_SIZE)
    folder = config.data.dir or (config.data.phases[-1].dir if config.data.phases else "")
    if folder:
        format = open_prepared(folder).format
    if max_seq_length is not None:
        format = dataclasses.replace(format, max_seq_length=max_seq_length)
    model = config.model
    if model.vocab_size == 0:
        model = dataclasses.replace(model, vocab_size=format.vocab_size)
    format = dataclasses.replace(format, vocab_size=model.vocab_size)
    if format.max_seq_length > model.max_position_embeddings:
        rows = folder if max_seq_length is None else "--max_seq_length"
        raise UserError(
            f"{rows}: rows of {format.max_seq_length} are over model.max_position_embeddings "
            f"{model.max_position_embeddings}: make them shorter, or raise that"
        )
    batch_size = config.data.phases[-1].batch_size if config.data.phases else config.data.batch_size
    if rows_per_chip is not None:
        if rows_per_chip < 1:
            raise UserError(f"--rows_per_chip is {rows_per_chip}: it must be at least 1")
        batch_size = rows_per_chip * topology.num_chips
    config = dataclasses.replace(
        config,
        model=model,
        data=dataclasses.replace(config.data, batch_size=batch_size),
        mesh=dataclasses.replace(config.mesh, slices=topology.slices),
    )
    return Program(config, format, topology)
