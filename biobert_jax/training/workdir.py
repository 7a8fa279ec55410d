"""A run's folder: its config, and the newest good checkpoint to go on from."""

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase as fnmatch
from pathlib import Path
from typing import Any

import jax

from biobert_jax.checkpoints import orbax
from biobert_jax.config_parsing import to_json
from biobert_jax.corpus.text.tokenization import Tokenizer
from biobert_jax.errors import UserError
from biobert_jax.files import try_lock, write_text_atomically
from biobert_jax.json_fields import read_object
from biobert_jax.training import distributed
from biobert_jax.training.sharding import abstract
from biobert_jax.training.step import TrainState

# Keys that a run may go on with changed: how long it is and when it reports, how it is computed,
# and where its data lie, which their hash is compared of. Of these not the two below: what has been
# chosen by one score is no choice by another.
_MAY_CHANGE = (
    "train.*",
    "mesh.*",
    "model.attention",
    "model.feed_forward",
    "model.remat",
    "model.scan_layers",
    "init",
    "data.dir",
    "data.files*",
    "data.heldout_files*",
    "data.vocab",
    "data.phases.*.dir",
)
_MUST_NOT_CHANGE = ("train.gradient_dtype", "train.best_by")
# What the learning rate's schedule is drawn over.
_LENGTH = ("train.num_steps", "train.num_epochs")
CHANGES = "config_changes.jsonl"


def claim_workdir(
    workdir: str | os.PathLike,
    config: Any,
    num_steps: int,
    *,
    say: Callable[[str], None] = lambda line: None,
) -> Path:
    """Makes the folder and writes `config.json`, which a folder with checkpoints must agree with.

    A run may go on with a few keys changed, its length among them. Each change is kept in
    `config_changes.jsonl` with the step from which on it counts, since `config.json` then holds
    the newest values alone. Where there are several processes, they must all reach one folder;
    process 0 writes.

    Args:
      say: told in a line where the length, and so the learning rate's schedule, is another, and
        where `init` is, which a run that goes on does not look at.

    Raises:
      UserError: it holds a run with another config (the keys are named), or one that is beyond
        `num_steps`; it cannot be written.
    """
    for line in distributed.decide(lambda: _claim(Path(workdir), config, num_steps)):
        say(line)
    if not Path(workdir).is_dir():
        raise UserError(
            f"--workdir {workdir}: process {jax.process_index()} does not see what process 0 made: "
            "give a folder on a file system that all processes share"
        )
    return Path(workdir)


def changes_of(workdir: str | os.PathLike) -> list[dict[str, Any]]:
    """What was changed where a run went on: {"step", "changed": {key: {"was", "is"}}} each."""
    path = Path(workdir) / CHANGES
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def _claim(workdir: Path, config: Any, num_steps: int) -> list[str]:
    """Claims the folder; returns what is to be said."""
    path = workdir / "config.json"
    saved = orbax.checkpoints_of(workdir)
    changed: dict[str, dict[str, Any]] = {}
    if saved and not path.exists():
        raise UserError(
            f"--workdir {workdir} holds checkpoints without {path.name}, so that nothing says of "
            "which run they are: put it back, or choose another folder"
        )
    if saved:
        # A key that came after the run was begun had its default then.
        defaults = _flat(json.loads(to_json(type(config)())))
        try:
            before = defaults | _flat(read_object(path))
        except ValueError as error:
            raise UserError(
                f"{path}: not a config ({error}): put it back as it was, or choose another folder"
            ) from error
        now = _flat(json.loads(to_json(config)))
        changed = {
            key: {"was": before.get(key), "is": now.get(key)}
            for key in sorted(before | now)
            if before.get(key) != now.get(key)
        }
        refused = [_was_is(key, changed) for key in changed if not _may_change(key)]
        if refused:
            raise UserError(
                f"--workdir {workdir} holds a run with another config ({'; '.join(refused)}): "
                "choose another folder, or remove it"
            )
    if saved and int(saved[0].name) > num_steps:
        raise UserError(
            f"--workdir {workdir} is at step {saved[0].name}, beyond the {num_steps} steps asked "
            "for: train longer, or choose another folder"
        )
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        if changed:
            history = [*changes_of(workdir), {"step": int(saved[0].name), "changed": changed}]
            lines = [json.dumps(change) + "\n" for change in history]
            write_text_atomically(workdir / CHANGES, "".join(lines))
        write_text_atomically(path, to_json(config))
    except OSError as error:
        raise UserError(f"--workdir {workdir}: cannot be written ({error.strerror})") from error
    said = []
    if "init" in changed:
        said.append(
            f"{_was_is('init', changed)}: the run goes on from its own step {saved[0].name}; to "
            "start from the other, choose another --workdir"
        )
    if lengths := [_was_is(key, changed) for key in _LENGTH if key in changed]:
        from_step = f"the schedule changes from step {saved[0].name} on (kept in {CHANGES})"
        said.append(f"{'; '.join(lengths)}: {from_step}")
    return said


def _was_is(key: str, changed: dict[str, dict[str, Any]]) -> str:
    return f"{key} was {changed[key]['was']!r}, is {changed[key]['is']!r}"


@contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """Keeps a second run out of the folder while this one is in it; process 0 speaks for all.

    Raises:
      UserError: another run is in it.
    """
    if not distributed.is_first():
        yield
        return
    with open(workdir / ".lock", "w") as lock:
        if not try_lock(lock):
            raise UserError(
                f"--workdir {workdir}: another run is in it: wait for that one, or stop it"
            )
        yield


def newest_metadata(workdir: str | os.PathLike) -> tuple[Path, orbax.Metadata] | None:
    """The newest checkpoint and what it says of itself; None where the run has none yet."""
    for path in orbax.checkpoints_of(workdir):
        try:
            return path, orbax.read_metadata(path)
        except UserError:
            continue  # damaged: `resume` says so
    return None


def resume(
    workdir: Path, like: TrainState, say: Callable[[str], None], *, data: str
) -> tuple[TrainState | None, int]:
    """The newest checkpoint of the workdir whose files are intact; None and 0 where there is none.

    Every process restores the one that process 0 chose. A damaged checkpoint is named through
    `say`, renamed to `<step>.damaged` and passed over.

    Args:
      like: an abstract state, with the shardings to restore into.
      data: hash of the training data, as in the checkpoint's metadata.

    Raises:
      UserError: the checkpoint was trained on other data, or its arrays are another model's.
    """
    step = distributed.decide(lambda: _newest_good(workdir, say, data))
    if step is None:
        return None, 0
    path = orbax.checkpoint_path(workdir, step)
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


def _newest_good(workdir: Path, say: Callable[[str], None], data: str) -> int | None:
    for path in orbax.checkpoints_of(workdir):
        problems = orbax.check_files(path)
        if problems:
            say(f"warning: {problems[0]}: going back to the checkpoint before")
            # Out of the way, so that it is neither taken for the newest nor kept in place of one.
            aside = path.with_name(f"{path.name}.damaged")
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)
            continue
        if orbax.read_metadata(path).data != data:
            raise UserError(
                f"{path}: trained on other data than the config's paths hold now: put that back, "
                f"or choose another --workdir with --config.init={workdir} to go on with new data"
            )
        return int(path.name)
    return None


def _may_change(key: str) -> bool:
    return key not in _MUST_NOT_CHANGE and any(fnmatch(key, name) for name in _MAY_CHANGE)


def optimizer_tree(state: TrainState) -> dict[str, Any]:
    """What is saved beside the parameters."""
    return {name: value for name, value in state._asdict().items() if name != "params"}


def _flat(values: dict, prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in values.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            value = dict(enumerate(value))
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        elif value != []:  # nothing, as where there are groups of keys instead
            flat[f"{prefix}{key}"] = value
    return flat


class Saver:
    """What the loop knows of its folder: saves a state, and tells what is saved and evaluated."""

    def __init__(
        self, writer: orbax.CheckpointWriter, metadata: orbax.Metadata, tokenizer: Tokenizer
    ):
        """Saves through `writer`; `metadata` is that of any step."""
        self._writer, self._metadata, self._tokenizer = writer, metadata, tokenizer

    def __call__(
        self, step: int, state: TrainState, retention: str = orbax.NORMAL, *, best: bool = False
    ) -> None:
        """Starts a save; see `CheckpointWriter.save`."""
        at_step = dataclasses.replace(self._metadata, step=step, retention=retention, best=best)
        optimizer = optimizer_tree(state)
        self.wait()  # what is saved until now takes its space first
        # Processes that look at different moments may see different space.
        distributed.decide(lambda: self._writer.check_space(state.params, optimizer))
        self._writer.save(at_step, self._tokenizer, state.params, optimizer)

    def mark_best(self, step: int) -> None:
        """Notes of a finished checkpoint that it is the best so far."""
        path = orbax.checkpoint_path(self._writer.workdir, step)
        distributed.decide(lambda: orbax.change_metadata(path, best=True))

    def has(self, step: int) -> bool:
        """True where there is a finished checkpoint of a step."""
        path = orbax.checkpoint_path(self._writer.workdir, step)
        return distributed.decide(lambda: orbax.is_checkpoint(path))

    def failed(self) -> bool:
        """True where the save under way is known to have failed."""
        return self._writer.failed()

    def wait(self) -> None:
        """Returns when the save under way is complete; raises a UserError if it failed."""
        self._writer.wait()

    def newest(self) -> Path | str:
        """The newest finished checkpoint, or "none"."""
        self.wait()
        return next(iter(orbax.checkpoints_of(self._writer.workdir)), "none")

    def finished_step(self) -> int:
        """The step of the newest finished checkpoint, 0 without one; waits for nothing."""
        saved = orbax.checkpoints_of(self._writer.workdir)
        return int(saved[0].name) if saved else 0

    def is_evaluated(self, step: int) -> bool:
        """True where `metrics.jsonl` holds an evaluation of the state after `step` updates."""
        return any(at == step for at, _ in self.evaluations(step))

    def evaluations(self, step: int) -> list[tuple[int, dict[str, Any]]]:
        """(step, scores) of the evaluations that `metrics.jsonl` holds up to a step."""
        lines = distributed.decide(lambda: _evaluations(self._writer.workdir))
        return [(line["step"], line) for line in lines if line["step"] <= step]


def _evaluations(workdir: Path) -> list[dict[str, Any]]:
    path = workdir / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    # A line of training metrics has a loss of its own.
    return [values for values in map(json.loads, lines) if "loss" not in values]
