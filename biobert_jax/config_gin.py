"""gin files and bindings for the config's dataclasses: `OptimizerConfig.learning_rate = 1e-4`.

Each dataclass of a config is configurable under its class's name, and its fields are what is bound.
Macros, includes and imports are gin's own. What is bound stands over the experiment's values, and
under what the command line sets with --config.KEY=VALUE.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import gin

from biobert_jax.config import PretrainConfig
from biobert_jax.config_finetuning import FinetuneConfig
from biobert_jax.config_parsing import apply_overrides
from biobert_jax.errors import UserError, nearest

_UNKNOWN_CLASS = re.compile(r"No configurable matching '([^']+)'")
_UNKNOWN_FIELD = re.compile(r"Configurable '([^']+)' doesn't have a parameter named '([^']+)'")
# What gin adds to an error: where it stood.
_PLACE = re.compile(r'\s*In (?:file "([^"]+)", line (\d+)|bindings string line \d+)')
_SCOPED = re.compile(r"^(\S+/\S+\.\S+) = ", re.MULTILINE)
_MACRO = re.compile(r"^(\w+)\s*=", re.MULTILINE)
_INCLUDES = re.compile(r"^include\b", re.MULTILINE)
_MODULE = "biobert_jax"
_LONGEST = 400  # characters of what gin says


def apply_gin(
    cls: type, values: Mapping[str, Any], files: Sequence[str], bindings: Sequence[str]
) -> dict[str, Any]:
    """`values`, nested keys of the dataclass `cls`, with what gin binds; later ones stand.

    Raises:
      UserError: a file that cannot be read or is no gin; a class or field that is not there, named
        with the nearest one; a class that this config has not; a scope.
    """
    result = apply_overrides(cls, values, ())  # plain, and every group is one
    bound = _parse(files, bindings)
    places = {group.__name__: path for path, group in _groups(cls)}
    for name, keys in bound.items():
        if name not in places:
            near = next((n for n in places if n.endswith(name)), nearest(name, places))
            raise UserError(
                f"gin: {name}.{next(iter(keys))}: this verb's config is {cls.__name__}, which "
                f"has no {name}: "
                + (f"did you mean {near!r}?" if near else f"it has {', '.join(places)}")
            )
        node = result
        for part in places[name]:
            node = node.setdefault(part, {})
        node.update(keys)
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
    except UserError:
        raise
    except Exception as error:  # gin's, its tokenizer's, or those of a module that a file imports
        raise UserError(_told(error, classes, files)[:_LONGEST]) from error
    finally:
        gin.clear_config()
    _check_macros(classes, files, bindings)
    return {name: keys for name, keys in found.items() if keys}


def _check_macros(
    classes: Mapping[str, type], files: Sequence[str], bindings: Sequence[str]
) -> None:
    """Refuses a name without a class that no %NAME takes: most likely a slip, not a macro."""
    texts = [*(Path(name).read_text(encoding="utf-8") for name in files), *bindings]
    whole = "\n".join(texts)
    for name in _MACRO.findall(whole):
        if f"%{name}" not in whole and not _INCLUDES.search(whole):
            owners = [c for c, cls in classes.items() if name in {f.name for f in fields(cls)}]
            hint = f", such as {owners[0]}.{name}" if owners else ""
            raise UserError(f"gin: {name} is bound to nothing: give the class of the key{hint}")


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
    for field in fields(cls):
        if is_dataclass(hints[field.name]):
            yield from _groups(hints[field.name], (*path, field.name))


def _told(error: Exception, classes: Mapping[str, type], files: Sequence[str]) -> str:
    """An error of gin's as one line: where, what, and what is near."""
    said = str(error)
    place = _PLACE.search(said)
    where = f"--gin_file {place[1]}:{place[2]}" if place and place[1] else "--gin_bindings"
    if isinstance(error, SyntaxError) and error.filename:
        where, said = f"--gin_file {error.filename}:{error.lineno}", error.msg
    if isinstance(error, OSError | UnicodeDecodeError):
        return f"--gin_file {', '.join(files) or 'that is included'}: {' '.join(said.split())}"
    if isinstance(error, RecursionError):
        return "gin: a file includes itself, or a macro stands for itself"
    if unknown := _UNKNOWN_CLASS.search(said):
        name = unknown[1].rpartition("/")[2]
        near = nearest(name, classes)
        hint = f"did you mean {near!r}?" if near else f"known: {', '.join(classes)}"
        return f"{where}: no config is called {name!r}: {hint}"
    if unknown := _UNKNOWN_FIELD.search(said):
        name = unknown[1].rpartition(".")[2]
        known = [field.name for field in fields(classes[name])]
        near = nearest(unknown[2], known)
        hint = f"did you mean {near!r}?" if near else f"known: {', '.join(known)}"
        return f"{where}: {name} has no {unknown[2]!r}: {hint}"
    return f"{where}: {' '.join(_PLACE.sub('', said).split())}"
