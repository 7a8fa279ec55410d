"""The examples of a run: those of all its files, read and checked together."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from biobert_jax.config_finetuning import FinetuneConfig
from biobert_jax.errors import UserError
from biobert_jax.formats.faults import Lines
from biobert_jax.storage.copies import bring_once
from biobert_jax.tasks.files.prepared import is_empty
from biobert_jax.tasks.files.shared import Seen
from biobert_jax.tasks.task import Task, options_of
from biobert_jax.units import plural

Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class TaskData:
    """The examples of a run, and what follows from those of training.

    Attributes:
      train, held_out, test: examples; the last two may be none.
      labels, options: of the `Setting`.
    """

    train: list[Any]
    held_out: list[Any]
    test: list[Any]
    labels: tuple[str, ...]
    options: dict[str, Any]


def read_data(task: Task, config: FinetuneConfig, say: Say) -> TaskData:
    """All examples of a run, checked together; `say` is told what a user should know of them.

    Raises:
      UserError: a file that cannot be read; nothing to learn from; a key of another task.
    """
    options = options_of(task, config.data)
    files = {name: data_file(config, name) for name in config.data.train}
    notes = Lines()
    train = [x for path in files.values() for x in task.read(path, options, notes.of(path))]
    where = ", ".join(map(str, files.values())) or "data.train is empty"
    if not train:
        raise UserError(f"{where}: no {task.unit} to train on")
    if bare := [example for example in train if not task.has_labels(example)]:
        raise UserError(
            f"{bare[0].where or where}: no label ({len(bare):,} of {plural(len(train), task.unit)} "
            "have none): training needs one of each"
        )
    test = _read_other(task, config, config.data.test, options, "test", notes, say)
    held_out = _read_other(task, config, config.data.eval, options, "eval", notes, say)
    for line in notes.shown():
        say(line)
    if held_out and not all(map(task.has_labels, held_out)):
        say(f"{data_file(config, config.data.eval)}: no labels: not evaluated while training")
        held_out = []
    try:
        labels = task.labels(train, options)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error
    named = {config.data.eval: held_out, config.data.test: test}
    checked = {str(data_file(config, name)): found for name, found in named.items() if found}
    for line in task.check({where: train, **checked}, labels):
        say(line)
    seen = Seen(train)
    for name, found in checked.items():
        count, words = seen.count(found, task.unit)
        if count:
            say(f"{name}: {words}")
    return TaskData(train, held_out, test, labels, task.fit_options(train, options, labels))


def _read_other(
    task: Task, config: FinetuneConfig, name: str, options, key: str, notes: Lines, say: Say
) -> list[Any]:
    """The examples of the test or the held-out file; a file of 0 bytes, which BioBERT's folds
    have for the latter, is none.
    """
    if not name:
        return []
    path = data_file(config, name)
    if is_empty(path):
        instead = "only the end is scored" if key == "eval" else "nothing is scored"
        say(f"{path}: 0 bytes: {instead}")
        return []
    return task.read(path, options, notes.of(path))


def data_file(config: FinetuneConfig, name: str) -> Path:
    """Where a file of `data.dir` is.

    Raises:
      UserError: data.dir is not set.
    """
    if not config.data.dir:
        raise UserError("data.dir is not set: give the folder of the data's files")
    return bring_once(config.data.dir) / name
