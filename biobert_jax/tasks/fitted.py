"""A fine-tuned checkpoint of any task, ready to predict."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from biobert_jax.checkpoints.load import Checkpoint, check_task, fit_params, load_checkpoint
from biobert_jax.checkpoints.manifest import ENCODER, PRETRAINING
from biobert_jax.config_finetuning import FinetuneDataConfig
from biobert_jax.formats.faults import Fault, ignore
from biobert_jax.tasks.forward import model_of, outputs_of, run_rows
from biobert_jax.tasks.rows import Encoded
from biobert_jax.tasks.task import Setting, Task, options_of, task_of

# Compiled when they are first needed: a single text is one row.
_BATCH_SIZES = (1, 8)


class FittedModel:
    """A checkpoint with its task's functions.

    Attributes:
      task, setting: what the checkpoint says of itself; options that it does not have are the
        task's defaults.
      checkpoint: as it was read.
    """

    def __init__(self, path: str | os.PathLike, *, task: str = "", batch_size: int = 32):
        """Loads a checkpoint (a workdir, one of its checkpoints, a Hugging Face folder, TF1).

        Args:
          task: that it must be of; "": any.
          batch_size: packed rows run at a time, at most.

        Raises:
          UserError: there is none, or it is of no task, or of another.
        """
        self.checkpoint = load_checkpoint(path)
        kind = self.checkpoint.kind
        check_task(self.checkpoint, task or (kind if kind not in (PRETRAINING, ENCODER) else "ner"))
        self.task = task_of(kind)
        self.setting = setting_of(self.task, self.checkpoint)
        graph, create_params = model_of(self.task, self.checkpoint.model, self.setting, seed=0)
        params, _ = fit_params(self.checkpoint, jax.eval_shape(create_params))
        self._outputs, self._params = outputs_of(self.task, graph), jax.device_put(params)
        self._batch_sizes = (*(size for size in _BATCH_SIZES if size < batch_size), batch_size)

    def read(self, path: Path, note: Fault = ignore) -> list[Any]:
        """The examples of a file in the form of the task's data.

        Args:
          note: told what the reader mended or passed over.
        """
        return self.task.read(path, self.setting.options, note)

    def predict(
        self,
        examples: Sequence[Any],
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> tuple[list[Any], Encoded]:
        """A prediction an example, and how they were encoded.

        Args:
          progress: told how many packed rows are done, and of how many.
        """
        encoded = self.task.encode(examples, self.setting, None)
        outputs = self.run(encoded.arrays(with_targets=False), progress)
        return self.task.decode(outputs, encoded, examples, self.setting), encoded

    def run(
        self,
        arrays: Mapping[str, np.ndarray],
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> np.ndarray | None:
        """The task's outputs of rows, [N, …]; None where there is no row."""
        sizes = self._batch_sizes
        return run_rows(self._outputs, self._params, arrays, sizes, progress=progress)


def setting_of(task: Task, checkpoint: Checkpoint) -> Setting:
    """What a checkpoint's task knows; options that it does not have are the defaults."""
    options = options_of(task, FinetuneDataConfig()) | checkpoint.options
    # Labels of a config are its order, which the checkpoint's are already.
    return Setting(checkpoint.labels, options, checkpoint.tokenizer, checkpoint.max_seq_length)
