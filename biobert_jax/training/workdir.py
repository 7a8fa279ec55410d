"""A run's folder, on a file system or in a bucket, with one run in it at a time."""

import contextlib
import dataclasses
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import jax

from biobert_jax import storage
from biobert_jax.environment import user_cache
from biobert_jax.errors import UserError
from biobert_jax.files import try_lock
from biobert_jax.storage.anywhere import AnyPath
from biobert_jax.training import distributed
from biobert_jax.training.lease import Lease
from biobert_jax.training.mirror import Mirror


@dataclass(frozen=True)
class Workdir:
    """Where a run keeps what.

    Attributes:
      name: as the user gave it.
      local: a folder of this machine: the config, metrics, events and results. In a bucket's case
        it is a mirror, which process 0 alone fills and sends.
      shared: a folder that all processes reach: the checkpoints. The same, but in a bucket's case.
      root: of several runs' workdirs the one that holds them, as `shared`.
      publish: sends what has changed in a mirror, after `check`.
      check: raises a UserError where another run has taken the folder over.
    """

    name: str
    local: Path
    shared: AnyPath
    root: AnyPath
    publish: Callable[[], None] = lambda: None
    check: Callable[[], None] = lambda: None

    @classmethod
    def at(cls, folder: Path) -> "Workdir":
        """That of a folder of a file system."""
        return cls(str(folder), folder, folder, folder)

    def child(self, name: str) -> "Workdir":
        """The workdir of one of several runs, below this one's."""
        local, shared = self.local / name, self.shared / name
        return dataclasses.replace(self, name=f"{self.name}/{name}", local=local, shared=shared)


@contextlib.contextmanager
def open_workdir(
    workdir: str | os.PathLike | Workdir, say: Callable[[str], None] = lambda line: None
) -> Iterator[Workdir]:
    """Keeps other runs out of a folder, which is made if need be; process 0 speaks for all.

    On the way out, what a mirror has is sent, also after an error.

    Args:
      workdir: a path, or a `Workdir.child` of one that is open.

    Raises:
      UserError: another run is in it; it cannot be made or read.
    """
    if storage.is_remote(workdir.shared if isinstance(workdir, Workdir) else workdir):
        if isinstance(workdir, Workdir):  # held by its parent
            yield workdir
            return
        with _mirrored(workdir, say) as opened:
            yield opened
        return
    opened = workdir if isinstance(workdir, Workdir) else Workdir.at(Path(workdir))
    with contextlib.ExitStack() as locks:
        distributed.decide(lambda: locks.enter_context(_locked(opened.local)))
        if not opened.local.is_dir():
            raise UserError(
                f"--workdir {opened.name}: process {jax.process_index()} does not see what process "
                "0 made: give a folder on a file system that all processes share, or in a bucket"
            )
        yield opened


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / ".lock", "w")
    except OSError as error:
        raise UserError(f"--workdir {folder}: cannot be written ({error.strerror})") from error
    with lock:
        if not try_lock(lock):
            raise UserError(
                f"--workdir {folder}: another run is in it: wait for that one, or stop it"
            )
        yield


@contextlib.contextmanager
def _mirrored(workdir: str | os.PathLike, say: Callable[[str], None]) -> Iterator[Workdir]:
    shared, local = storage.path(workdir), _mirror_folder(workdir)
    with contextlib.ExitStack() as closing:
        lease, mirror = Lease(shared, say=say), Mirror(shared, local)

        def enter() -> None:
            closing.enter_context(lease)
            mirror.pull()
            mirror.shorten()

        def publish() -> None:
            lease.check()
            mirror.push()

        # CPUs' processes meet at their first vote, and wait for half a minute alone.
        distributed.decide(lambda: None)
        distributed.decide(enter)
        if not distributed.is_first():
            shutil.rmtree(local, ignore_errors=True)
            local.mkdir(parents=True)
        opened = Workdir(str(workdir), local, shared, shared, publish, lease.check)
        try:
            yield opened
        except BaseException:
            if distributed.is_first():
                try:
                    publish()
                    shutil.rmtree(local, ignore_errors=True)
                except Exception as error:  # what went wrong first is what the run ends with
                    say(f"{workdir}: {error}; what was not sent is in {local} until the next run")
            raise
        distributed.decide(publish)
        shutil.rmtree(local, ignore_errors=True)


def _mirror_folder(workdir: str | os.PathLike) -> Path:
    """Where this process mirrors a bucket's folder: always the same, so that none pile up."""
    name = hashlib.sha256(os.fspath(workdir).rstrip("/").encode()).hexdigest()[:16]
    return user_cache() / "workdirs" / f"{name}-{jax.process_index()}"
