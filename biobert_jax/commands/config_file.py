"""Experiment files: `--config FILE[:PRESET]` with `--config.a.b=value` overrides."""

import argparse
import importlib.util
import inspect
import sys
from pathlib import Path
from typing import TypeVar

from biobert_jax.config_parsing import apply_overrides, resolve
from biobert_jax.errors import UserError

T = TypeVar("T")


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds --config and --workdir; overrides are picked up by `cli.main`."""
    parser.add_argument(
        "--config",
        required=True,
        metavar="FILE[:PRESET]",
        help="an experiment file; any key of it is set with --config.a.b=VALUE",
    )
    parser.add_argument("--workdir", required=True, metavar="DIR", help="all output goes here")


def load_config(args: argparse.Namespace, cls: type[T]) -> T:
    """The experiment file's config with the overrides, as the dataclass `cls`.

    Raises:
      UserError: no such file, no `get_config` in it, an unknown preset or key, a wrong value.
    """
    name, colon, preset = args.config.partition(":")
    path = Path(name)
    if not path.is_file():
        raise UserError(f"--config {path}: no such file")
    spec = importlib.util.spec_from_file_location("experiment", path)
    if spec is None:
        raise UserError(f"--config {path}: not a Python file: give one like experiments/ner.py")
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's own code may raise anything
        raise UserError(f"--config {path}: {type(error).__name__}: {error}") from error
    finally:
        sys.dont_write_bytecode = before
    if not hasattr(module, "get_config"):
        raise UserError(f"--config {path}: it has no get_config()")
    takes_preset = bool(inspect.signature(module.get_config).parameters)
    if colon and not takes_preset:
        raise UserError(f"--config {args.config}: {path} has no presets")
    try:
        values = module.get_config(preset) if colon else module.get_config()
    except KeyError as error:
        known = ", ".join(getattr(module, "PRESETS", ())) or f"see {path}"
        raise UserError(f"--config {args.config}: no preset {error}: known: {known}") from error
    return resolve(cls, apply_overrides(cls, values, args.overrides))
