"""What every notebook runs first: `biobert` in an environment of its own, and a folder to work in.

    %run set_up.py

The notebook's own environment stays as it is: Colab's has other versions of JAX under what is
loaded. The environment is the checkout's `.venv` (or $BIOBERT_VENV), made from the lock where it is
not there; cells that begin with %%bash or %%script python run in it. Everything is written to
`notebook_out` in the checkout (or $NOTEBOOK_OUT).
"""

import html
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from IPython.display import Image, display

ROOT = Path(__file__).resolve().parents[2]
VENV = Path(os.environ.get("BIOBERT_VENV") or ROOT / ".venv")
WORK = Path(os.environ.get("NOTEBOOK_OUT") or ROOT / "notebook_out")
HAS_TPU = any(Path("/dev").glob("accel*")) or Path("/dev/vfio").exists()
HAS_GPU = Path("/dev/nvidiactl").exists()


def install() -> None:
    """Makes the environment from the lock, for what this machine computes with."""
    if (VENV / "bin/biobert").exists():
        return
    print(f"making {VENV}: a few minutes, once", flush=True)
    uv = shutil.which("uv")
    if uv is None:
        call(sys.executable, "-m", "pip", "install", "-q", "uv")
        uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    lock = ROOT / "requirements" / ("tpu.lock" if HAS_TPU else "base.lock")
    python = ["--python", str(VENV / "bin/python")]
    call(uv, "venv", "-q", "--allow-existing", "--python", sys.executable, VENV)
    call(uv, "pip", "sync", "-q", *python, lock)
    if HAS_GPU and not HAS_TPU:
        [version] = re.findall(r"^jax==([\d.]+)", lock.read_text(), re.MULTILINE)
        call(uv, "pip", "install", "-q", *python, f"jax[cuda12]=={version}")
    call(uv, "pip", "install", "-q", "--no-deps", *python, "-e", ROOT)


def call(*command: object) -> None:
    """Runs a program; its failure is the cell's."""
    subprocess.run([str(word) for word in command], check=True)


def show(path: str, height: int = 480) -> None:
    """A picture, or a page in a frame of so many pixels."""
    if path.endswith(".html"):
        page = html.escape(Path(path).read_text(encoding="utf-8"))
        frame = f'<iframe srcdoc="{page}" width="100%" height="{height}"></iframe>'
        display({"text/html": frame}, raw=True)
    else:
        display(Image(filename=path))


install()
WORK.mkdir(parents=True, exist_ok=True)
os.chdir(WORK)
os.environ.pop("PYTHONPATH", None)  # Colab's leads into its own packages
os.environ |= {
    "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}",
    "MPLBACKEND": "Agg",
    "CORPUS": str(ROOT / "biobert_jax/quickstart/corpus"),
    "SAMPLES": str(ROOT / "biobert_jax/quickstart/samples"),
}
subprocess.run(["biobert", "--version"], check=True)
print(f"working in {WORK}")
