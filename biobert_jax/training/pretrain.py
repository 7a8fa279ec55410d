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
from biobert_jax.checkpoints.load import check_same_model, fit_params, load_checkpoint
from biobert_jax.config import MaskingConfig, ModelConfig, PretrainConfig
from biobert_jax.data.tfrecords import PreparedData
from biobert_jax.errors import UserError
from biobert_jax.files import file_sha256
from biobert_jax.model.heads import (
    BertForPreTraining,
    WeightedSum,
    cross_entropy,
    sequence_starts,
)
from biobert_jax.model.masking import MaskedRows, SpecialIds, mask_rows
from biobert_jax.training import loop
from biobert_jax.training.metrics import MetricsWriter, Progress
from biobert_jax.training.optimizer import learning_rate, make_optimizer
from biobert_jax.training.sharding import device_batch, make_mesh, place
from biobert_jax.training.step import create_state, make_train_step
from biobert_jax.training.workdir import claim_workdir, resume, saver

# Heads that rows without sentence pairs do not train.
NSP_HEADS = ("pooler", "nsp")


def pretrain(config: PretrainConfig, workdir: str | os.PathLike) -> dict[str, float]:
    """Trains, or goes on training, in `workdir`; returns the last evaluation (empty: none).

    Raises:
      UserError: data, checkpoint or config that do not fit; see the message.
      Interrupted: a signal came; the state was saved.
    """
    # What is read: rows and, for continued pre-training, a checkpoint of the same vocabulary.
    data = PreparedData(config.data.dir)
    tokenizer = data.manifest.tokenizer
    special = SpecialIds(
        tokenizer["vocab_size"], *(tokenizer["special"][name] for name in ("cls", "sep", "mask"))
    )
    config = _with_model_size(config, data)
    checkpoint = load_checkpoint(config.init) if config.init else None
    if checkpoint is not None:
        check_same_model(checkpoint, config.model)
        if file_sha256(checkpoint.vocab) != tokenizer["sha256"]:
            raise UserError(
                f"{config.data.dir} was prepared with another vocabulary than {config.init}: "
                f"prepare it with --vocab {checkpoint.vocab}"
            )

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
    optimizer = make_optimizer(config.optimizer, config.train.num_steps, frozen=NSP_HEADS)
    state = create_state(place(mesh, params), optimizer, mesh)
    state, start_step = resume(workdir, state, mesh, _say, data=data.sha256)
    num_params = sum(x.size for x in jax.tree.leaves(state.params))
    _say(
        f"{num_params / 1e6:.1f} M parameters, {jax.device_count()} {jax.default_backend()} "
        f"device(s), {data.manifest.num_rows:,} rows of {data.manifest.max_seq_length} "
        f"at fill {data.manifest.fill:.1%}"
    )

    # The step, and the evaluation on held-out rows with masks that never change.
    train_step = make_train_step(
        lambda params, batch, key: masked_lm_losses(
            nnx.merge(graph, params), batch, key, special, config.masking
        ),
        optimizer,
        schedule,
        mesh,
        config.seed,
    )
    evaluate = None
    if data.manifest.split("heldout"):
        evaluate = _heldout_evaluation(config, data, graph, mesh, special)

    # The loop.
    writer = orbax.CheckpointWriter(workdir, config.train.keep_checkpoints)
    metrics = MetricsWriter(workdir, start_step)
    progress = Progress(start_step, config.train.num_steps)
    metadata = orbax.Metadata(
        "pretraining",
        0,
        config.model,
        data.vocab_path.name,
        max_seq_length=data.manifest.max_seq_length,
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


def masked_lm_losses(
    model: BertForPreTraining,
    batch: dict[str, Array],
    key: Array,
    special: SpecialIds,
    masking: MaskingConfig,
) -> dict[str, WeightedSum]:
    """Masks a batch and returns its losses, with dropout: one training step's forward pass."""
    mask_key, dropout_key = jax.random.split(key)
    input_ids, sequence_ids = (batch[n].astype(jnp.int32) for n in ("input_ids", "sequence_ids"))
    masked = mask_rows(mask_key, input_ids, sequence_ids, special, masking)
    return pretraining_losses(model, masked, sequence_ids, key=dropout_key)


def pretraining_losses(
    model: BertForPreTraining,
    masked: MaskedRows,
    sequence_ids: Array,
    *,
    token_type_ids: Array | None = None,
    next_sentence_labels: Array | None = None,
    key: Array | None = None,
) -> dict[str, WeightedSum]:
    """Masked LM loss and accuracy and, given labels, next sentence loss.

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
        weights = (next_sentence_labels >= 0).astype(jnp.float32)
        labels = jnp.maximum(next_sentence_labels, 0)
        results["nsp_loss"] = cross_entropy(model.nsp_logits(hidden, starts), labels, weights)
    return results


def _heldout_evaluation(config: PretrainConfig, data: PreparedData, graph, mesh, special):
    """Returns a function from a state to held-out metrics."""

    @jax.jit
    def sums(params, batch, index):
        key = jax.random.fold_in(jax.random.key(0), index)
        ids = {name: rows.astype(jnp.int32) for name, rows in batch.items()}
        masked = mask_rows(key, ids["input_ids"], ids["sequence_ids"], special, config.masking)
        return pretraining_losses(nnx.merge(graph, params), masked, ids["sequence_ids"])

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


def _with_model_size(config: PretrainConfig, data: PreparedData) -> PretrainConfig:
    """Sets the vocabulary's size from the data, and refuses a model the rows do not fit."""
    size, length = data.manifest.tokenizer["vocab_size"], data.manifest.max_seq_length
    model = config.model
    if model.vocab_size == 0:
        model = dataclasses.replace(model, vocab_size=size)
    if model.vocab_size < size:
        raise UserError(
            f"model.vocab_size is {model.vocab_size}, but {config.data.dir} was prepared with a "
            f"vocabulary of {size}"
        )
    if length > model.max_position_embeddings:
        raise UserError(
            f"{config.data.dir} has rows of {length}, over model.max_position_embeddings "
            f"{model.max_position_embeddings}: prepare it with a smaller --max_seq_length"
        )
    return dataclasses.replace(config, model=model)


def _say(line: str) -> None:
    if jax.process_index() == 0:
        print(line, file=sys.stderr, flush=True)
