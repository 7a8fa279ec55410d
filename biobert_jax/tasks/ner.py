"""Fine-tuning for named entity recognition, from a config to scores; reads in the order it runs."""

import dataclasses
import functools
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import numpy as np

from biobert_jax.checkpoints import orbax
from biobert_jax.checkpoints.labels import UNTYPED, label_set, types_of, with_type
from biobert_jax.checkpoints.load import Checkpoint, load_checkpoint, with_labels
from biobert_jax.config import NerConfig
from biobert_jax.corpus.text.tokenization import Tokenizer
from biobert_jax.data.order import row_order
from biobert_jax.errors import UserError
from biobert_jax.files import try_to_write, write_text_atomically
from biobert_jax.model.kernel_checks import check_kernels
from biobert_jax.scoring import conlleval
from biobert_jax.tasks.model_card import Training, ner_model_card
from biobert_jax.tasks.ner_features import NerRows, encode_words, pack_sentences
from biobert_jax.tasks.ner_files import Sentence, read_sentences, write_predictions
from biobert_jax.tasks.ner_model import (
    label_inputs,
    label_losses,
    split_by_sentence,
    tagger_of,
    word_probabilities,
)
from biobert_jax.training import distributed, loop
from biobert_jax.training.initial import abstract_state, initial_state
from biobert_jax.training.instruments import instruments
from biobert_jax.training.optimizer import make_optimizer
from biobert_jax.training.schedule import learning_rate
from biobert_jax.training.sharding import check_batch, device_batch, make_mesh
from biobert_jax.training.step import make_train_step
from biobert_jax.training.workdir import Saver, changes_of, claim_workdir, resume

# What a finished run leaves in its workdir.
PREDICTIONS, SCORES, MODEL_CARD = "predictions.conll", "scores.json", "README.md"


def finetune_ner(
    config: NerConfig, workdir: str | os.PathLike, *, profile: bool = False
) -> conlleval.Scores:
    """Fine-tunes, or goes on, in `workdir`; scores the test file and writes predictions.

    Args:
      profile: trace five steps into `<workdir>/profile`.

    Raises:
      UserError: data, checkpoint or config that do not fit; see the message.
      Interrupted: a signal came; the state was saved.
    """
    # What is read: tagged sentences, their labels, and the encoder to start from.
    train = [s for name in config.data.train for s in _read(config, name)]
    test = _read(config, config.data.test)
    held_out = _read(config, config.data.eval) if config.data.eval else []
    labels = label_set(s.labels for s in train)
    if len(labels) == 1:
        files = ", ".join(str(_data_file(config, name)) for name in config.data.train)
        raise UserError(
            f"{files or 'data.train is empty'}: there is no entity to learn from: every label is O"
        )
    if config.data.entity_type not in {UNTYPED, *types_of([labels])}:
        _say(f"data.entity_type {config.data.entity_type} names nothing: all labels have a type")
    for name, sentences in ((config.data.eval, held_out), (config.data.test, test)):
        if unseen := sorted(set(label_set(s.labels for s in sentences)) - set(labels)):
            _say(
                f"warning: {_data_file(config, name)}: no training file has the labels "
                f"{' '.join(unseen)}: what bears them can only be missed"
            )
    if not config.init:
        raise UserError("init is not set: give a checkpoint to fine-tune, --config.init=CHECKPOINT")
    checkpoint = load_checkpoint(config.init)
    model = dataclasses.replace(checkpoint.model, **dataclasses.asdict(config.model))
    tokenizer = checkpoint.tokenizer
    length = config.data.max_seq_length
    if length > model.max_position_embeddings:
        raise UserError(
            f"data.max_seq_length {length} is over the checkpoint's {model.max_position_embeddings}"
        )

    # Packed rows, many sentences each.
    rows = _pack(tokenizer, train, length, seed=config.seed)
    label_ids = {label: index for index, label in enumerate(labels)}
    row_labels = rows.label_array([label_ids[label] for s in train for label in s.labels])
    # Of the rows themselves, so that a run does not go on with other sentences or labels.
    names = "\n".join(labels).encode()
    data = hashlib.sha256(rows.input_ids.tobytes() + row_labels.tobytes() + names).hexdigest()
    num_steps = config.train.num_steps or max(
        1, round(config.train.num_epochs * len(rows.input_ids) / config.data.batch_size)
    )
    steps_an_epoch = max(1, len(rows.input_ids) // config.data.batch_size)

    # The model on the mesh.
    mesh = make_mesh(config.mesh, heads=model.num_attention_heads)
    check_kernels(model, length)
    check_batch(mesh, config.data.batch_size, config.train.accumulation_steps)
    optimizer = make_optimizer(config.optimizer, num_steps)
    workdir = claim_workdir(workdir, config, num_steps, say=_say)
    distributed.decide(lambda: _check_results(workdir))
    graph, create_params = tagger_of(model, len(labels), config.seed)
    like = abstract_state(create_params, optimizer, mesh)
    state, start_step = resume(workdir, like, _say, data=data)
    if state is None:
        checkpoint, changes = with_labels(checkpoint, labels)
        state, notes = initial_state(create_params, checkpoint, optimizer, mesh)
        for note in (*changes, *notes):
            _say(f"{config.init}: {note}")
    fill = np.count_nonzero(rows.sequence_ids) / rows.sequence_ids.size
    _say(
        f"{len(train):,} sentences in {len(rows.input_ids):,} rows of {length} at fill {fill:.1%}, "
        f"labels {' '.join(labels)}, {num_steps} steps"
    )

    def tag(params, sentences: Sequence[Sentence]) -> list[list[str]]:
        packed = _pack(tokenizer, sentences, length)
        found = word_probabilities(
            graph, params, packed, (config.data.batch_size,), lambda b: device_batch(mesh, b)
        )
        best = split_by_sentence(found.argmax(-1), packed)
        return [[labels[index] for index in sentence] for sentence in best]

    def evaluate(state) -> dict[str, float]:
        scores = conlleval.score([s.labels for s in held_out], tag(state.params, held_out))
        return {
            "eval_f1": scores.f1,
            "eval_precision": scores.precision,
            "eval_recall": scores.recall,
        }

    # The loop.
    metadata = orbax.Metadata("ner", 0, model, tokenizer.file_name, labels, length, data)
    with instruments(
        workdir,
        config.train,
        model,
        start_step=start_step,
        num_steps=num_steps,
        prediction_rate=0,
        profile=profile,
        say=_say,
    ) as (writer, watching):
        state, _ = loop.run(
            state,
            cadence=loop.Cadence.of(
                config.train,
                num_steps=num_steps,
                eval_every=config.train.eval_every or steps_an_epoch,
            ),
            start_step=start_step,
            batches=_batches(rows, row_labels, config, start_step),
            to_device=lambda batch: device_batch(mesh, batch),
            train_step=make_train_step(
                label_inputs,
                functools.partial(label_losses, graph),
                optimizer,
                learning_rate(config.optimizer, num_steps),
                mesh,
                config.seed,
                like=state,
                accumulation_steps=config.train.accumulation_steps,
                gradient_dtype=config.train.gradient_dtype,
            ),
            evaluate=evaluate if held_out else None,
            save=Saver(writer, metadata, tokenizer),
            **watching,
        )

    # The result: the test file's scores, predictions and a model card.
    predicted = tag(state.params, test)
    scores = conlleval.score([s.labels for s in test], predicted)
    training = Training(len(train), len(rows.input_ids), num_steps, labels)
    write_results(workdir, config, checkpoint, training, test, predicted, scores)
    return scores


def write_results(
    workdir: Path,
    config: NerConfig,
    checkpoint: Checkpoint,
    training: Training,
    test: Sequence[Sentence],
    predicted: Sequence[Sequence[str]],
    scores: conlleval.Scores,
) -> None:
    """Writes `predictions.conll`, `scores.json` and the model card `README.md`."""
    write_predictions(workdir / PREDICTIONS, test, predicted)
    content = {"test": scores.to_dict(), "file": config.data.test, "sentences": len(test)}
    write_text_atomically(workdir / SCORES, json.dumps(content, indent=2) + "\n")
    changes = changes_of(workdir)
    card = ner_model_card(config, checkpoint, training, scores, len(test), changes)
    write_text_atomically(workdir / MODEL_CARD, card)


def _read(config: NerConfig, name: str) -> list[Sentence]:
    """The sentences of a file; labels without a type get that of the config."""
    return [
        Sentence(s.words, tuple(with_type(label, config.data.entity_type) for label in s.labels))
        for s in read_sentences(_data_file(config, name))
    ]


def _check_results(workdir: Path) -> None:
    """Refuses, before the training, a folder that would not take its results."""
    for name in (PREDICTIONS, SCORES, MODEL_CARD):
        try:
            try_to_write(workdir / name)
        except OSError as error:
            raise UserError(
                f"{workdir / name}: cannot be written ({error.strerror}): mend that, or choose "
                "another --workdir"
            ) from error


def _pack(tokenizer: Tokenizer, sentences: Sequence[Sentence], length: int, seed=None) -> NerRows:
    words = encode_words(tokenizer, [sentence.words for sentence in sentences])
    return pack_sentences(words, length, tokenizer.special, seed)


def _batches(
    rows: NerRows, row_labels: np.ndarray, config: NerConfig, start_step: int
) -> Iterator[dict[str, np.ndarray]]:
    """This host's part of the batches from `start_step` on."""
    size = config.data.batch_size // jax.process_count()
    mine = slice(jax.process_index() * size, (jax.process_index() + 1) * size)
    step = start_step
    while True:
        chosen = row_order(len(rows.input_ids), config.data.batch_size, config.seed, step)[mine]
        yield {
            "input_ids": rows.input_ids[chosen],
            "sequence_ids": rows.sequence_ids[chosen],
            "labels": row_labels[chosen],
        }
        step += 1


def _data_file(config: NerConfig, name: str) -> Path:
    if not config.data.dir:
        raise UserError("data.dir is not set: give the folder of the tagged files")
    return Path(config.data.dir) / name


def _say(line: str) -> None:
    if jax.process_index() == 0:
        print(line, file=sys.stderr, flush=True)
