"""Fields of dataclasses that are options of the command line, with default and help in one place.

Nothing is imported here: the command line builds its parsers from such dataclasses at every start.
"""

import dataclasses
from typing import Any

OPTION = "option"


def option(default: Any, help: str, *, group: str, **details: Any) -> Any:
    """A dataclass field that `commands.field_options.add_fields` makes an option of.

    Args:
      help: as in --help; `%(default)s` stands for the default.
      group: the heading under which --help has it.
      details: more of argparse's: `metavar`, `choices`.
    """
    metadata = {OPTION: {"help": help, "group": group, **details}}
    return dataclasses.field(default=default, metadata=metadata)
