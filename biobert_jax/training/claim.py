"""A workdir's config: what a run that goes on may have changed, and what it must not."""

import json
from collections.abc import Callable
from fnmatch import fnmatchcase as fnmatch
from pathlib import Path
from typing import Any

from biobert_jax.checkpoints import manifest
from biobert_jax.config_parsing import to_json
from biobert_jax.errors import UserError
from biobert_jax.files import write_text_atomically
from biobert_jax.json_fields import read_object
from biobert_jax.training import distributed
from biobert_jax.training.workdir import Workdir

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
    workdir: Workdir,
    config: Any,
    num_steps: int,
    *,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Writes `config.json`, which a folder with checkpoints must agree with.

    A run may go on with a few keys changed, its length among them. Each change is kept in
    `config_changes.jsonl` with the step from which on it counts, since `config.json` then holds
    the newest values alone. Of several processes, process 0 writes.

    Args:
      say: told in a line where the length, and so the learning rate's schedule, is another, and
        where `init` is, which a run that goes on does not look at.

    Raises:
      UserError: it holds a run with another config (the keys are named), or one that is beyond
        `num_steps`; it cannot be written.
    """
    for line in distributed.decide(lambda: _claim(workdir, config, num_steps)):
        say(line)


def changes_of(folder: Path) -> list[dict[str, Any]]:
    """What was changed where a run went on: {"step", "changed": {key: {"was", "is"}}} each."""
    path = folder / CHANGES
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def _claim(workdir: Workdir, config: Any, num_steps: int) -> list[str]:
    """Claims the folder; returns what is to be said."""
    path = workdir.local / "config.json"
    saved = manifest.checkpoints_of(workdir.shared)
    changed: dict[str, dict[str, Any]] = {}
    if saved and not path.exists():
        raise UserError(
            f"--workdir {workdir.name} holds checkpoints without {path.name}, so that nothing says "
            "of which run they are: put it back, or choose another folder"
        )
    if saved:
        # A key that came after the run was begun had its default then.
        defaults = _flat(json.loads(to_json(type(config)())))
        try:
            before = defaults | _flat(read_object(path))
        except ValueError as error:
            raise UserError(
                f"{workdir.name}/{path.name}: not a config ({error}): put it back as it was, or "
                "choose another folder"
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
                f"--workdir {workdir.name} holds a run with another config ({'; '.join(refused)}): "
                "choose another folder, or remove it"
            )
    if saved and int(saved[0].name) > num_steps:
        raise UserError(
            f"--workdir {workdir.name} is at step {saved[0].name}, beyond the {num_steps} steps "
            "asked for: train longer, or choose another folder"
        )
    try:
        if changed:
            history = [*changes_of(workdir.local), {"step": int(saved[0].name), "changed": changed}]
            lines = [json.dumps(change) + "\n" for change in history]
            write_text_atomically(workdir.local / CHANGES, "".join(lines))
        write_text_atomically(path, to_json(config))
    except OSError as error:
        raise UserError(
            f"--workdir {workdir.name}: cannot be written ({error.strerror})"
        ) from error
    workdir.publish()
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


def _may_change(key: str) -> bool:
    return key not in _MUST_NOT_CHANGE and any(fnmatch(key, name) for name in _MAY_CHANGE)


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
