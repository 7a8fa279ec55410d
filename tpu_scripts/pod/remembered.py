"""What is kept beside the config between two scripts: the command, what watch has done."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .config import Config
from .errors import ScriptError

LAUNCHED = "launch.json"
WATCHED = "watch.json"


def state_folder(config: Config, create: bool = True) -> Path:
    """FILE.state, which only its owner reads."""
    if create:
        config.state.mkdir(mode=0o700, exist_ok=True)
    return config.state


def read(config: Config, name: str) -> dict[str, Any] | None:
    """What was written under a name, or None.

    Raises:
      ScriptError: it cannot be read.
    """
    path = config.state / name
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ScriptError(f"{path}: {error}; remove it to begin anew") from None


def write(config: Config, name: str, value: dict[str, Any]) -> None:
    """Writes a JSON value as a whole or not at all."""
    path = state_folder(config) / name
    temporary = path.with_name(f".{name}.new")
    temporary.write_text(json.dumps(value, indent=1) + "\n")
    os.replace(temporary, path)


def forget(config: Config) -> None:
    """Leaves nothing for a next `watch` to go on with."""
    for name in (LAUNCHED, WATCHED):
        (config.state / name).unlink(missing_ok=True)


@contextlib.contextmanager
def one_at_a_time(config: Config) -> Iterator[None]:
    """Holds the run for one `watch`.

    Raises:
      ScriptError: another has it.
    """
    with open(state_folder(config) / "lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ScriptError(
                f"{config.state}: a watch of this run is at work; end it first"
            ) from None
        yield
