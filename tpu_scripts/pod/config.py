"""The one file of a run, checked: every key is known, typed and named in errors."""

import dataclasses
import difflib
import re
import tomllib
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .accelerators import Accelerator, accelerator
from .errors import ScriptError


@dataclass(frozen=True)
class Tpu:
    """What is asked for."""

    accelerator_type: str
    slices: int = 1
    capacity: str = "spot"
    runtime_version: str = ""
    service_account: str = ""
    scopes: tuple[str, ...] = ("https://www.googleapis.com/auth/cloud-platform",)
    network: str = ""
    subnetwork: str = ""
    tags: tuple[str, ...] = ()
    internal_ips: bool = False
    valid_until: str = ""
    price_per_chip_hour: float = 0.0
    currency: str = "USD"


@dataclass(frozen=True)
class Deadlines:
    """Minutes that a request may spend in a phase before it is given up and deleted."""

    assignment: float = 1440.0
    provisioning: float = 30.0
    ready: float = 15.0
    deletion: float = 15.0


@dataclass(frozen=True)
class Ssh:
    """How workers are reached."""

    user: str = ""
    internal_ip: bool = False
    tunnel_through_iap: bool = False
    timeout_seconds: float = 180.0


@dataclass(frozen=True)
class Setup:
    """What is installed on workers, and for how long it is tried."""

    python: str = "3.12"
    lock: str = "requirements/tpu.lock"
    uv: str = ""
    tries: int = 3
    timeout_minutes: float = 30.0


@dataclass(frozen=True)
class Watch:
    """What `watch` may spend, and when it gives a worker or a run up."""

    tries: int = 20
    hours: float = 72.0
    same_code: int = 3
    backoff_seconds: float = 30.0
    backoff_limit_seconds: float = 1800.0
    settle_seconds: float = 120.0
    silent_minutes: float = 10.0
    when_done: str = "delete"


@dataclass(frozen=True)
class Config:
    """The whole file, and where it lies."""

    path: Path
    name: str
    project: str
    zone: str
    tpu: Tpu
    poll_seconds: float = 20.0
    deadlines: Deadlines = Deadlines()
    ssh: Ssh = Ssh()
    setup: Setup = Setup()
    watch: Watch = Watch()
    fetch: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()

    @property
    def accelerator(self) -> Accelerator:
        """One slice of it."""
        return accelerator(self.tpu.accelerator_type)

    @property
    def state(self) -> Path:
        """The folder of what is remembered between scripts, beside the file."""
        return self.path.with_name(f"{self.path.name}.state")


def load(path: Path) -> Config:
    """Reads and checks a config.

    Raises:
      ScriptError: what is wrong with it, by file and key.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ScriptError(
            f"{path}: no such file; copy tpu_scripts/example.toml and edit it"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ScriptError(f"{path}: {' '.join(str(error).split())}") from None
    try:
        config = _build(Config, values, "", path=path)
        _check(config)
    except ScriptError as error:
        raise ScriptError(f"{path}: {error}") from None
    return config


def _build(kind: type, values: dict[str, Any], prefix: str, **given: Any) -> Any:
    """A dataclass from a table; tables within it are its dataclasses."""
    hints = typing.get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind) if f.name not in given}
    for name in values:
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1)
            hint = f"; did you mean {prefix}{near[0]}?" if near else f"; known: {', '.join(fields)}"
            raise ScriptError(f"{prefix}{name}: no such key{hint}")
    built = dict(given)
    for name, entry in fields.items():
        if name in values:
            built[name] = _value(hints[name], values[name], f"{prefix}{name}")
        elif entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING:
            raise ScriptError(f"{prefix}{name} is missing")
    return kind(**built)


def _value(hint: Any, value: Any, name: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return _build(hint, value, f"{name}.")
    if hint is float and type(value) is int:
        return float(value)
    if hint in (str, int, float, bool) and type(value) is hint:
        if value == "" or (hint in (int, float) and value < 0):
            raise ScriptError(f"{name} = {value!r}: leave the key out, or give a value")
        return value
    texts = value.values() if isinstance(value, dict) else value
    origin = typing.get_origin(hint)
    if isinstance(value, list if origin is tuple else dict) and isinstance(
        hint, types.GenericAlias
    ):
        if all(isinstance(text, str) and "\0" not in text for text in texts):
            return tuple(value) if origin is tuple else value
    kinds = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}
    kinds |= {tuple: "a list of texts", dict: "a table of texts"}
    wanted = kinds.get(hint) or kinds.get(origin) or f"a table, [{name}]"
    raise ScriptError(f"{name} = {value!r}: it must be {wanted}")


def _check(config: Config) -> None:
    """What types do not say."""
    if not re.fullmatch(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", config.name):
        raise ScriptError(
            f"name = {config.name!r}: it names requests and labels: at most 40 of a-z, 0-9 and -, "
            "a letter first, no - last"
        )
    for key in ("project", "zone"):
        if not re.fullmatch(r"[a-z0-9]([-a-z0-9.:]*[a-z0-9])?", getattr(config, key)):
            raise ScriptError(f"{key} = {getattr(config, key)!r}: that is no {key}'s name")
    _one_of("tpu.capacity", config.tpu.capacity, ("spot", "reserved", "on_demand"))
    _one_of("watch.when_done", config.watch.when_done, ("delete", "keep"))
    if config.tpu.slices < 1:
        raise ScriptError(f"tpu.slices = {config.tpu.slices}: at least one")
    if config.poll_seconds <= 0:
        raise ScriptError(f"poll_seconds = {config.poll_seconds:g}: more than 0")
    if min(config.watch.same_code, config.setup.tries) < 1:
        raise ScriptError("watch.same_code and setup.tries: at least one")
    if config.ssh.internal_ip and config.ssh.tunnel_through_iap:
        raise ScriptError("ssh: internal_ip and tunnel_through_iap exclude each other")
    for key, names in (("env", list(config.env)), ("secrets", config.secrets)):
        for name in names:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise ScriptError(f"{key}: {name!r} is no name of an environment variable")
    twice = set(config.env) & set(config.secrets)
    if twice:
        raise ScriptError(f"{', '.join(sorted(twice))}: in env and in secrets; leave one out")
    accelerator(config.tpu.accelerator_type)


def _one_of(key: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        near = difflib.get_close_matches(value, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"it is one of {', '.join(known)}"
        raise ScriptError(f"{key} = {value!r}: {hint}")
