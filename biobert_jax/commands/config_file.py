"""Experiments: `--config NAME[:PRESET]` or `FILE[:PRESET]`, gin, and `--config.a.b=value`."""

import argparse
import contextlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import biobert_jax
from biobert_jax import storage
from biobert_jax.commands.parser import did_you_mean
from biobert_jax.config import PretrainConfig
from biobert_jax.config_finetuning import FinetuneConfig
from biobert_jax.config_parsing import apply_overrides, resolve
from biobert_jax.errors import UserError
from biobert_jax.storage.copies import bring_once

T = TypeVar("T")

# What an experiment fills, by the verb that runs it.
VERBS = {"pretrain": PretrainConfig, "finetune": FinetuneConfig}

METAVAR = "FILE[:PRESET]"
HELP = (
    "an experiment's file, or the name of one that comes with biobert (pretrain_base, "
    "ner:ncbi_disease); `biobert config` lists its keys, each of which --config.a.b=VALUE sets"
)


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds --config and --workdir; overrides are picked up by `cli.main`."""
    parser.add_argument("--config", required=True, metavar=METAVAR, help=HELP)
    parser.add_argument("--workdir", required=True, metavar="DIR", help="all output goes here")
    add_gin_arguments(parser)
    parser.set_defaults(in_buckets=("config", "workdir", "gin_file"))


def add_gin_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what sets keys by gin, over the experiment's values and under --config.KEY=VALUE."""
    parser.set_defaults(in_buckets=("config", "gin_file"))
    parser.add_argument(
        "--gin_file",
        action="append",
        default=[],
        metavar="FILE",
        help="bindings such as OptimizerConfig.learning_rate = 1e-4, over the experiment's values "
        "and under --config.KEY=VALUE; may be given again",
    )
    parser.add_argument(
        "--gin_bindings",
        action="append",
        default=[],
        metavar="'CLASS.KEY = VALUE'",
        help="a binding, over those of files; may be given again",
    )


def load_config(args: argparse.Namespace, cls: type[T]) -> T:
    """The experiment's config with gin's bindings and the overrides, as the dataclass `cls`.

    Raises:
      UserError: no such file, no `get_config` in it, an unknown preset or key, a wrong value.
    """
    values = read_values(args.config)
    if args.gin_file or args.gin_bindings:
        from biobert_jax.config_gin import apply_gin

        try:
            files = [str(bring_once(path)) for path in args.gin_file]
            values = apply_gin(cls, values, files, args.gin_bindings)
        except UserError:
            _refuse_other_verbs(args.config, values, cls)
            raise
    try:
        return resolve(cls, apply_overrides(cls, values, args.overrides))
    except UserError:
        _refuse_other_verbs(args.config, values, cls)
        raise


def _refuse_other_verbs(config: str, values: Any, cls: type) -> None:
    """Says so where an experiment that does not fill `cls` fills another verb's dataclass."""
    fitting = []
    for verb, other in VERBS.items():
        with contextlib.suppress(UserError):
            resolve(other, apply_overrides(other, values, ()))
            fitting.append((verb, other))
    if fitting and cls not in [other for _, other in fitting]:
        raise UserError(
            f"--config {config} is an experiment for `biobert {fitting[0][0]}`: run that verb, or "
            "give another experiment"
        )


def experiment_class(config: str) -> type:
    """The dataclass that an experiment's values fill: by its `task`, else pre-training's."""
    return FinetuneConfig if "task" in read_values(config) else PretrainConfig


def read_values(config: str) -> Any:
    """What the `get_config` of an experiment, `FILE[:PRESET]` or `NAME[:PRESET]`, returns.

    Raises:
      UserError: no such file or preset; whatever the file raises, with its line.
    """
    scheme = storage.SCHEME if storage.is_remote(config) else ""
    name, colon, preset = config.removeprefix(scheme).rpartition(":")
    if not colon or Path(config).is_file():  # a file's name may hold a colon
        name, preset = config.removeprefix(scheme), ""
    path = bring_once(scheme + name) if scheme else find(name)
    module = _execute(path)
    get_config = getattr(module, "get_config", None)
    if not callable(get_config):
        raise UserError(f"--config {path}: it has no get_config()")
    known = list(getattr(module, "PRESETS", ()))
    if preset and not inspect.signature(get_config).parameters:
        raise UserError(f"--config {config}: {path} has no presets")
    if preset and known and preset not in known:
        hint = did_you_mean(preset, known)
        raise UserError(f"--config {config}: no preset {preset!r}: {hint}known: {', '.join(known)}")
    values = _blaming(path, get_config, *([preset] if preset else []))
    if not hasattr(values, "items"):
        line = inspect.unwrap(get_config).__code__.co_firstlineno
        raise UserError(
            f"--config {path}:{line}: get_config() returns {str(values)[:50]}: let it return a "
            "ConfigDict or a dict"
        )
    return values


def find(name: str) -> Path:
    """The file of an experiment: the path as it is, else one that comes with biobert.

    `pretrain_base`, `pretrain_base.py` and `experiments/pretrain_base.py` all name the last.

    Raises:
      UserError: there is neither.
    """
    path = Path(name)
    if path.is_file():
        return path
    shipped = experiments()
    if path.parent in (Path("."), Path("experiments")):
        found = shipped.get(path.stem if path.suffix == ".py" else path.name)
        if found is not None:
            return found
    kind = "it is a folder" if path.is_dir() else "no such file"
    raise UserError(
        f"--config {name}: {kind}, and no experiment that comes with biobert: "
        f"{did_you_mean(path.stem, list(shipped))}known: {', '.join(shipped)}"
    )


def experiments() -> dict[str, Path]:
    """The experiments that come with biobert by name: of a checkout, or inside the package."""
    package = Path(biobert_jax.__file__).parent
    folders = (package / "experiments", package.parent / "experiments")
    folder = next((folder for folder in folders if folder.is_dir()), folders[0])
    return {path.stem: path for path in sorted(folder.glob("*.py")) if path.stem != "__init__"}


def _execute(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("experiment", path)
    if spec is None:
        raise UserError(f"--config {path}: not a Python file: give one like experiments/ner.py")
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        _blaming(path, spec.loader.exec_module, module)
    finally:
        sys.dont_write_bytecode = before
    return module


def _blaming(path: Path, function: Callable, *arguments: Any) -> Any:
    """Calls the user's own code, which may raise anything, and names its line."""
    try:
        return function(*arguments)
    except Exception as error:
        if isinstance(error, SyntaxError) and error.filename:
            where = f"{error.filename}:{error.lineno}"
        else:
            frames = traceback.extract_tb(error.__traceback__)
            own = str(path.absolute())  # as modules know their files
            lines = [frame.lineno for frame in frames if frame.filename == own]
            where = f"{path}:{lines[-1]}" if lines else str(path)
        said = error.msg if isinstance(error, SyntaxError) else " ".join(str(error).split())
        raise UserError(f"--config {where}: {type(error).__name__}: {said}") from error
