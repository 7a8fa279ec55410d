"""The arrays of checkpoints: written and read by Orbax, asynchronously, each host its own part.

`manifest` says what else a checkpoint holds, and when it is one. Where there are several processes,
all of them save and restore the arrays, each its own part, in one folder that all of them reach, of
a file system or a bucket; each sums what it wrote, and process 0 alone does everything else.
"""

import contextlib
import dataclasses
import logging
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from biobert_jax import storage
from biobert_jax.checkpoints import manifest, sums
from biobert_jax.checkpoints.manifest import Metadata
from biobert_jax.corpus.text.tokenization import Tokenizer
from biobert_jax.disk import check_space, free_bytes
from biobert_jax.errors import UserError
from biobert_jax.storage import StorageError, anywhere
from biobert_jax.storage.anywhere import AnyPath

_NOT_SAVED = (
    "make room or mend the folder, and run the same command again to go on from the one before"
)

# Of a checkpoint's files beside the arrays.
_OVERHEAD_BYTES = 1 << 20

# Orbax logs every save at INFO and its choice of sharding files at WARNING.
logging.getLogger("absl").setLevel(logging.CRITICAL)


class CheckpointWriter:
    """Saves into `<workdir>/checkpoints/`, one at a time, in the background; deletes old ones.

    Every process makes one and saves the same steps in the same order.
    """

    def __init__(
        self,
        workdir: str | os.PathLike,
        keep: int = 3,
        *,
        before_manifest: Callable[[], None] = lambda: None,
    ):
        """Makes a writer.

        Args:
          workdir: a folder of a file system, or of a bucket, that all processes reach.
          keep: of the normal checkpoints, the newest that stay; at least 1.
          before_manifest: called on process 0, in the background, when all of a checkpoint is
            there but what completes it; an error of its own makes the save fail.
        """
        self._folder = manifest.folder_of(workdir)
        self._keep = max(1, keep)
        self._before_manifest = before_manifest
        self._first = jax.process_index() == 0
        # Both items in one save: the processes meet once, and the folder appears as a whole.
        self._saver = ocp.AsyncCheckpointer(ocp.CompositeCheckpointHandler())
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._finishing: Future | None = None

    def save(self, metadata: Metadata, tokenizer: Tokenizer, params: Any, optimizer: Any) -> None:
        """Starts a save of arrays that the caller may donate once this returns.

        Waits for the save before it, and raises what went wrong there. `clear` has been called.
        """
        self.wait()
        path = self._folder / str(metadata.step)
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices(f"save {metadata.step}: the folder is free")
        arrays = {"params": params, "optimizer": optimizer}
        items = {name: ocp.args.StandardSave(tree) for name, tree in arrays.items()}
        self._saver.save(path, args=ocp.args.Composite(**items))
        self._finishing = self._thread.submit(self._finish, path, metadata, tokenizer)

    def clear(self, step: int | None = None) -> None:
        """Makes the place of a step free, or removes all that killed runs left unfinished.

        For process 0, before the others go on.
        """
        if step is None:
            manifest.remove_unfinished(self._folder)
            return
        path = self._folder / str(step)
        manifest.remove_checkpoint(path)
        sums.forget(path)
        self._folder.mkdir(parents=True, exist_ok=True)

    def check_space(self, params: Any, optimizer: Any) -> None:
        """Refuses a save that the disk cannot hold, as far as is known before it is written.

        Orbax would find out in the middle, with a page of tracebacks from its threads.

        Raises:
          UserError: it needs more than is free.
        """
        if storage.is_remote(self._folder):
            return
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
            reason = _reason(error)
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

    def _finish(self, path: AnyPath, metadata: Metadata, tokenizer: Tokenizer) -> None:
        # Returns when the arrays of all processes are there. The processes meet through JAX's
        # coordination service: a collective here would run into those of the training thread.
        if not self._first:
            try:
                self._saver.wait_until_finished()
                sums.tell(path)
            except Exception as error:
                sums.tell_failure(path, error)
                raise
            return
        self._saver.wait_until_finished()
        _finish_checkpoint(path, metadata, tokenizer, self._before_manifest)
        with contextlib.suppress(StorageError):  # those that stay go after the next save
            for old in manifest.superseded(self._folder, self._keep):
                manifest.remove_checkpoint(old)


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
        reason = _reason(error)
        raise UserError(f"{path / 'params'}: cannot be written ({reason})") from error
    _finish_checkpoint(path, metadata, tokenizer)


def _finish_checkpoint(
    path: AnyPath,
    metadata: Metadata,
    tokenizer: Tokenizer,
    before_manifest: Callable[[], None] = lambda: None,
) -> None:
    """Writes the vocabulary, and last the manifest that completes the checkpoint."""
    anywhere.write_bytes(path / tokenizer.file_name, tokenizer.vocab_bytes())
    options = tokenizer.options.to_dict()
    metadata = dataclasses.replace(metadata, vocab=tokenizer.file_name, tokenizer=options)
    files = sums.gather(path)
    before_manifest()
    manifest.write_manifest(path, metadata, files)


def restore_params(path: AnyPath) -> dict[str, Any]:
    """A checkpoint's parameters as a nested dict of NumPy arrays, after checking every sum.

    Raises:
      UserError: a file is missing, changed or unknown.
    """
    manifest.require_intact(path)
    try:
        return read_arrays(path / "params")
    except Exception as error:  # as above; what it read is what was written
        reason = _reason(error)
        raise UserError(
            f"{path / 'params'}: Orbax cannot read it ({reason}): use another checkpoint"
        ) from error


def read_arrays(folder: AnyPath) -> Any:
    """The arrays of a checkpoint's `params` or `optimizer` in host memory, whoever saved them.

    The sums are not looked at.
    """
    folder = anywhere.absolute(folder)  # Orbax takes no other path
    checkpointer = ocp.PyTreeCheckpointer()
    tree = checkpointer.metadata(folder).item_metadata.tree
    arguments = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), tree)
    return checkpointer.restore(folder, restore_args=arguments)


def restore_params_to(path: AnyPath, params: Any) -> Any:
    """Restores parameters alone, into the shapes and shardings of an abstract tree.

    Raises:
      UserError: a file is missing, changed or unknown.
    """
    manifest.require_intact(path)
    with ocp.StandardCheckpointer() as loader:
        return loader.restore(anywhere.absolute(path) / "params", params)


def restore_state(path: AnyPath, params: Any, optimizer: Any) -> tuple[Any, Any]:
    """Restores a training state into the shapes and shardings of two abstract trees.

    Call `check_files` first: this does not look at the sums again.
    """
    path = anywhere.absolute(path)
    with ocp.StandardCheckpointer() as loader:
        return loader.restore(path / "params", params), loader.restore(
            path / "optimizer", optimizer
        )


def _reason(error: Exception) -> str:
    """An error's text in one line, without its middle where it is long: causes stand at its end."""
    text = " ".join(str(error).partition(" [tensorstore_spec=")[0].split())
    return text if len(text) <= 300 else f"{text[:100]} … {text[-190:]}"
