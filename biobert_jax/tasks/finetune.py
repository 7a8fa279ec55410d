"""Fine-tuning of any task, from a config to scores; reads in the order it runs."""

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from biobert_jax.checkpoints import manifest, orbax
from biobert_jax.checkpoints.load import Checkpoint, load_checkpoint, with_head
from biobert_jax.config import ModelConfig
from biobert_jax.config_finetuning import FinetuneConfig
from biobert_jax.data.order import row_order
from biobert_jax.errors import UserError
from biobert_jax.model.kernel_checks import check_kernels
from biobert_jax.tasks.forward import model_of, outputs_of, run_rows, task_inputs, task_losses
from biobert_jax.tasks.model_card import Training
from biobert_jax.tasks.results import check_results, scores_of, write_results
from biobert_jax.tasks.rows import Encoded
from biobert_jax.tasks.run_data import TaskData, data_file, read_data
from biobert_jax.tasks.task import Setting, Task, task_of
from biobert_jax.training import distributed, loop
from biobert_jax.training.claim import claim_workdir
from biobert_jax.training.compiled import share_compiled_programs
from biobert_jax.training.initial import abstract_state, initial_state
from biobert_jax.training.instruments import instruments
from biobert_jax.training.optimizer import make_optimizer
from biobert_jax.training.saver import Saver, resume
from biobert_jax.training.schedule import learning_rate
from biobert_jax.training.selection import Selection
from biobert_jax.training.sharding import abstract, check_batch, device_batch, make_mesh
from biobert_jax.training.step import make_train_step
from biobert_jax.training.workdir import Workdir, open_workdir
from biobert_jax.units import plural


def finetune(
    config: FinetuneConfig,
    workdir: str | os.PathLike | Workdir,
    *,
    profile: bool = False,
    kept_options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Fine-tunes, or goes on, in `workdir`; scores the test file and writes predictions.

    Args:
      profile: trace five steps into `<workdir>/profile`.
      kept_options: what an earlier run has fitted on held-out examples, a temperature, say, which
        this one is trained on.

    Returns:
      The content of `scores.json`.

    Raises:
      UserError: data, checkpoint or config that do not fit; see the message.
      Interrupted: a signal came; the state was saved.
    """
    with contextlib.ExitStack() as closing:
        return _finetune(config, workdir, profile, kept_options or {}, closing)


def _finetune(
    config: FinetuneConfig,
    workdir: str | os.PathLike | Workdir,
    profile: bool,
    kept_options: Mapping[str, Any],
    closing: contextlib.ExitStack,
) -> dict[str, Any]:
    # What is read: annotated examples, what their labels are, and the encoder to start from.
    task = task_of(config.task)
    data = read_data(task, config, _say)
    checkpoint, model = starting_point(config)
    checkpoint, changes = with_head(
        checkpoint, task.name, data.labels, data.options, reinitialize=config.reinitialize_head
    )
    setting = Setting(data.labels, data.options, checkpoint.tokenizer, config.data.max_seq_length)

    # Packed rows, many examples each.
    train = task.encode(data.train, setting, config.seed)
    batches = train.arrays(with_targets=True)
    held_out = task.encode(data.held_out, setting, None) if data.held_out else None
    _tell_notes(config.data.train, train)
    sha256 = _sha256(batches, setting)
    distributed.check_same(sha256, examples := f"data.dir {config.data.dir}: the examples")
    num_steps, steps_an_epoch = _length(config, len(train.rows))

    # The model on the mesh.
    mesh = make_mesh(config.mesh, heads=model.num_attention_heads)
    check_kernels(model, config.data.max_seq_length)
    check_batch(mesh, config.data.batch_size, config.train.accumulation_steps)
    optimizer = make_optimizer(config.optimizer, num_steps)
    workdir = closing.enter_context(open_workdir(workdir, _say))
    claim_workdir(workdir, config, num_steps, say=_say)
    share_compiled_programs(workdir.root)
    distributed.decide(lambda: check_results(workdir.local, task))
    graph, create_params = model_of(task, model, setting, config.seed)
    like = abstract_state(create_params, optimizer, mesh)
    state, start_step = resume(workdir, like, _say, data=sha256)
    if state is None:
        state, notes = initial_state(create_params, checkpoint, optimizer, mesh)
        for note in (*changes, *notes):
            _say(f"{config.init}: {note}")
    _say(
        f"{plural(len(data.train), task.unit)} in {plural(len(train.rows), 'row')} of "
        f"{config.data.max_seq_length} at fill {train.rows.fill:.1%}"
        + (f", labels {' '.join(data.labels)}" if data.labels else "")
        + f", {plural(num_steps, 'step')}"
    )

    outputs = outputs_of(task, graph, mesh)

    def found_of(params, encoded: Encoded) -> np.ndarray | None:
        arrays = encoded.arrays(with_targets=False)
        distributed.check_same(_sha256(arrays, setting), examples)
        return run_rows(outputs, params, arrays, (config.data.batch_size,), mesh)

    def evaluate(params) -> dict[str, float]:
        found = found_of(params, held_out)
        predictions = task.decode(found, held_out, data.held_out, setting)
        scores = task.score(data.held_out, predictions, setting)
        return {f"eval_{name}": x for name, x in scores.items() if isinstance(x, float)}

    # The loop.
    metadata = manifest.Metadata(
        task.name,
        0,
        model,
        setting.tokenizer.file_name,
        setting.labels,
        setting.max_seq_length,
        sha256,
        options=dict(setting.options),
    )
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
        save = Saver(writer, workdir, metadata, setting.tokenizer)
        selection = _selection(config, held_out, save, start_step)
        state, evaluation = loop.run(
            state,
            cadence=loop.Cadence.of(
                config.train,
                num_steps=num_steps,
                eval_every=config.train.eval_every or steps_an_epoch,
            ),
            start_step=start_step,
            batches=_batches(batches, config, start_step),
            to_device=lambda batch: device_batch(mesh, batch),
            train_step=make_train_step(
                task_inputs,
                functools.partial(task_losses, task, setting, graph),
                optimizer,
                learning_rate(config.optimizer, num_steps),
                mesh,
                config.seed,
                like=state,
                accumulation_steps=config.train.accumulation_steps,
                gradient_dtype=config.train.gradient_dtype,
            ),
            evaluate=(lambda state: evaluate(state.params)) if held_out else None,
            save=save,
            selection=selection,
            **watching,
        )

    # The state that is the result: the last one, or that of the best evaluation.
    step, params, state = int(state.step), state.params, None  # the moments may go
    if selection is not None:
        _say(f"{selection.summary()}; the last step is {step}")
    if selection is not None and selection.best_step not in (None, step):
        step = selection.best_step
        like = abstract(params, jax.tree.map(lambda x: x.sharding, params))
        params = None
        params = orbax.restore_params_to(manifest.checkpoint_path(workdir.shared, step), like)
        evaluation = evaluate(params)

    # Fitted on held-out examples with the parameters as they are now, and kept with them.
    if kept_options:
        setting = dataclasses.replace(setting, options={**setting.options, **kept_options})
        fitted = {}
    else:
        setting, fitted = calibrated(task, config, setting, held_out, data, found_of, params)
    if fitted or kept_options:
        path, kept = manifest.checkpoint_path(workdir.shared, step), dict(setting.options)
        save.change(path, options=kept)

    # The result: the test file's scores, predictions and a model card.
    predictions = []
    if data.test:
        test = task.encode(data.test, setting, None)
        _tell_notes([config.data.test], test)
        found = found_of(params, test)
        predictions = task.decode(found, test, data.test, setting)
    training = Training(len(data.train), task.unit, len(train.rows), step)
    content = scores_of(task, config, data.test, predictions, setting)
    if data.test and "test" not in content:
        _say(f"{data_file(config, config.data.test)}: no labels: predicted, not scored")
    if evaluation:
        content["eval"] = {name.removeprefix("eval_"): x for name, x in evaluation.items()}
    if selection is not None and selection.best_step is not None:
        content["best"] = {"by": config.train.best_by, "step": step, "value": selection.best_value}
    if fitted:
        content["calibration"] = {"fitted_on": config.data.eval, **fitted}
    # The others wait: what they read next is there, and what could not be written ends them too.
    distributed.decide(
        lambda: write_results(
            workdir.local,
            task,
            config,
            checkpoint,
            training,
            data.test,
            predictions,
            setting,
            content,
        )
    )
    return content


def _selection(
    config: FinetuneConfig, held_out: Encoded | None, save: Saver, start_step: int
) -> Selection | None:
    """What chooses the best evaluation, with those of the run that goes on."""
    if not config.train.best_by:
        return None
    if held_out is None:
        raise UserError(
            f"train.best_by: {data_file(config, config.data.eval)} has nothing to choose by"
        )
    name, patience = f"eval_{config.train.best_by}", config.train.patience
    evaluations = save.evaluations(start_step)
    selection = Selection(name, patience, evaluations)
    if selection.best_step is not None and not save.has(selection.best_step):
        # One that was better was found damaged, and had taken this one's place.
        _say(f"the best checkpoint, of step {selection.best_step}, is gone: chosen anew from here")
        selection = Selection(name, patience, [(n, x) for n, x in evaluations if n == start_step])
    if selection.best_step == start_step:
        save.mark_best(start_step)  # a run that was killed may not have come to it
    return selection


def calibrated(
    task: Task,
    config: FinetuneConfig,
    setting: Setting,
    held_out: Encoded | None,
    data: TaskData,
    found_of: Callable[[Any, Encoded], np.ndarray | None],
    params: Any,
) -> tuple[Setting, dict[str, Any]]:
    """The setting with what the task fits on held-out examples, and what `scores.json` says of it.

    Not where the model was trained on them too.
    """
    if task.calibrate is None:
        return setting, {}
    why = ""
    if held_out is None:
        why = "is not set"
    elif config.data.eval in config.data.train:
        why = "is trained on"
    elif config.data.eval == config.data.test:
        why = "is the test file"
    if why:
        _say(f"data.eval {why}: probabilities are not calibrated")
        return setting, {}
    found = found_of(params, held_out)
    options, fitted = task.calibrate(found, held_out, data.held_out, setting)
    return dataclasses.replace(setting, options={**setting.options, **options}), fitted


def starting_point(config: FinetuneConfig) -> tuple[Checkpoint, ModelConfig]:
    """The checkpoint to start from, and its model with what the config sets of it.

    Raises:
      UserError: none is given, or it cannot be read, or holds fewer positions than rows have.
    """
    if not config.init:
        raise UserError("init is not set: give a checkpoint to fine-tune, --config.init=CHECKPOINT")
    checkpoint = load_checkpoint(config.init)
    model = dataclasses.replace(checkpoint.model, **dataclasses.asdict(config.model))
    length = config.data.max_seq_length
    if length > model.max_position_embeddings:
        raise UserError(
            f"data.max_seq_length {length} is over the checkpoint's {model.max_position_embeddings}"
        )
    return checkpoint, model


def _tell_notes(files: Sequence[str], encoded: Encoded) -> None:
    for note in encoded.notes:
        _say(f"{', '.join(files)}: {note}")


def _sha256(arrays: dict[str, np.ndarray], setting: Setting) -> str:
    """Of the rows themselves, so that a run does not go on with other examples or labels."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(arrays[name].tobytes())
    digest.update(json.dumps([setting.labels, dict(setting.options)]).encode())
    return digest.hexdigest()


def _length(config: FinetuneConfig, num_rows: int) -> tuple[int, int]:
    """Updates in all, and in an epoch."""
    batch_size = config.data.batch_size
    num_steps = config.train.num_steps or max(
        1, round(config.train.num_epochs * num_rows / batch_size)
    )
    return num_steps, max(1, num_rows // batch_size)


def _batches(
    arrays: dict[str, np.ndarray], config: FinetuneConfig, start_step: int
) -> Iterator[dict[str, np.ndarray]]:
    """This host's part of the batches from `start_step` on."""
    num_rows = len(arrays["input_ids"])
    size = config.data.batch_size // jax.process_count()
    mine = slice(jax.process_index() * size, (jax.process_index() + 1) * size)
    step = start_step
    while True:
        chosen = row_order(num_rows, config.data.batch_size, config.seed, step)[mine]
        yield {name: array[chosen] for name, array in arrays.items()}
        step += 1


def _say(line: str) -> None:
    if jax.process_index() == 0:
        print(line, file=sys.stderr, flush=True)
