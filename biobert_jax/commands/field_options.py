"""Options from the fields of a dataclass, and a dataclass's values from the parsed options."""

import argparse
import dataclasses
from typing import Any

from biobert_jax.corpus.options import OPTION


def add_fields(parser: argparse.ArgumentParser, cls: type) -> None:
    """Adds an option for every field that `corpus.options.option` made, in groups by heading.

    Switches are for what is off by default; `--no-NAME` is there for what is on. Lists are
    separated by commas. The type of everything else is that of its default.
    """
    groups = {group.title: group for group in parser._action_groups}  # noqa: SLF001
    for field in dataclasses.fields(cls):
        if OPTION not in field.metadata:
            continue
        details = dict(field.metadata[OPTION])
        heading = details.pop("group")
        if heading not in groups:
            groups[heading] = parser.add_argument_group(heading)
        default = field.default
        if default is True:
            details["action"] = argparse.BooleanOptionalAction
        elif default is False:
            details["action"] = "store_true"
        else:
            details["type"] = _list if isinstance(default, tuple) else type(default)
        groups[heading].add_argument(f"--{field.name}", default=default, **details)


def field_values(args: argparse.Namespace, cls: type) -> dict[str, Any]:
    """The values of the options that `add_fields` added, by field."""
    return {f.name: getattr(args, f.name) for f in dataclasses.fields(cls) if OPTION in f.metadata}


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
