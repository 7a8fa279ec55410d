"""What `pip install` brings: the package, the experiments and the quickstart's files."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BUILD = "from setuptools import build_meta; build_meta.build_wheel('dist')"


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with the unpacked wheel, built from a copy of the checkout."""
    pytest.importorskip("setuptools")
    copy, site = tmp_path_factory.mktemp("checkout"), tmp_path_factory.mktemp("site")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in ("biobert_jax", "experiments"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(
        [sys.executable, "-c", BUILD], cwd=copy, check=True, capture_output=True, timeout=250
    )
    (wheel,) = (copy / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def test_it_holds_what_the_checkout_holds(installed):
    def files(folder):
        return {path.relative_to(folder) for path in folder.rglob("*") if path.suffix != ".pyc"}

    def experiments(folder):
        return sorted(path.name for path in folder.glob("*.py"))

    package = installed / "biobert_jax"
    assert experiments(package / "experiments") == experiments(ROOT / "experiments")
    shutil.rmtree(package / "experiments" / "__pycache__", ignore_errors=True)
    missing = files(ROOT / "biobert_jax") - files(package)
    assert {path for path in missing if "__pycache__" not in path.parts} == set()


def test_it_finds_its_experiments_by_name(installed, tmp_path):
    code = (
        "from pathlib import Path; import biobert_jax; from biobert_jax import cli\n"
        "from biobert_jax.commands.config_file import find\n"
        "from biobert_jax.quickstart.__main__ import commands\n"
        "print(find('experiments/ner.py'))\n"
        "for command in commands(Path('out')):\n"
        "    args = cli.parse(command)\n"
        "    if hasattr(args, 'config'): find(args.config.partition(':')[0])\n"
        "raise SystemExit(cli.main(['config', 'ner:ncbi_disease']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(installed / "biobert_jax" / "experiments" / "ner.py"))
    assert "train.tsv,devel.tsv" in done.stdout
