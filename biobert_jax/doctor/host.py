"""What a host shows without JAX: versions, folders and buckets, disk, memory."""

import contextlib
import importlib.metadata
import os
import platform
import secrets
import subprocess
import time
from pathlib import Path

from biobert_jax import __version__, storage
from biobert_jax.disk import check_space, free_bytes
from biobert_jax.errors import UserError
from biobert_jax.storage import anywhere
from biobert_jax.units import size

# What the programs of a run, or the files between its hosts, depend on.
PACKAGES = (
    "jax",
    "jaxlib",
    "libtpu",
    "flax",
    "optax",
    "orbax-checkpoint",
    "numpy",
    "tensorflow-cpu",
)
_ROOT = Path(__file__).resolve().parents[2]
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")
# Below it even a small run ends with a full disk.
_LEAST_DISK = 10**9
_PROBE = b"biobert doctor"


def versions() -> dict[str, str]:
    """Of all that must be the same on every host; "" where something is not installed."""
    own = f"{__version__} {_commit()}".strip()
    found = {"biobert_jax": own, "Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = ""
    return found


def _commit() -> str:
    """The checkout's commit, with a + where files were changed; "" where it is none."""
    if not (_ROOT / ".git").exists():
        return ""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        git = ["git", "-C", str(_ROOT)]
        commit, changed = (
            subprocess.run([*git, *words], capture_output=True, text=True, timeout=20, check=True)
            for words in (["rev-parse", "--short=10", "HEAD"], ["status", "--porcelain", "-uno"])
        )
        return commit.stdout.strip() + ("+" if changed.stdout.strip() else "")
    return ""


def try_workdir(place: str) -> tuple[str, float | None]:
    """Writes, reads back, lists and deletes a file where a workdir is or will be.

    Returns:
      What was done, and the seconds by which a bucket's clock is ahead of this host's, rounded;
      None: a local folder.

    Raises:
      UserError: one of them cannot be done; which one.
    """
    name = f".biobert-doctor-{secrets.token_hex(8)}"
    if storage.is_remote(place):
        path = f"{place.rstrip('/')}/{name}"
        ahead = storage.write_bytes(path, _PROBE).updated.timestamp() - time.time()
        if storage.read_bytes(path) != _PROBE:
            raise UserError(f"{path}: read back, it is not what was written")
        if path not in [found.path for found in storage.list_folder(place)]:
            raise UserError(f"{path} was written, but {place} does not list it")
        storage.delete(path)
        return f"{place}: written, read, listed and deleted", ahead
    folder = _nearest(place)
    path = folder / name
    try:
        path.write_bytes(_PROBE)
        same, listed = path.read_bytes() == _PROBE, path in list(folder.iterdir())
        path.unlink()
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written ({error.strerror}): choose another"
        ) from error
    if not (same and listed):
        raise UserError(f"{folder}: a file that was written is not read back and listed")
    return f"{folder}: written, read, listed and deleted", None


def leave_mark(place: str) -> str:
    """Writes a file for the other hosts to look for at a workdir; "" where it cannot be written."""
    folder = place.rstrip("/") if storage.is_remote(place) else str(_nearest(place))
    path = f"{folder}/.biobert-doctor-{secrets.token_hex(8)}"
    with contextlib.suppress(OSError, UserError):
        anywhere.write_bytes(storage.path(path), _PROBE)
        return path
    return ""


def see_mark(path: str) -> str:
    """Looks for what process 0 has left.

    Raises:
      UserError: it is not there.
    """
    if not (storage.exists(path) if storage.is_remote(path) else Path(path).exists()):
        raise UserError(
            f"{path.rpartition('/')[0]}: what process 0 wrote is not there: give a workdir on a "
            "file system that all hosts share, or in a bucket"
        )
    return "what process 0 wrote is there"


def remove_mark(path: str) -> None:
    """Takes it away when all have looked."""
    with contextlib.suppress(OSError, UserError):
        anywhere.remove(storage.path(path))


def try_data(place: str) -> str:
    """Lists a data set's folder and reads its manifest or first file.

    Raises:
      UserError: there is nothing, or it cannot be read.
    """
    if storage.is_remote(place):
        found = storage.list_folder(place)
        if not found:
            raise UserError(f"{place}: nothing is there: give the data set's folder")
        first = min(found, key=lambda each: each.size)
        storage.read_bytes(first.path)
        return f"{place}: {len(found):,} objects listed, {first.name} read"
    try:
        files = sorted(path for path in Path(place).iterdir() if path.is_file())
        if not files:
            raise UserError(f"{place}: no file is there: give the data set's folder")
        for path in files:
            with open(path, "rb") as stream:
                stream.read(1)
    except OSError as error:
        raise UserError(f"{error.filename or place}: cannot be read ({error.strerror})") from error
    return f"{place}: {len(files):,} files listed and opened"


def disk(place: str, needed: int) -> str:
    """The space at a local folder against what a run will write there.

    Raises:
      UserError: it is not enough.
    """
    free = free_bytes(place)
    check_space(max(needed, _LEAST_DISK), free, str(_nearest(place)))
    need = f", about {size(needed)} needed" if needed else ""
    return f"{size(free)} free at {_nearest(place)}{need}"


def memory(needed: int) -> str:
    """The memory that is left for this process against a run's need.

    Raises:
      UserError: it is not enough.
    """
    free = available_memory()
    if needed > free:
        raise UserError(
            f"{size(free)} of memory are available and about {size(needed)} needed: a larger "
            "machine, a smaller model, or mesh.layout=fsdp over more devices"
        )
    return f"{size(free)} available" + (f", about {size(needed)} needed" if needed else "")


def available_memory(meminfo: Path = _MEMINFO, cgroup: Path = _CGROUP) -> int:
    """Bytes that can be used without swapping, within a container's limit."""
    lines = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
    available = int(lines["MemAvailable"].split()[0]) * 1024
    with contextlib.suppress(OSError, ValueError):  # "max": no limit
        limit = int((cgroup / "memory.max").read_text())
        available = min(available, limit - int((cgroup / "memory.current").read_text()))
    return max(available, 0)


def _nearest(place: str) -> Path:
    """The folder, or the one above it that is there."""
    folder = Path(os.path.abspath(place))
    while not folder.exists():
        folder = folder.parent
    return folder
