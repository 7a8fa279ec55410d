"""Our checkpoints: Orbax arrays, written asynchronously, under a manifest of SHA-256 sums.

    checkpoints/<step>/params/      the model's parameters (Orbax)
                       optimizer/   step and optimizer state (Orbax); not in converted checkpoints
                       vocab.txt    the vocabulary (vocab.model for SentencePiece)
                       manifest.json

The manifest is written last: a folder without one was never finished and is not a checkpoint.
Its sums are checked on every restore, since Orbax alone returns wrong values for most flipped
bits without a word.

Where there are several processes, all of them save and restore the arrays, each its own part, in
one folder that all of them reach; process 0 alone does everything else.
"""

import dataclasses
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from biobert_jax import json_fields
from biobert_jax.config import ModelConfig
from biobert_jax.corpus.text.tokenization import Tokenizer
from biobert_jax.corpus.text.tokenizer_files import TokenizerOptions
from biobert_jax.disk import check_space, free_bytes
from biobert_jax.errors import UserError
from biobert_jax.files import file_sha256, write_text_atomically

NAME = "manifest.json"
FORMAT = "biobert_jax checkpoint 1"
FOLDER = "checkpoints"

# How long a checkpoint is kept: for ever, while it is one of the newest such, until the next.
PERMANENT, NORMAL, TEMPORARY = "permanent", "normal", "temporary"

_NOT_SAVED = (
    "make room or mend the folder, and run the same command again to go on from the one before"
)

# Of a checkpoint's files beside the arrays.
_OVERHEAD_BYTES = 1 << 20

# Orbax logs every save at INFO and its choice of sharding files at WARNING.
logging.getLogger("absl").setLevel(logging.CRITICAL)


# Kinds of checkpoints without a task's head; the others are called by their tasks.
PRETRAINING, ENCODER = "pretraining", "encoder"


@dataclass(frozen=True)
class Metadata:
    """What a checkpoint is of: enough to use it without its config file.

    `kind` is "pretraining", "encoder" or a task's name; `labels` are what a task's outputs stand
    for, in their order, and `options` what else its functions need to know (`tasks.task.Setting`);
    `vocab` is the vocabulary's file name in the checkpoint's folder, and `tokenizer` what
    `TokenizerOptions` has of its use (the writers fill both in); `data` is a hash of what it was
    trained on, so that a run does not go on with other rows; `retention` is one of the three
    above; `best`: of its run's evaluations until then, this one's was the best.
    """

    kind: str
    step: int
    model: ModelConfig
    vocab: str
    labels: tuple[str, ...] = ()
    max_seq_length: int = 512
    data: str = ""
    retention: str = NORMAL
    best: bool = False
    tokenizer: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


_LABELS = json_fields.Kind(
    "a list of strings", lambda v: isinstance(v, list) and all(isinstance(x, str) for x in v)
)
_METADATA = {
    "kind": json_fields.WORD,
    "step": json_fields.COUNT,
    "model": json_fields.OBJECT,
    "vocab": json_fields.FILE_NAME,
    "labels": _LABELS,
    "max_seq_length": json_fields.integer(1),
}


class CheckpointWriter:
    """Saves into `<workdir>/checkpoints/`, one at a time, in the background; deletes old ones.

    Every process makes one and saves the same steps in the same order.

    Attributes:
      workdir: absolute.
    """

    def __init__(self, workdir: str | os.PathLike, keep: int = 3):
        """Makes a writer, and removes what killed runs left unfinished.

        Args:
          keep: of the normal checkpoints, the newest that stay; at least 1.
        """
        self.workdir = Path(workdir).absolute()
        self._folder = self.workdir / FOLDER
        self._keep = max(1, keep)
        self._first = jax.process_index() == 0
        if self._first:
            _remove_unfinished(self._folder)
        # Both items in one save: the processes meet once, and the folder appears as a whole.
        self._saver = ocp.AsyncCheckpointer(ocp.CompositeCheckpointHandler())
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._finishing: Future | None = None

    def save(self, metadata: Metadata, tokenizer: Tokenizer, params: Any, optimizer: Any) -> None:
        """Starts a save of arrays that the caller may donate once this returns.

        Waits for the save before it, and raises what went wrong there.
        """
        self.wait()
        path = self._folder / str(metadata.step)
        if self._first:
            remove_checkpoint(path)
            self._folder.mkdir(parents=True, exist_ok=True)
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices(f"save {metadata.step}: the folder is free")
        arrays = {"params": params, "optimizer": optimizer}
        items = {name: ocp.args.StandardSave(tree) for name, tree in arrays.items()}
        self._saver.save(path, args=ocp.args.Composite(**items))
        self._finishing = self._thread.submit(self._finish, path, metadata, tokenizer)

    def check_space(self, params: Any, optimizer: Any) -> None:
        """Refuses a save that the disk cannot hold, as far as is known before it is written.

        Orbax would find out in the middle, with a page of tracebacks from its threads.

        Raises:
          UserError: it needs more than is free.
        """
        arrays = jax.tree.leaves((params, optimizer))
        needed = sum(array.nbytes for array in arrays) + _OVERHEAD_BYTES
        check_space(needed, free_bytes(self._folder), str(self._folder), _NOT_SAVED)

    def failed(self) -> bool:
        """True where the save under way is known to have failed; does not wait."""
        finishing = self._finishing
        return finishing is not None and finishing.done() and finishing.exception() is not None

    def wait(self) -> None:
        """Returns when the save under way is complete.

        Raises:
          UserError: it failed.
        """
        finishing, self._finishing = self._finishing, None
        if finishing is None:
            return
        try:
            finishing.result()
        except Exception as error:  # whatever Orbax raises, the run must not go on unsaved
            reason = " ".join(str(error).split())[:200]
            raise UserError(
                f"{self._folder}: the checkpoint could not be saved ({reason}): {_NOT_SAVED}"
            ) from error

    def close(self) -> None:
        """Waits for the last save and ends the threads."""
        try:
            self.wait()
        finally:
            self._thread.shutdown()
            self._saver.close()

    def _finish(self, path: Path, metadata: Metadata, tokenizer: Tokenizer) -> None:
        # Returns when the arrays of all processes are there. The processes meet through JAX's
        # coordination service: a collective here would run into those of the training thread.
        self._saver.wait_until_finished()
        if self._first:
            _finish_checkpoint(path, metadata, tokenizer)
            for old in superseded(self._folder, self._keep):
                remove_checkpoint(old)


def superseded(folder: Path, keep: int) -> list[Path]:
    """The checkpoints that may go: all normal ones but the `keep` newest, and temporary ones but
    the newest checkpoint of all. Not the best one.
    """
    steps = sorted(_steps(folder))
    kinds = {step: _retention(folder / str(step)) for step in steps}
    best = [step for step in steps if _is_best(folder / str(step))][-1:]
    others = [step for step in steps if step not in best]
    normal = [step for step in others if kinds[step] == NORMAL][:-keep]
    temporary = [step for step in others if kinds[step] == TEMPORARY and step != steps[-1]]
    return [folder / str(step) for step in sorted(normal + temporary)]


def write_checkpoint(path: Path, metadata: Metadata, tokenizer: Tokenizer, params: Any) -> None:
    """Writes a checkpoint of parameters alone (a converted one), and returns when it is whole.

    Raises:
      UserError: it cannot be written.
    """
    path = path.absolute()
    path.mkdir(parents=True, exist_ok=True)
    try:
        with ocp.StandardCheckpointer() as saver:
            saver.save(path / "params", params)
    except Exception as error:  # Orbax raises what its many parts raise
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path / 'params'}: cannot be written ({reason})") from error
    _finish_checkpoint(path, metadata, tokenizer)


def _finish_checkpoint(path: Path, metadata: Metadata, tokenizer: Tokenizer) -> None:
    """Writes the vocabulary, and last the manifest that completes the checkpoint."""
    (path / tokenizer.file_name).write_bytes(tokenizer.vocab_bytes())
    options = tokenizer.options.to_dict()
    metadata = dataclasses.replace(metadata, vocab=tokenizer.file_name, tokenizer=options)
    write_checkpoint_manifest(path, metadata)


def write_checkpoint_manifest(path: Path, metadata: Metadata) -> None:
    """Sums every file below `path` and writes the manifest that completes the checkpoint."""
    files = {name: file_sha256(path / name) for name in _file_names(path)}
    content = {"format": FORMAT, **dataclasses.asdict(metadata), "files": files}
    content["sha256"] = _content_sha256(content)
    write_text_atomically(path / NAME, json.dumps(content, indent=2) + "\n")


def change_metadata(path: Path, **changes: Any) -> None:
    """Writes a finished checkpoint's manifest anew, with what its parameters have turned out to
    be: `options` fitted on their outputs, or the `best`.

    Raises:
      UserError: its manifest cannot be read.
    """
    metadata = read_metadata(path)
    changed = dataclasses.replace(metadata, **changes)
    if changed != metadata:
        write_checkpoint_manifest(path, changed)


def remove_checkpoint(path: Path) -> None:
    """Deletes a checkpoint, its manifest first, so that a half-deleted one is none."""
    (path / NAME).unlink(missing_ok=True)
    shutil.rmtree(path, ignore_errors=True)


def is_checkpoint(path: Path) -> bool:
    """True for a folder that holds a finished checkpoint."""
    return (path / NAME).is_file() and (path / "params").is_dir()


def checkpoints_of(workdir: str | os.PathLike) -> list[Path]:
    """The finished checkpoints of a workdir, newest first."""
    steps = _steps(Path(workdir).absolute() / FOLDER)
    return [checkpoint_path(workdir, step) for step in sorted(steps, reverse=True)]


def chosen_checkpoint(workdir: str | os.PathLike) -> Path | None:
    """The checkpoint that a workdir stands for: its best where one was chosen, or its newest.

    Raises:
      UserError: of a task's run, a manifest cannot be read, so that it may be the best's.
    """
    saved = checkpoints_of(workdir)
    if not saved or _kind(saved[0]) in (PRETRAINING, ENCODER):
        return next(iter(saved), None)
    best = [path for path in saved if read_metadata(path).best]
    return [*best, *saved][0]


def checkpoint_path(workdir: str | os.PathLike, step: int) -> Path:
    """Where a workdir has, or would have, the checkpoint of a step."""
    return Path(workdir).absolute() / FOLDER / str(step)


def read_metadata(path: Path) -> Metadata:
    """What a checkpoint says of itself.

    Raises:
      UserError: its manifest cannot be read.
    """
    return _parse_manifest(path)[0]


def check_files(path: Path, *, read: Callable[[int], None] = lambda size: None) -> list[str]:
    """What differs between a checkpoint's files and its manifest, one line each.

    `read` is told the bytes of each file that was read.
    """
    try:
        _, files = _parse_manifest(path)
    except UserError as error:
        return [str(error)]
    problems = [f"{path / name}: missing" for name in files if not (path / name).is_file()]
    for name in _file_names(path):
        if name not in files:
            problems.append(f"{path / name}: not in the manifest")
        else:
            if file_sha256(path / name) != files[name]:
                problems.append(f"{path / name}: its SHA-256 differs from the manifest's")
            read((path / name).stat().st_size)
    return problems


def restore_params(path: Path) -> dict[str, Any]:
    """A checkpoint's parameters as a nested dict of NumPy arrays, after checking every sum.

    Raises:
      UserError: a file is missing, changed or unknown.
    """
    _require_intact(path)
    try:
        return read_arrays(path / "params")
    except Exception as error:  # as above; what it read is what was written
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{path / 'params'}: Orbax cannot read it ({reason}): use another checkpoint"
        ) from error


def read_arrays(folder: Path) -> Any:
    """The arrays of a checkpoint's `params` or `optimizer` in host memory, whoever saved them.

    The sums are not looked at.
    """
    folder = folder.absolute()  # Orbax takes no other path
    checkpointer = ocp.PyTreeCheckpointer()
    tree = checkpointer.metadata(folder).item_metadata.tree
    arguments = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
    return checkpointer.restore(folder, restore_args=arguments)


def restore_params_to(path: Path, params: Any) -> Any:
    """Restores parameters alone, into the shapes and shardings of an abstract tree.

    Raises:
      UserError: a file is missing, changed or unknown.
    """
    _require_intact(path)
    with ocp.StandardCheckpointer() as loader:
        return loader.restore(path.absolute() / "params", params)


def restore_state(path: Path, params: Any, optimizer: Any) -> tuple[Any, Any]:
    """Restores a training state into the shapes and shardings of two abstract trees.

    Call `check_files` first: this does not look at the sums again.
    """
    path = path.absolute()
    with ocp.StandardCheckpointer() as loader:
        return loader.restore(path / "params", params), loader.restore(
            path / "optimizer", optimizer
        )


def _remove_unfinished(folder: Path) -> None:
    """Deletes steps without a manifest, and what Orbax had not yet given its name."""
    for path in folder.iterdir() if folder.is_dir() else ():
        step, _, rest = path.name.partition(".")
        if step.isdigit() and rest != "damaged" and not (path / NAME).is_file():
            shutil.rmtree(path, ignore_errors=True)


def _require_intact(path: Path) -> None:
    problems = check_files(path)
    if problems:
        raise UserError(f"{problems[0]}: the checkpoint is damaged, use another one")


def _steps(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    return [int(p.name) for p in folder.iterdir() if p.name.isdigit() and is_checkpoint(p)]


def _file_names(path: Path) -> list[str]:
    names = (p.relative_to(path).as_posix() for p in path.rglob("*") if p.is_file())
    return sorted(name for name in names if name != NAME)


def _is_inside(name: Any) -> bool:
    """Whether a file's name in a manifest stays in the checkpoint's folder."""
    return isinstance(name, str) and all(part not in ("", ".", "..") for part in name.split("/"))


def _content_sha256(content: dict[str, Any]) -> str:
    """Of the manifest's values, in whatever order and with whatever white space they stand."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _retention(path: Path) -> str:
    try:
        return read_metadata(path).retention
    except UserError:  # damaged: nothing that a save should fail for
        return NORMAL


def _kind(path: Path) -> str:
    try:
        return read_metadata(path).kind
    except UserError:  # whoever opens it is told
        return PRETRAINING


def _is_best(path: Path) -> bool:
    try:
        return read_metadata(path).best
    except UserError:  # as above
        return False


def _parse_manifest(path: Path) -> tuple[Metadata, dict[str, str]]:
    try:
        values = json_fields.read_object(path / NAME)
        if values.pop("format") != FORMAT:
            raise ValueError("another format")
        # One of an older version has none.
        if values.pop("sha256", None) not in (None, _content_sha256({**values, "format": FORMAT})):
            raise ValueError("it was changed")
        files = values.pop("files")
        json_fields.check_fields(values, _METADATA)
        if not all(map(_is_inside, files)):
            raise ValueError("files has a name that leads out of the folder")
        values["model"] = ModelConfig(**values["model"])
        values["labels"] = tuple(values["labels"])
        if not isinstance(values.get("options", {}), dict):
            raise ValueError("options: an object was expected")
        if values.get("tokenizer"):
            TokenizerOptions.from_dict(values["tokenizer"])
        return Metadata(**values), files
    except OSError as error:
        raise UserError(f"{path / NAME}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, UserError) as error:
        raise UserError(f"{path / NAME}: not a checkpoint's manifest ({error})") from error
