"""What the values of a config must be; each check raises a UserError that names the key."""

import math
from collections.abc import Sequence

from biobert_jax.errors import UserError, nearest
from biobert_jax.storage.connection import check_scheme


def check_seed(seed: int) -> None:
    """Refuses a negative seed."""
    if seed < 0:
        raise UserError(f"seed is {seed}: it must be at least 0")


def check_path(key: str, path: str) -> None:
    """Refuses what is neither in a file system nor in a bucket."""
    check_scheme(path, key)


def check_local(key: str, paths: str | Sequence[str]) -> None:
    """Refuses what is in no file system."""
    for path in (paths,) if isinstance(paths, str) else paths:
        if "://" in path:
            raise UserError(f"{key} {path}: only local paths: copy the files here")


def check_gradient_dtype(gradients: str, activations: str) -> None:
    """Refuses gradients in fewer bits than activations."""
    if gradients == "bfloat16" and activations != "bfloat16":
        raise UserError(
            "train.gradient_dtype bfloat16 needs model.dtype bfloat16: a float32 model would be "
            "computed with parameters cut to bfloat16"
        )


def check_positive(key: str, value: int) -> None:
    """Refuses what is below 1."""
    if value < 1:
        raise UserError(f"{key} is {value}: it must be at least 1")


def check_not_negative(group: str, config: object, names: Sequence[str]) -> None:
    """Refuses fields below 0."""
    for name in names:
        if getattr(config, name) < 0:
            raise UserError(f"{group}.{name} is {getattr(config, name)}: it must be at least 0")


def check_dropout_rate(key: str, value: float) -> None:
    """Refuses what is no share below 1."""
    if not 0 <= value < 1:
        raise UserError(f"{key} is {value}: it must lie in [0, 1)")


def check_one_of(key: str, value: str, known: Sequence[str]) -> None:
    """Refuses a word that is not known, and says which is near."""
    if value not in known:
        near = nearest(value, known)
        hint = f"did you mean {near!r}? " if near else ""
        raise UserError(f"{key} is {value!r}: {hint}known: {', '.join(known)}")


def check_number(key: str, text: str) -> None:
    """Refuses text that is no finite number above 0."""
    try:
        is_one = 0 < float(text) < math.inf
    except ValueError:
        is_one = False
    if not is_one:
        raise UserError(f"{key} has {text!r}: give numbers above 0, separated by commas")
