"""Installs the checkout on all workers at once: its own Python by uv, and the locked packages.

The tracked files of the checkout travel as one archive. Afterwards the workers' packages are
compared with each other. Run again, it does nothing where nothing has changed.
"""

import argparse
import base64
import gzip
import hashlib
import io
import re
import tarfile
from pathlib import Path

from . import queued, workers
from .errors import ScriptError
from .gcloud import Gcloud, say
from .remembered import state_folder
from .workers import Reports, Worker

CHECKOUT = Path(__file__).resolve().parents[2]
# The name of the archive until its content is known, which a dry run never knows.
UNKNOWN = "CHECKOUT"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None beyond those of all scripts."""


def run(args: argparse.Namespace, gcloud: Gcloud) -> int:
    """Installs on the run's request."""
    setup(gcloud, queued.active(gcloud))
    return 0


def setup(gcloud: Gcloud, request: queued.Request) -> None:
    """Installs what the checkout is now on all workers of a request.

    Raises:
      ScriptError: a worker does not answer, could not install, or has other packages.
    """
    config = gcloud.config
    archive = pack_checkout(gcloud)
    options = (config.setup.python, config.setup.uv, uv_version(), config.setup.lock)
    key = hashlib.sha256(archive + "\0".join(options).encode()).hexdigest()[:16]
    key = UNKNOWN if gcloud.dry_run else key
    path = state_folder(config, create=not gcloud.dry_run) / f"{key}.tar.gz"
    before = workers.ask(gcloud, request.nodes, "prepare")
    done = {worker for worker, report in before.items() if report["setup"] == key}
    if gcloud.dry_run or workers.expected(config) - done:
        say(f"sending the checkout, {len(archive) / 1e6:.1f} MB, to every worker")
        if not gcloud.dry_run:
            path.write_bytes(archive)
        try:
            workers.send(gcloud, request.nodes, path, f"biobert_tpu/{path.name}")
        finally:
            path.unlink(missing_ok=True)
        say("installing on every worker, which takes some minutes")
    reports = install(gcloud, request, (key, path.name, *options))
    if not gcloud.dry_run:
        compare(reports)


def install(gcloud: Gcloud, request: queued.Request, words: tuple[str, ...]) -> Reports:
    """Runs the installation, again on workers that do not answer or fail.

    Raises:
      ScriptError: one has failed each time.
    """
    config, reports = gcloud.config, {}
    left: set[Worker] | None = None
    for attempt in range(config.setup.tries):
        reports |= workers.ask(
            gcloud,
            request.nodes,
            "setup",
            *words,
            timeout=60 * config.setup.timeout_minutes,
            only=left,
        )
        left = {w for w in workers.expected(config) if "ready" not in reports.get(w, {})}
        if not left or gcloud.dry_run:
            return reports
        say(f"attempt {attempt + 1}: not ready: {workers.named(sorted(left))}")
        gcloud.pause(min(5.0 * 2**attempt, config.poll_seconds))
    first = min(left)
    said = reports.get(first, {}).get("failed", "it does not answer").strip()
    raise ScriptError(f"setup: {workers.named(sorted(left))}: {said}")


def compare(reports: Reports) -> None:
    """Says what all workers have.

    Raises:
      ScriptError: two have different packages.
    """
    packages = {worker: _packages(report["packages"]) for worker, report in reports.items()}
    first = min(packages)
    for worker, own in sorted(packages.items()):
        different = [
            f"{name} {own.get(name, 'missing')} against {packages[first].get(name, 'missing')}"
            for name in sorted(own.keys() | packages[first].keys())
            if own.get(name) != packages[first].get(name)
        ]
        if different:
            raise ScriptError(
                f"setup: {workers.named([worker])} differs from {workers.named([first])}: "
                f"{', '.join(different[:3])}; delete and create anew"
            )
    own = packages[first]
    shown = ", ".join(f"{name} {own[name]}" for name in ("python", "jax", "libtpu") if name in own)
    say(f"{len(packages)} workers have the same {len(own)} packages: {shown}")


def pack_checkout(gcloud: Gcloud) -> bytes:
    """The tracked files as they lie there now, the same bytes for the same files.

    Raises:
      ScriptError: it is no checkout of git, or has no lock.
    """
    listed = gcloud.run(["git", "-C", str(CHECKOUT), "ls-files", "-z", "--cached"])
    if gcloud.dry_run:
        return b""
    if listed.code:
        raise ScriptError(f"{CHECKOUT}: no checkout of git; its tracked files are installed")
    names = sorted({name.decode() for name in listed.stdout.split(b"\0") if name})
    lock = gcloud.config.setup.lock
    if lock not in names:
        raise ScriptError(f"setup.lock = {lock!r}: no tracked file of {CHECKOUT}")
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for name in names:
            if (CHECKOUT / name).is_symlink() or (CHECKOUT / name).exists():
                archive.add(CHECKOUT / name, arcname=name, recursive=False, filter=_anonymous)
    return gzip.compress(tar.getvalue(), mtime=0)


def uv_version() -> str:
    """The version of uv that the Makefile pins."""
    return re.search(r"^UV_VERSION := (\S+)$", (CHECKOUT / "Makefile").read_text(), re.M)[1]


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o755 if entry.mode & 0o100 else 0o644
    return entry


def _packages(text: str) -> dict[str, str]:
    lines = gzip.decompress(base64.b64decode(text)).decode().splitlines()
    return dict(line.split("==", 1) for line in lines)
