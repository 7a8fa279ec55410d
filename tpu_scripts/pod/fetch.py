"""Brings every worker's log and exit code, and the files that the config names under `fetch`.

Files are worker 0's of slice 0; gs:// objects are copied by gcloud. Each lands as a whole.
"""

import argparse
import functools
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from . import queued, workers
from .errors import ScriptError
from .gcloud import Gcloud, say

# Workers fetched from at the same time: each takes a gcloud of its own.
AT_ONCE = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """--output, and further paths."""
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="or FILE.state/fetched")
    parser.add_argument("paths", nargs="*", metavar="PATH", help="on worker 0, or gs://, too")


def run(args: argparse.Namespace, gcloud: Gcloud) -> int:
    """Brings what there is."""
    paths = [*gcloud.config.fetch, *args.paths]
    output = args.output or gcloud.config.state / "fetched"
    remote = [path for path in paths if not path.startswith("gs://")]
    fetch_workers(gcloud, queued.active(gcloud), remote, output)
    fetch_objects(gcloud, [path for path in paths if path.startswith("gs://")], output)
    say(f"{output}: logs/, and {len(paths)} paths that were named")
    return 0


def fetch_workers(gcloud: Gcloud, request: queued.Request, paths: list[str], output: Path) -> None:
    """Logs and exit codes of all workers, and files of the first.

    Raises:
      ScriptError: a worker does not answer, or has no such file.
    """
    wanted = sorted(workers.expected(gcloud.config))
    if gcloud.dry_run:
        for worker in wanted:
            _pack(gcloud, request, worker, None, "results")
        if paths:
            _pack(gcloud, request, (0, 0), None, "pack", *paths)
        return
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output, prefix=".coming_") as coming:
        folders = {worker: Path(coming) / "{}.{}".format(*worker) for worker in wanted}
        calls = [
            functools.partial(_pack, gcloud, request, worker, folder, "results")
            for worker, folder in folders.items()
        ]
        if paths:
            files = Path(coming) / "files"
            calls.append(functools.partial(_pack, gcloud, request, (0, 0), files, "pack", *paths))
        for at in range(0, len(calls), AT_ONCE):
            gcloud.each(calls[at : at + AT_ONCE])
        for (index, worker), folder in folders.items():
            for path in sorted(folder.iterdir()):
                _place(path, output / "logs" / f"slice{index}_worker{worker}.{path.name}")
        for path in sorted(files.rglob("*")) if paths else ():
            if path.is_file() and not path.is_symlink():
                _place(path, output / "files" / path.relative_to(files))


def fetch_objects(gcloud: Gcloud, urls: list[str], output: Path) -> None:
    """Objects and folders of buckets.

    Raises:
      ScriptError: one could not be copied.
    """
    for url in urls:
        folder = (output / "gs" / url.removeprefix("gs://").rstrip("/")).parent
        if not gcloud.dry_run:
            folder.mkdir(parents=True, exist_ok=True)
        words = gcloud.words("storage", "cp", "--recursive", url, "./", zone=False)
        done = gcloud.run(words, timeout=24 * 3600, folder=folder)
        if done.code:
            raise gcloud.error(done, ("storage", "cp", url))


def _pack(
    gcloud: Gcloud,
    request: queued.Request,
    worker: workers.Worker,
    folder: Path | None,
    command: str,
    *args: str,
) -> None:
    """Unpacks what a worker sends into a folder; only below it, whatever the worker says."""
    text = workers.remote_command(command, gcloud.config.name, worker[0], *args)
    words = workers.ssh(gcloud, request.nodes[worker[0]], text, str(worker[1]))
    with tempfile.TemporaryFile() as archive:
        done = gcloud.run(words, timeout=24 * 3600.0, stdout=archive)
        if done.code:
            said = [line for line in done.stderr.splitlines() if line.startswith("tar: ")]
            if said:
                raise ScriptError(f"fetch: {workers.named([worker])}: {said[0]}")
            raise gcloud.error(done, ("compute", "tpus", "tpu-vm", "ssh"))
        if folder is not None:
            folder.mkdir()
            archive.seek(0)
            try:
                with tarfile.open(fileobj=archive) as entries:
                    entries.extractall(folder, filter="data")
            except tarfile.TarError as error:
                raise ScriptError(f"fetch: {workers.named([worker])}: {error}") from None


def _place(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=target.parent, delete=False) as temporary:
        with open(source, "rb") as content:
            shutil.copyfileobj(content, temporary)
    os.replace(temporary.name, target)
