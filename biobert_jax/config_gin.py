"""gin files and bindings for the config's dataclasses: `OptimizerConfig.learning_rate = 1e-4`.

Each dataclass of a config is configurable under its class's name, and its fields are what is bound.
Macros, includes and imports are gin's own. What is bound stands over the experiment's values, and
under what the command line sets with --config.KEY=VALUE.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints

import gin

from biobert_jax.config import PretrainConfig
from biobert_jax.config_finetuning import FinetuneConfig
from biobert_jax.errors import UserError, nearest

_UNKNOWN_CLASS = re.compile(r"No configurable matching '([^']+)'")
_UNKNOWN_FIELD = re.compile(r"Configurable '([^']+)' doesn't have a parameter named '([^']+)'")
# What gin adds to an error: where it stood.
_PLACE = re.compile(r'\s*In (?:file "([^"]+)", line (\d+)|bindings string line \d+)')
_SCOPED = re.compile(r"^(\S+/\S+\.\S+) = ", re.MULTILINE)
_MODULE = "biobert_jax"


def apply_gin(
    cls: type, values: Mapping[str, Any], files: Sequence[str], bindings: Sequence[str]
) -> dict[str, Any]:
    """`values`, nested keys of the dataclass `cls`, with what gin binds; later ones stand.

    Raises:
      UserError: a file that cannot be read or is no gin; a class or field that is not there, named
        with the nearest one; a class that this config has not; a scope.
    """
    bound = _parse(files, bindings)
    places = {group.__name__: path for path, group in _groups(cls)}
    result = _copied(values)
    for name, fields in bound.items():
        if name not in places:
            near = next((n for n in places if n.endswith(name)), nearest(name, places))
            raise UserError(
                f"gin: {name}.{next(iter(fields))}: this verb's config is {cls.__name__}, which "
                f"has no {name}: "
                + (f"did you mean {near!r}?" if near else f"it has {', '.join(places)}")
            )
        node = result
        for part in places[name]:
            node = node.setdefault(part, {})
        node.update(fields)
    return result


def _parse(files: Sequence[str], bindings: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What is bound, by class and field; gin holds nothing before and after."""
    for name in files:
        if not Path(name).is_file():  # gin logs that, too
            raise UserError(f"--gin_file {name}: no such file")
    classes = {
        group.__name__: group
        for cls in (PretrainConfig, FinetuneConfig)
        for _, group in _groups(cls)
    }
    _register(classes)
    gin.clear_config()
    try:
        gin.parse_config_files_and_bindings(list(files), list(bindings), finalize_config=False)
        found = {name: gin.get_bindings(f"{_MODULE}.{name}") for name in classes}
        if scoped := _SCOPED.search(gin.config_str()):
            raise UserError(f"gin: {scoped[1]}: a scope means nothing here: bind without it")
    except (SyntaxError, ValueError, TypeError, OSError, ImportError, AttributeError) as error:
        raise UserError(_told(error, classes, files)) from error
    finally:
        gin.clear_config()
    return {name: fields for name, fields in found.items() if fields}


def _register(classes: Mapping[str, type]) -> None:
    for name, cls in classes.items():
        try:
            gin.get_configurable(f"{_MODULE}.{name}")
        except ValueError:
            gin.external_configurable(cls, name, module=_MODULE)


def _groups(cls: type, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], type]]:
    """(path, dataclass) of a config and of every group of keys in it; not of lists of groups."""
    yield path, cls
    hints = get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if dataclasses.is_dataclass(hints[field.name]):
            yield from _groups(hints[field.name], (*path, field.name))


def _told(error: Exception, classes: Mapping[str, type], files: Sequence[str]) -> str:
    """An error of gin's as one line: where, what, and what is near."""
    said = str(error)
    place = _PLACE.search(said)
    where = f"--gin_file {place[1]}:{place[2]}" if place and place[1] else "--gin_bindings"
    if isinstance(error, SyntaxError) and error.filename:
        where, said = f"--gin_file {error.filename}:{error.lineno}", error.msg
    if isinstance(error, OSError | UnicodeDecodeError):
        return f"--gin_file {', '.join(files)}: {said.strip()}"
    if unknown := _UNKNOWN_CLASS.search(said):
        name = unknown[1].rpartition("/")[2]
        near = nearest(name, classes)
        hint = f"did you mean {near!r}?" if near else f"known: {', '.join(classes)}"
        return f"{where}: no config is called {name!r}: {hint}"
    if unknown := _UNKNOWN_FIELD.search(said):
        name = unknown[1].rpartition(".")[2]
        known = [field.name for field in dataclasses.fields(classes[name])]
        near = nearest(unknown[2], known)
        hint = f"did you mean {near!r}?" if near else f"known: {', '.join(known)}"
        return f"{where}: {name} has no {unknown[2]!r}: {hint}"
    return f"{where}: {' '.join(_PLACE.sub('', said).split())}"


def _copied(values: Any) -> Any:
    """Nested dicts of their own; what is no group of keys as it is."""
    if hasattr(values, "items"):
        return {key: _copied(value) for key, value in values.items()}
    return values
