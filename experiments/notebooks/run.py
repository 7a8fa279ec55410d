"""Runs every notebook from a clean kernel, and fails where a cell does: make notebooks.

    python experiments/notebooks/run.py [NAME ...]

Executed copies, with what the cells showed, and each picture as a file of its own are written to
$NOTEBOOK_OUT (notebook_out).
"""

import base64
import os
import resource
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

HERE = Path(__file__).resolve().parent
OUT = Path(os.environ.get("NOTEBOOK_OUT") or HERE.parents[1] / "notebook_out")
# Seconds that a cell may take, on two busy cores.
CELL_TIMEOUT = 900


def main(names: list[str]) -> int:
    """Runs those whose names begin so, or all; returns the exit code."""
    paths = [p for p in sorted(HERE.glob("*.ipynb")) if p.name.startswith(tuple(names) or "")]
    (OUT / "executed").mkdir(parents=True, exist_ok=True)
    failed = not paths
    for path in paths:
        started, before = time.monotonic(), processor_seconds()
        error = execute(path)
        took = time.monotonic() - started, processor_seconds() - before
        verdict = f"FAILED: {error}" if error else "ok"
        print(f"{path.name}: {verdict}, {took[0]:.0f} s ({took[1]:.0f} s of CPU)", flush=True)
        failed |= bool(error)
    return int(failed)


def processor_seconds() -> float:
    """Of the kernels that have ended, and of what their cells started."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def execute(path: Path) -> str:
    """Runs a notebook and keeps what it showed; returns what went wrong, or ""."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(HERE)}},
    )
    error = ""
    try:
        client.execute()
    except CellExecutionError as failure:
        error = str(failure)
    nbformat.write(notebook, OUT / "executed" / path.name)
    pictures = [
        output.data["image/png"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]
    for number, picture in enumerate(pictures, 1):
        name = f"{path.stem}-{number}.png"
        (OUT / "executed" / name).write_bytes(base64.b64decode(picture))
    return error


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
