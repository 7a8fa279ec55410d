"""What a task is: a table of functions. The driver, the protocols and prediction know no other.

A task is a module of this package with a `TASK`; `task_of` finds it by its name, so that a further
one is its module, a preset and a test. None of its functions knows of a mesh, an optimizer or a
checkpoint.
"""

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from flax import nnx
from jax import Array

from biobert_jax.config import ModelConfig
from biobert_jax.config_finetuning import FinetuneDataConfig
from biobert_jax.corpus.text.tokenization import Tokenizer
from biobert_jax.errors import UserError, nearest
from biobert_jax.formats.faults import Fault
from biobert_jax.model.heads import WeightedSum
from biobert_jax.tasks.rows import Encoded

# Keys of `data` that every task has.
SHARED_KEYS = ("dir", "format", "train", "test", "eval", "max_seq_length", "batch_size")


@dataclass(frozen=True)
class Setting:
    """All that a task's functions know beside examples; it is saved with every checkpoint.

    Attributes:
      labels: what the outputs stand for, in their order.
      options: the task's own keys of `data`, and what was fitted (class weights, temperature):
        what JSON can hold.
      tokenizer: the checkpoint's.
      max_seq_length: positions of a packed row.
    """

    labels: tuple[str, ...]
    options: Mapping[str, Any]
    tokenizer: Tokenizer
    max_seq_length: int


class Card(NamedTuple):
    """The parts of a model card that a task writes; Markdown.

    Attributes:
      title: a line.
      does: what the model does, after "A BERT … that ".
      scores: the table of scores, and how they count.
      use: how to use it.
    """

    title: str
    does: str
    scores: str
    use: str


@dataclass(frozen=True)
class Task:
    """A task. "Examples" are what its `read` yields, "predictions" what its `decode` does.

    Attributes:
      name: of `config.task` and of its checkpoints' kind.
      unit: what an example is called: sentence, text, question.
      keys: the keys of `data` that it has beside `SHARED_KEYS`.
      main_score: options to the name of the score that runs are compared by; larger is better.
      read: (file, options, note) to examples; without labels where the file has none. Options
        hold `format`, and the values of `keys`; `note`, of `formats.faults`, is told what the
        reader mended or passed over.
      labels: (training examples, options) to the outputs' labels, in order. Raises where there is
        nothing to learn.
      encode: (examples, setting, seed of the packing or None) to arrays. With targets where the
        examples have labels.
      build: (model config, setting, rngs) to the module.
      losses: (module, inputs) and setting to what is learnt; inputs hold all arrays of a batch,
        and `seeds` of dropout.
      outputs: (module, inputs) to what is predicted: arrays of a row [B, …].
      decode: (outputs of all rows, encoded, examples, setting) to predictions, one an example.
      has_labels: whether an example can be scored.
      score: (examples, predictions, setting) to scores: numbers, and groups of them.
      report: scores as lines for people.
      write: (folder, examples, predictions, setting): writes the predictions' files.
      files: names of the files that `write` writes.
      card: (scores, setting, number of test examples, test file's name) to a card's parts.
      fit_options: (training examples, options, labels) to options that follow from the data, such
        as class weights.
      calibrate: (outputs, encoded, examples, setting) of the held-out file, which the model was
        not trained on, to (options to keep, what `scores.json` says of it); None: not done.
      sample: an example, of which the shapes of a batch are known without data.
      check: (examples by file, labels) to lines that the user should be told.
    """

    name: str
    unit: str
    keys: tuple[str, ...]
    main_score: Callable[[Mapping[str, Any]], str]
    read: Callable[[Path, Mapping[str, Any], Fault], list[Any]]
    labels: Callable[[Sequence[Any], Mapping[str, Any]], tuple[str, ...]]
    encode: Callable[[Sequence[Any], Setting, int | None], Encoded]
    build: Callable[[ModelConfig, Setting, nnx.Rngs], nnx.Module]
    losses: Callable[[nnx.Module, Mapping[str, Array], Setting], dict[str, WeightedSum]]
    outputs: Callable[[nnx.Module, Mapping[str, Array]], Array]
    decode: Callable[[np.ndarray, Encoded, Sequence[Any], Setting], list[Any]]
    has_labels: Callable[[Any], bool]
    score: Callable[[Sequence[Any], Sequence[Any], Setting], dict[str, Any]]
    report: Callable[[Mapping[str, Any]], str]
    write: Callable[[Path, Sequence[Any], Sequence[Any], Setting], None]
    files: tuple[str, ...]
    card: Callable[[Mapping[str, Any], Setting, int, str], Card]
    fit_options: Callable[[Sequence[Any], dict[str, Any], tuple[str, ...]], dict[str, Any]] = field(
        default=lambda examples, options, labels: options
    )
    calibrate: (
        Callable[
            [np.ndarray, Encoded, Sequence[Any], Setting], tuple[dict[str, Any], dict[str, Any]]
        ]
        | None
    ) = None
    sample: Any = None
    check: Callable[[Mapping[str, Sequence[Any]], tuple[str, ...]], list[str]] = field(
        default=lambda examples, labels: []
    )


def task_of(name: str) -> Task:
    """The task of a name: that of the module of this package that is called so.

    Raises:
      UserError: there is none; it names the nearest.
    """
    module = f"{__package__}.{name}"
    if name.isidentifier() and importlib.util.find_spec(module) is not None:
        task = getattr(importlib.import_module(module), "TASK", None)
        if isinstance(task, Task):
            return task
    known = task_names()
    near = nearest(name, known)
    hint = f"did you mean {near!r}? " if near else ""
    raise UserError(f"task is {name!r}: {hint}known: {', '.join(known)}")


def task_names() -> list[str]:
    """The names of all tasks."""
    package = importlib.import_module(__package__)
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    return [name for name in names if hasattr(_import(name), "TASK")]


def options_of(task: Task, data: FinetuneDataConfig) -> dict[str, Any]:
    """The task's own keys of `data`, with the format.

    Raises:
      UserError: a key is set that the task does not use.
    """
    own = {"format", *task.keys}
    for key in fields(data):
        value = getattr(data, key.name)
        if key.name not in (*SHARED_KEYS, *task.keys) and value != key.default:
            raise UserError(
                f"data.{key.name} is {value!r}, but task {task.name} does not use it: its keys are "
                f"{', '.join((*SHARED_KEYS, *task.keys))}"
            )
    return {name: _plain(getattr(data, name)) for name in sorted(own)}


def _plain(value: Any) -> Any:
    """As JSON gives it back."""
    return list(value) if isinstance(value, tuple) else value


def _import(name: str) -> Any:
    return importlib.import_module(f"{__package__}.{name}")
