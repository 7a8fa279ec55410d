"""Pre-training, from a config to a trained checkpoint; reads in the order it runs."""

import contextlib
import dataclasses
import functools
import os
import sys

import jax

from biobert_jax.checkpoints import manifest
from biobert_jax.checkpoints.load import Checkpoint, check_same_model, load_checkpoint
from biobert_jax.config import MaskingConfig, PretrainConfig
from biobert_jax.corpus.text.tokenization import Tokenizer, load_tokenizer
from biobert_jax.data.source import TrainingData
from biobert_jax.errors import UserError
from biobert_jax.model.kernel_checks import check_kernels
from biobert_jax.model.masking import SpecialIds
from biobert_jax.storage import anywhere
from biobert_jax.training import loop
from biobert_jax.training.claim import claim_workdir
from biobert_jax.training.compiled import share_compiled_programs
from biobert_jax.training.heldout import heldout_evaluation
from biobert_jax.training.initial import abstract_state, initial_state
from biobert_jax.training.inputs import MASK_NAMES, abstract_batch, inputs_of, with_dropout
from biobert_jax.training.instruments import instruments
from biobert_jax.training.objective import NSP_HEADS, model_of, pretraining_losses
from biobert_jax.training.optimizer import make_optimizer
from biobert_jax.training.phases import data_sha256, open_phases, staging_wait, train_batches
from biobert_jax.training.saver import Saver, newest_metadata, resume
from biobert_jax.training.schedule import learning_rate
from biobert_jax.training.sharding import check_batch, device_batch, make_mesh
from biobert_jax.training.step import make_train_step
from biobert_jax.training.workdir import open_workdir


def pretrain(
    config: PretrainConfig, workdir: str | os.PathLike, *, profile: bool = False
) -> dict[str, float]:
    """Trains, or goes on training, in `workdir`; returns the last evaluation (empty: none).

    Args:
      profile: trace five steps into `<workdir>/profile`.

    Raises:
      UserError: data, checkpoint or config that do not fit; see the message.
      Interrupted: a signal came; the state was saved.
    """
    with contextlib.ExitStack() as closing:
        return _pretrain(config, workdir, profile, closing)


def _pretrain(
    config: PretrainConfig,
    workdir: str | os.PathLike,
    profile: bool,
    closing: contextlib.ExitStack,
) -> dict[str, float]:
    # What is read: rows and, where a run begins from one, a checkpoint of the same vocabulary.
    checkpoint, vocab, vocab_size = None, None, 0
    if (newest := newest_metadata(workdir)) is not None:
        path, saved = newest
        vocab = closing.enter_context(anywhere.local_copy(path / saved.vocab))
        vocab_size = saved.model.vocab_size
    elif config.init:
        checkpoint = load_checkpoint(config.init)
        vocab, vocab_size = checkpoint.vocab, checkpoint.model.vocab_size
    phases = open_phases(config.data, vocab)
    data = phases[-1].data
    tokenizer = load_tokenizer(data.vocab_path)
    if checkpoint is not None:
        _check_vocabulary(checkpoint, tokenizer, config, data)
    # Embeddings may have more rows than the vocabulary has tokens: 64 divides many.
    if config.model.vocab_size == 0:
        config = dataclasses.replace(
            config, model=dataclasses.replace(config.model, vocab_size=vocab_size)
        )
    for phase in phases:
        config = _with_model_size(config, phase.data)
    if checkpoint is not None:
        check_same_model(checkpoint, config.model)

    # The model on the mesh.
    mesh = make_mesh(config.mesh, heads=config.model.num_attention_heads)
    for number, phase in enumerate(phases):
        key = f"data.phases.{number}.batch_size" if config.data.phases else "data.batch_size"
        check_batch(mesh, phase.batch_size, config.train.accumulation_steps, key=key)
        phase.data.num_streams(phase.batch_size, config.data.num_streams, jax.process_count())
        check_kernels(config.model, phase.data.format.max_seq_length)
    num_steps = config.train.num_steps
    frozen = () if data.format.objective == "mlm_nsp" else NSP_HEADS
    optimizer = make_optimizer(config.optimizer, num_steps, frozen=frozen)
    # All that a config can have wrong is found by now: a folder is made for a run that starts.
    workdir = closing.enter_context(open_workdir(workdir, _say))
    claim_workdir(workdir, config, num_steps, say=_say)
    share_compiled_programs(workdir.root)
    graph, create_params = model_of(config.model, config.seed)
    sha256 = data_sha256(phases)
    like = abstract_state(create_params, optimizer, mesh)
    state, start_step = resume(workdir, like, _say, data=sha256)
    if state is None:
        if config.init and checkpoint is None:  # all that the workdir had was damaged
            checkpoint = load_checkpoint(config.init)
            _check_vocabulary(checkpoint, tokenizer, config, data)
            check_same_model(checkpoint, config.model)
        state, notes = initial_state(create_params, checkpoint, optimizer, mesh)
        for note in notes:
            _say(f"{config.init}: {note}")
    num_params = sum(x.size for x in jax.tree.leaves(state.params))
    _say(
        f"{num_params / 1e6:.1f} M parameters, {jax.device_count()} {jax.default_backend()} "
        f"device(s), layout {config.mesh.layout}, {'; '.join(p.data.summary for p in phases)}"
    )
    if data.format.record_format == "bert":
        _say("the records hold their masks: config.masking is not used")

    # The step, and the evaluation on held-out rows of the last phase.
    special = SpecialIds(
        data.format.vocab_size, data.special.cls, data.special.sep, data.special.mask
    )
    continues = None
    if config.masking.whole_word:
        continues = tokenizer.continuation_table()
    make_inputs = inputs_of(data.format, special, config.masking, continues)
    train_step = make_train_step(
        with_dropout(make_inputs),
        functools.partial(pretraining_losses, graph),
        optimizer,
        learning_rate(config.optimizer, num_steps),
        mesh,
        config.seed,
        like=state,
        accumulation_steps=config.train.accumulation_steps,
        gradient_dtype=config.train.gradient_dtype,
        overlap_reductions=config.train.overlap_reductions,
        later=[
            abstract_batch(phase.data.format, phase.batch_size, mesh)
            for phase in phases
            if phase.start_step > start_step
        ],
    )
    # Always BERT's 15 %: so the losses of runs that hide more, or whole words, can be compared.
    heldout_inputs = inputs_of(data.format, special, MaskingConfig())
    evaluate = heldout_evaluation(
        phases[-1], graph, mesh, heldout_inputs, config.train.eval_batches
    )

    if evaluate is None:
        _say("no held-out rows: not evaluated")

    # The loop.
    metadata = manifest.Metadata(
        "pretraining",
        0,
        config.model,
        tokenizer.file_name,
        max_seq_length=data.format.max_seq_length,
        data=sha256,
    )
    with instruments(
        workdir,
        config.train,
        config.model,
        start_step=start_step,
        num_steps=num_steps,
        prediction_rate=0.15 if data.format.record_format == "bert" else config.masking.rate,
        profile=profile,
        say=_say,
        staged=staging_wait(phases),
    ) as (writer, watching):
        _, evaluation = loop.run(
            state,
            cadence=loop.Cadence.of(config.train),
            start_step=start_step,
            batches=train_batches(
                phases,
                start_step,
                seed=config.seed,
                num_streams=config.data.num_streams,
                host=jax.process_index(),
                num_hosts=jax.process_count(),
            ),
            to_device=lambda batch: device_batch(mesh, batch),
            train_step=train_step,
            evaluate=evaluate,
            save=Saver(writer, workdir, metadata, tokenizer),
            mask_name=MASK_NAMES[data.format.record_format],
            **watching,
        )
    return evaluation


def _check_vocabulary(
    checkpoint: Checkpoint, tokenizer: Tokenizer, config: PretrainConfig, data: TrainingData
) -> None:
    """Refuses data that were made with another vocabulary than the checkpoint's, or otherwise."""
    theirs = checkpoint.tokenizer
    if tokenizer.kind != theirs.kind or tokenizer.tokens != theirs.tokens:
        raise UserError(
            f"{data.name} was made with another vocabulary ({data.vocab_path}) than "
            f"{config.init}: make it with {checkpoint.vocab}"
        )
    if tokenizer.options != theirs.options:
        raise UserError(
            f"{data.name} was made with {tokenizer.options.describe()}, but {config.init} has "
            f"{theirs.options.describe()}: make it with {checkpoint.vocab}"
        )


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
