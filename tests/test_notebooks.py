"""Notebooks: their commands are ones that biobert takes; they come without outputs, all alike.

`make notebooks` runs them.
"""

import json
import re

import pytest

from biobert_jax import cli
from biobert_jax.commands.config_file import experiment_class, load_config
from tests.test_documentation import ROOT, commands, shown

NOTEBOOKS = sorted((ROOT / "experiments/notebooks").glob("*.ipynb"))


def code_cells(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def source(cell):
    return "".join(cell["source"])


def cases():
    for path in NOTEBOOKS:
        for command in commands("\n".join(map(source, code_cells(path)))):
            command = command.partition(" | ")[0]
            yield pytest.param(command, id=f"{path.stem}: {command[:60]}")


@pytest.mark.parametrize("command", cases())
def test_every_command_is_one(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    args = cli.parse(shown(command)[1:])
    if getattr(args, "workdir", None):
        load_config(args, experiment_class(args.config))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_is_kept_of_a_notebook(path):
    cells = code_cells(path)
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
    assert source(cells[0]) == source(code_cells(NOTEBOOKS[0])[0]), "one first cell for all"
    metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
    runtime = metadata["colab"]["runtime_attributes"]["runtime_version"]
    assert re.fullmatch(r"\d{4}\.\d\d", runtime)
    # A failing command must fail its cell.
    assert all(source(c).startswith("%%bash -e\n") for c in cells if "%%bash" in source(c))


def test_they_are_found():
    assert len(NOTEBOOKS) == 4 and len(list(cases())) > 15
