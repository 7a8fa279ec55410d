"""A run's checkpoints: the one it goes on from, and those it saves."""

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from biobert_jax.checkpoints import manifest, orbax
from biobert_jax.corpus.text.tokenization import Tokenizer
from biobert_jax.errors import UserError
from biobert_jax.storage.anywhere import AnyPath
from biobert_jax.training import distributed
from biobert_jax.training.sharding import abstract
from biobert_jax.training.step import TrainState
from biobert_jax.training.workdir import Workdir


def newest_metadata(workdir: str | os.PathLike) -> tuple[AnyPath, manifest.Metadata] | None:
    """The newest checkpoint and what it says of itself; None where the run has none yet."""
    for path in manifest.checkpoints_of(workdir):
        try:
            return path, manifest.read_metadata(path)
        except manifest.Unreadable:
            raise
        except UserError:
            continue  # damaged: `resume` says so
    return None


def resume(
    workdir: Workdir, like: TrainState, say: Callable[[str], None], *, data: str
) -> tuple[TrainState | None, int]:
    """The newest checkpoint of the workdir whose files are intact; None and 0 where there is none.

    Every process restores the one that process 0 chose. A damaged checkpoint is named through
    `say`, marked, so that it is none from then on, and passed over.

    Args:
      like: an abstract state, with the shardings to restore into.
      data: hash of the training data, as in the checkpoint's metadata.

    Raises:
      UserError: the checkpoint was trained on other data, or its arrays are another model's.
    """
    step = distributed.decide(lambda: _newest_good(workdir, say, data))
    if step is None:
        return None, 0
    path = manifest.checkpoint_path(workdir.shared, step)
    # Each array goes straight to its place on the mesh.
    like = abstract(like, jax.tree.map(lambda x: x.sharding, like))
    try:
        params, rest = orbax.restore_state(path, like.params, optimizer_tree(like))
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: it does not hold the arrays of this config's model and optimizer "
            f"({' '.join(str(error).split())[:200]}): choose another --workdir"
        ) from error
    say(f"going on from step {step} ({path})")
    return TrainState(params=params, **rest), step


def _newest_good(workdir: Workdir, say: Callable[[str], None], data: str) -> int | None:
    for path in manifest.checkpoints_of(workdir.shared):
        problems = manifest.check_files(path)
        if problems:
            say(f"warning: {problems[0]}: going back to the checkpoint before")
            # So that it is neither taken for the newest nor kept in place of one.
            manifest.mark_damaged(path, problems[0])
            continue
        if manifest.read_metadata(path).data != data:
            raise UserError(
                f"{path}: trained on other data than the config's paths hold now: put that back, "
                f"or choose another --workdir with --config.init={workdir.name} to go on with new "
                "data"
            )
        return int(path.name)
    return None


def optimizer_tree(state: TrainState) -> dict[str, Any]:
    """What is saved beside the parameters."""
    return {name: value for name, value in state._asdict().items() if name != "params"}


class Saver:
    """What the loop knows of its folder: saves a state, and tells what is saved and evaluated."""

    def __init__(
        self,
        writer: orbax.CheckpointWriter,
        workdir: Workdir,
        metadata: manifest.Metadata,
        tokenizer: Tokenizer,
    ):
        """Saves through `writer` into `workdir`; `metadata` is that of any step."""
        self._writer, self._workdir = writer, workdir
        self._metadata, self._tokenizer = metadata, tokenizer

    def __call__(
        self, step: int, state: TrainState, retention: str = manifest.NORMAL, *, best: bool = False
    ) -> None:
        """Starts a save; see `CheckpointWriter.save`."""
        at_step = dataclasses.replace(self._metadata, step=step, retention=retention, best=best)
        optimizer = optimizer_tree(state)
        self.wait()  # what is saved until now takes its space first

        def make_ready() -> None:
            self._workdir.check()
            self._writer.check_space(state.params, optimizer)
            self._writer.clear(step)

        # Processes that look at different moments may see different space.
        distributed.decide(make_ready)
        self._writer.save(at_step, self._tokenizer, state.params, optimizer)

    def mark_best(self, step: int) -> None:
        """Notes of a finished checkpoint that it is the best so far."""
        path = manifest.checkpoint_path(self._workdir.shared, step)
        self.change(path, best=True)

    def change(self, path: AnyPath, **changes: Any) -> None:
        """`manifest.change_metadata` by process 0, if the folder is still this run's."""

        def change() -> None:
            self._workdir.check()
            manifest.change_metadata(path, **changes)

        distributed.decide(change)

    def has(self, step: int) -> bool:
        """True where there is a finished checkpoint of a step."""
        path = manifest.checkpoint_path(self._workdir.shared, step)
        return distributed.decide(lambda: manifest.is_checkpoint(path))

    def failed(self) -> bool:
        """True where the save under way is known to have failed."""
        return self._writer.failed()

    def wait(self) -> None:
        """Returns when the save under way is complete; raises a UserError if it failed."""
        self._writer.wait()

    def newest(self) -> AnyPath | str:
        """The newest finished checkpoint, or "none"."""
        self.wait()
        return next(iter(manifest.checkpoints_of(self._workdir.shared)), "none")

    def finished_step(self) -> int:
        """The step of the newest finished checkpoint, 0 without one; waits for nothing."""
        saved = manifest.checkpoints_of(self._workdir.shared)
        return int(saved[0].name) if saved else 0

    def is_evaluated(self, step: int) -> bool:
        """True where `metrics.jsonl` holds an evaluation of the state after `step` updates."""
        return any(at == step for at, _ in self.evaluations(step))

    def evaluations(self, step: int) -> list[tuple[int, dict[str, Any]]]:
        """(step, scores) of the evaluations that `metrics.jsonl` holds up to a step."""
        lines = distributed.decide(lambda: _evaluations(self._workdir.local))
        return [(line["step"], line) for line in lines if line["step"] <= step]


def _evaluations(folder: Path) -> list[dict[str, Any]]:
    path = folder / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    # A line of training metrics has a loss of its own.
    return [values for values in map(json.loads, lines) if "loss" not in values]
