"""The benchmarks, which no suite runs, at least import what there is."""

import ast
import importlib
import importlib.util

import pytest

from tests.end_to_end.conftest import ROOT

BENCHMARKS = sorted((ROOT / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_what_a_benchmark_imports_of_the_package_is_there(path):
    missing = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("biobert_jax"):
            module = importlib.import_module(node.module)
            for name in node.names:
                submodule = f"{node.module}.{name.name}"
                is_there = hasattr(module, name.name) or (
                    hasattr(module, "__path__") and importlib.util.find_spec(submodule)
                )
                missing += [] if is_there else [submodule]
    assert not missing
