"""A run's folder: its config, and the newest good checkpoint to go on from."""

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from biobert_jax.checkpoints import orbax
from biobert_jax.config_parsing import to_json
from biobert_jax.errors import UserError
from biobert_jax.files import write_text_atomically
from biobert_jax.training.sharding import replicated
from biobert_jax.training.step import TrainState

# Keys that a run may go on with changed: they decide how long it is and when it reports.
_MAY_CHANGE = ("train.", "mesh.")


def claim_workdir(workdir: str | os.PathLike, config: Any, num_steps: int) -> Path:
    """Makes the folder and writes `config.json`; a folder with checkpoints keeps its config.

    Raises:
      UserError: it holds a run with another config (the keys are named), or one that is beyond
        `num_steps`; it cannot be written.
    """
    workdir = Path(workdir)
    path = workdir / "config.json"
    if path.exists() and orbax.checkpoints_of(workdir):
        # A key that came after the run was begun had its default then.
        defaults = _flat(json.loads(to_json(type(config)())))
        before = defaults | _flat(json.loads(path.read_text(encoding="utf-8")))
        now = _flat(json.loads(to_json(config)))
        changed = [
            f"{key} was {before.get(key)!r}, is {now.get(key)!r}"
            for key in sorted(before | now)
            if before.get(key) != now.get(key) and not key.startswith(_MAY_CHANGE)
        ]
        if changed:
            raise UserError(
                f"--workdir {workdir} holds a run with another config ({'; '.join(changed)}): "
                "choose another folder, or remove it"
            )
    saved = orbax.checkpoints_of(workdir)
    if saved and int(saved[0].name) > num_steps:
        raise UserError(
            f"--workdir {workdir} is at step {saved[0].name}, beyond the {num_steps} steps asked "
            "for: train longer, or choose another folder"
        )
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        write_text_atomically(path, to_json(config))
    except OSError as error:
        raise UserError(f"--workdir {workdir}: cannot be written ({error.strerror})") from error
    return workdir


def resume(
    workdir: Path, state: TrainState, mesh: Mesh, say: Callable[[str], None], *, data: str
) -> tuple[TrainState, int]:
    """The newest checkpoint of the workdir whose files are intact, or `state` and 0.

    A damaged checkpoint is named through `say`, renamed to `<step>.damaged` and passed over.

    Args:
      data: hash of the training data, as in the checkpoint's metadata.

    Raises:
      UserError: the checkpoint was trained on other data.
    """
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
        everywhere = replicated(mesh)

        def abstract(x, sharding=everywhere):
            return jax.ShapeDtypeStruct(jnp.shape(x), x.dtype, sharding=sharding)

        params, rest = orbax.restore_state(
            path,
            jax.tree.map(abstract, state.params),
            jax.tree.map(abstract, optimizer_tree(state)),
        )
        step = int(rest["step"])
        say(f"going on from step {step} ({path})")
        return TrainState(rest["step"], params, rest["opt_state"]), step
    return state, 0


def optimizer_tree(state: TrainState) -> dict[str, Any]:
    """What is saved beside the parameters."""
    return {"step": state.step, "opt_state": state.opt_state}


def _flat(values: dict, prefix: str = "") -> dict[str, Any]:
    flat = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat.update(_flat(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def saver(
    writer: orbax.CheckpointWriter, metadata: orbax.Metadata, vocab: Path
) -> Callable[[int, TrainState], None]:
    """The function that the loop saves with."""

    def save(step: int, state: TrainState) -> None:
        at_step = dataclasses.replace(metadata, step=step)
        writer.save(at_step, vocab, state.params, optimizer_tree(state))

    return save
