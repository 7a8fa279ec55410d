"""From the nested values of a config file and the command line to the dataclasses of `config`."""

import dataclasses
import json
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args, get_type_hints

from biobert_jax.errors import UserError, nearest

T = TypeVar("T")


def resolve(cls: type[T], values: Mapping[str, Any], prefix: str = "") -> T:
    """Builds the dataclass `cls` from nested `values` (a ConfigDict or a plain dict).

    Raises:
      UserError: a key that `cls` has not, naming the nearest one; a value of another type.
    """
    hints = get_type_hints(cls)
    arguments = {}
    for key, value in values.items():
        _check_key(cls, key, prefix)
        arguments[key] = _coerce(hints[key], value, prefix + key)
    return cls(**arguments)


def apply_overrides(cls: type, values: Mapping[str, Any], overrides: Sequence[str]) -> dict:
    """Returns `values` as a nested dict with each override, `a.b=value`, set.

    Raises:
      UserError: an override without `=`, or of a key that `cls` has not; a group of keys in
        `values` that is none.
    """
    result = _plain(values)
    _check_groups(cls, result, "")
    for override in overrides:
        path, equals, text = override.partition("=")
        if not equals:
            raise UserError(f"--config.{override} has no value: write --config.{override}=VALUE")
        *parents, leaf = path.split(".")
        node, node_cls = result, cls
        parents = iter(parents)
        prefix = ""
        for parent in parents:
            _check_key(node_cls, parent, prefix)
            node_cls = get_type_hints(node_cls)[parent]
            node = node.setdefault(parent, {})
            prefix += f"{parent}."
            if group := _item_group(node_cls):
                number = next(parents, "")
                if not number.isdigit() or int(number) >= len(node):
                    raise UserError(
                        f"config key {path!r}: {parent!r} is a list of {len(node)}: write "
                        f"{prefix}NUMBER.KEY, from 0 on"
                    )
                node, node_cls = node[int(number)], group
                prefix += f"{number}."
            elif not dataclasses.is_dataclass(node_cls):
                raise UserError(f"config key {path!r}: {parent!r} has no keys below it")
        _check_key(node_cls, leaf, prefix)
        if dataclasses.is_dataclass(get_type_hints(node_cls)[leaf]):
            raise UserError(f"config key {path!r} is a group: set one of its keys instead")
        node[leaf] = text
    return result


def to_json(config: Any) -> str:
    """The resolved config as indented JSON, ending in a line break."""
    return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping) or hasattr(value, "items"):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    # NumPy's numbers and arrays, as a config file may compute them.
    return value.tolist() if hasattr(value, "tolist") else value


def _check_groups(cls: type, values: Any, prefix: str) -> None:
    """That every group of keys, and every list of them, is one as far as it is given."""
    if not isinstance(values, dict):
        raise UserError(f"config key {prefix[:-1]!r} is a group of keys, not {values!r}")
    for key, hint in get_type_hints(cls).items():
        if key in values and dataclasses.is_dataclass(hint):
            _check_groups(hint, values[key], f"{prefix}{key}.")
        elif key in values and (group := _item_group(hint)):
            if not isinstance(values[key], list):
                raise UserError(
                    f"config key {prefix + key!r} is a list of groups, not {values[key]!r}"
                )
            for number, item in enumerate(values[key]):
                _check_groups(group, item, f"{prefix}{key}.{number}.")


def _check_key(cls: type, key: str, prefix: str) -> None:
    names = [f.name for f in dataclasses.fields(cls)]
    if key not in names:
        near = nearest(key, names)
        hint = f"did you mean {prefix + near!r}?" if near else f"known: {', '.join(names)}"
        raise UserError(f"config has no key {prefix + key!r}: {hint}")


def _coerce(hint: Any, value: Any, key: str) -> Any:
    """`value` as the type `hint`: text from the command line is parsed, else it must fit."""
    if dataclasses.is_dataclass(hint):
        if isinstance(value, hint):
            return value
        if not hasattr(value, "items"):
            raise UserError(f"config key {key!r} is a group of keys, not {value!r}")
        return resolve(hint, value, key + ".")
    if group := _item_group(hint):
        if isinstance(value, str):
            raise UserError(f"config key {key!r} is a list of groups: set {key}.NUMBER.KEY")
        return tuple(_coerce(group, item, f"{key}.{i}") for i, item in enumerate(value))
    if get_args(hint):  # tuple[str, ...] is the only other parametrised type in use
        if isinstance(value, str):
            value = [part for part in value.split(",") if part]
        if not isinstance(value, list | tuple):
            raise UserError(f"config key {key!r} takes a list of words, not {value!r}")
        return tuple(str(part) for part in value)
    try:
        if hint is bool:
            if isinstance(value, str):
                return {"true": True, "1": True, "false": False, "0": False}[value.lower()]
            if isinstance(value, bool):
                return value
        elif hint is int and not isinstance(value, bool):
            if isinstance(value, str):
                return int(value.replace("_", ""))
            if int(value) == value:
                return int(value)
        elif hint is float and not isinstance(value, bool):
            if math.isfinite(number := float(value)):
                return number
        elif hint is str and isinstance(value, str):
            return value
    except (KeyError, ValueError, TypeError, OverflowError):
        pass
    raise UserError(f"config key {key!r} takes {hint.__name__}, not {value!r}")


def _item_group(hint: Any) -> type | None:
    """The dataclass D of a hint `tuple[D, ...]`, else None."""
    arguments = get_args(hint)
    return arguments[0] if arguments and dataclasses.is_dataclass(arguments[0]) else None
