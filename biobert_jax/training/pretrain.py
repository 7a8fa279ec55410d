"""Pre-training, from a config to a trained checkpoint; reads in the order it runs."""

import dataclasses
import os
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from biobert_jax.checkpoints import orbax
from biobert_jax.checkpoints.load import (
    Checkpoint,
    check_same_model,
    fit_params,
    load_checkpoint,
)
from biobert_jax.config import DataConfig, ModelConfig, PretrainConfig
from biobert_jax.data.bert_files import BertFiles
from biobert_jax.data.tfrecords import PreparedData, TrainingData
from biobert_jax.errors import UserError
from biobert_jax.files import file_sha256
from biobert_jax.model.heads import (
    BertForPreTraining,
    WeightedSum,
    cross_entropy,
    sequence_starts,
)
from biobert_jax.model.masking import MaskedRows, SpecialIds
from biobert_jax.training import loop
from biobert_jax.training.inputs import MASK_NAMES, MakeInputs, inputs_of
from biobert_jax.training.metrics import MetricsWriter, Progress
from biobert_jax.training.optimizer import learning_rate, make_optimizer
from biobert_jax.training.sharding import device_batch, make_mesh, place
from biobert_jax.training.step import create_state, make_train_step
from biobert_jax.training.workdir import claim_workdir, resume, saver

# Heads that only sentence pairs train.
NSP_HEADS = ("pooler", "nsp")


def pretrain(config: PretrainConfig, workdir: str | os.PathLike) -> dict[str, float]:
    """Trains, or goes on training, in `workdir`; returns the last evaluation (empty: none).

    Raises:
      UserError: data, checkpoint or config that do not fit; see the message.
      Interrupted: a signal came; the state was saved.
    """
    # What is read: rows and, for continued pre-training, a checkpoint of the same vocabulary.
    checkpoint = load_checkpoint(config.init) if config.init else None
    data = open_data(config.data, checkpoint)
    config = _with_model_size(config, data)
    if checkpoint is not None:
        if file_sha256(checkpoint.vocab) != data.vocab_sha256:
            raise UserError(
                f"{data.name} was made with another vocabulary ({data.vocab_path}) than "
                f"{config.init}: make it with {checkpoint.vocab}"
            )
        check_same_model(checkpoint, config.model)

    # The model on the mesh.
    mesh = make_mesh(config.mesh, config.data.batch_size)
    workdir = claim_workdir(workdir, config, config.train.num_steps)
    graph, fresh = init_model(config.model, config.seed)
    params, notes = fresh, []
    if checkpoint is not None:
        params, notes = fit_params(checkpoint, fresh)
    for note in notes:
        _say(f"{config.init}: {note}")
    schedule = learning_rate(config.optimizer, config.train.num_steps)
    frozen = () if data.format.objective == "mlm_nsp" else NSP_HEADS
    optimizer = make_optimizer(config.optimizer, config.train.num_steps, frozen=frozen)
    state = create_state(place(mesh, params), optimizer, mesh)
    state, start_step = resume(workdir, state, mesh, _say, data=data.sha256)
    num_params = sum(x.size for x in jax.tree.leaves(state.params))
    _say(
        f"{num_params / 1e6:.1f} M parameters, {jax.device_count()} {jax.default_backend()} "
        f"device(s), {data.summary}"
    )
    if data.format.record_format == "bert":
        _say("the records hold their masks: config.masking is not used")

    # The step, and the evaluation on held-out rows with masks that never change.
    special = SpecialIds(
        data.format.vocab_size, data.special.cls, data.special.sep, data.special.mask
    )
    make_inputs = inputs_of(data.format, special, config.masking)
    train_step = make_train_step(
        lambda params, batch, key: training_losses(
            nnx.merge(graph, params), batch, key, make_inputs
        ),
        optimizer,
        schedule,
        mesh,
        config.seed,
    )
    evaluate = _heldout_evaluation(config, data, graph, mesh, make_inputs) if data.heldout else None

    # The loop.
    writer = orbax.CheckpointWriter(workdir, config.train.keep_checkpoints)
    metrics = MetricsWriter(workdir, start_step)
    progress = Progress(start_step, config.train.num_steps)
    metadata = orbax.Metadata(
        "pretraining",
        0,
        config.model,
        data.vocab_path.name,
        max_seq_length=data.format.max_seq_length,
        data=data.sha256,
    )
    try:
        _, evaluation = loop.run(
            state,
            cadence=loop.Cadence(
                config.train.num_steps,
                config.train.eval_every,
                config.train.checkpoint_every,
                config.train.log_every,
            ),
            start_step=start_step,
            batches=data.train_batches(
                config.data.batch_size,
                seed=config.seed,
                start_step=start_step,
                num_streams=config.data.num_streams,
                host=jax.process_index(),
                num_hosts=jax.process_count(),
            ),
            to_device=lambda batch: device_batch(mesh, batch),
            train_step=train_step,
            evaluate=evaluate,
            save=saver(writer, metadata, data.vocab_path),
            metrics=metrics,
            progress=progress,
            mask_name=MASK_NAMES[data.format.record_format],
        )
    finally:
        progress.close()
        metrics.close()
        writer.close()
    return evaluation


def init_model(config: ModelConfig, seed: int) -> tuple[Any, dict[str, Any]]:
    """The model's graph and fresh parameters (nested dict), a function of `seed`."""
    graph = nnx.split(nnx.eval_shape(lambda: BertForPreTraining(config, rngs=nnx.Rngs(0))))[0]

    def create(key):
        return nnx.to_pure_dict(nnx.split(BertForPreTraining(config, rngs=nnx.Rngs(key)))[1])

    return graph, jax.jit(create)(jax.random.key(seed))


def open_data(config: DataConfig, checkpoint: Checkpoint | None = None) -> TrainingData:
    """The rows that a config names; `checkpoint` lends google's records its vocabulary."""
    if not config.files:
        return PreparedData(config.dir)
    vocab = config.vocab or (checkpoint.vocab if checkpoint is not None else "")
    if not vocab:
        raise UserError(
            "data.files needs data.vocab: give the vocab.txt that the records were made with"
        )
    return BertFiles(config.files, config.heldout_files, vocab=vocab)


def training_losses(
    model: BertForPreTraining, batch: dict[str, Array], key: Array, make_inputs: MakeInputs
) -> dict[str, WeightedSum]:
    """The losses of a batch with dropout: one training step's forward pass."""
    mask_key, dropout_key = jax.random.split(key)
    return pretraining_losses(model, *make_inputs(batch, mask_key), key=dropout_key)


def pretraining_losses(
    model: BertForPreTraining,
    masked: MaskedRows,
    sequence_ids: Array,
    token_type_ids: Array | None = None,
    next_sentence_labels: Array | None = None,
    *,
    key: Array | None = None,
) -> dict[str, WeightedSum]:
    """Masked LM loss and accuracy and, given labels, the next sentence's.

    Args:
      masked: rows with hidden tokens, [B, L] and [B, P].
      sequence_ids: int [B, L].
      next_sentence_labels: int [B, K], one a sequence: 0 really follows, 1 random, -1 none.
      key: of dropout; None evaluates.
    """
    hidden = model.bert(masked.input_ids, sequence_ids, token_type_ids, key=key)
    logits = model.mlm_logits(hidden, masked.positions)
    correct = (jnp.argmax(logits, -1) == masked.labels) * masked.weights
    results = {
        "mlm_loss": cross_entropy(logits, masked.labels, masked.weights),
        "mlm_accuracy": WeightedSum(jnp.sum(correct), jnp.sum(masked.weights)),
    }
    if next_sentence_labels is not None:
        starts = sequence_starts(sequence_ids, next_sentence_labels.shape[1])
        logits = model.nsp_logits(hidden, starts)
        weights = (next_sentence_labels >= 0).astype(jnp.float32)
        correct = (jnp.argmax(logits, -1) == next_sentence_labels) * weights
        labels = jnp.maximum(next_sentence_labels, 0)
        results["nsp_loss"] = cross_entropy(logits, labels, weights)
        results["nsp_accuracy"] = WeightedSum(jnp.sum(correct), jnp.sum(weights))
    return results


def _heldout_evaluation(config: PretrainConfig, data: TrainingData, graph, mesh, make_inputs):
    """Returns a function from a state to held-out metrics."""

    @jax.jit
    def sums(params, batch, index):
        key = jax.random.fold_in(jax.random.key(0), index)
        return pretraining_losses(nnx.merge(graph, params), *make_inputs(batch, key))

    def evaluate(state) -> dict[str, float]:
        # Every host reads all held-out rows and contributes its own part of each batch.
        size = config.data.batch_size // jax.process_count()
        mine = slice(jax.process_index() * size, (jax.process_index() + 1) * size)
        totals: dict[str, np.ndarray] = {}
        for index, batch in enumerate(data.heldout_batches(config.data.batch_size)):
            if index == config.train.eval_batches:
                break
            local = {name: rows[mine] for name, rows in batch.items()}
            for name, value in sums(state.params, device_batch(mesh, local), index).items():
                totals[name] = totals.get(name, 0) + np.array(value, np.float64)
        return {f"heldout_{name}": float(t / max(w, 1e-5)) for name, (t, w) in totals.items()}

    return evaluate


def _with_model_size(config: PretrainConfig, data: TrainingData) -> PretrainConfig:
    """Sets the vocabulary's size from the data, and refuses a model the rows do not fit."""
    size, length = data.format.vocab_size, data.format.max_seq_length
    model = config.model
    if model.vocab_size == 0:
        model = dataclasses.replace(model, vocab_size=size)
    if model.vocab_size < size:
        raise UserError(
            f"model.vocab_size is {model.vocab_size}, but {data.name} was made with a vocabulary "
            f"of {size}"
        )
    if length > model.max_position_embeddings:
        raise UserError(
            f"{data.name} has rows of {length}, over model.max_position_embeddings "
            f"{model.max_position_embeddings}: make it with a smaller max_seq_length"
        )
    if data.format.objective == "mlm_nsp" and model.type_vocab_size < 2:
        raise UserError(
            f"{data.name} holds sentence pairs, which need model.type_vocab_size 2, not "
            f"{model.type_vocab_size}"
        )
    return dataclasses.replace(config, model=model)


def _say(line: str) -> None:
    if jax.process_index() == 0:
        print(line, file=sys.stderr, flush=True)
