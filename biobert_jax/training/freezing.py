"""Parameters that stay as they are: by pattern, or the lowest layers.

The encoder's parameters are stacked, so that a layer of it is a slice of each array.
"""

from fnmatch import fnmatchcase
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from biobert_jax.config import OptimizerConfig
from biobert_jax.errors import UserError, nearest

EMBEDDINGS = ("bert", "embeddings")
LAYERS = ("bert", "encoder", "layers")


def hold_frozen(config: OptimizerConfig) -> list[optax.GradientTransformation]:
    """Sets gradients, or updates, of frozen parameters to zero; empty where nothing is frozen.

    Before the clipping, so that the norm is that of what is trained, and again at the end, where
    decay and rules of their own have come in.
    """
    if not config.frozen and not config.frozen_layers:
        return []

    def hold(updates, params):
        del params
        return jax.tree.map(_hold, trained_mask(updates, config), updates)

    def init(params):
        trained_mask(params, config)  # refused here, before anything is computed
        return optax.EmptyState()

    return [optax.GradientTransformation(init, lambda u, s, params=None: (hold(u, params), s))]


def trained_mask(params: Any, config: OptimizerConfig) -> Any:
    """What is trained: a tree as `params` of bools, and of bool arrays [L, 1, …] where a stacked
    parameter is frozen in part.

    Raises:
      UserError: a pattern that fits no parameter, more layers than there are, or nothing is left.
    """
    paths = ["/".join(_names(path)) for path, _ in jax.tree_util.tree_leaves_with_path(params)]
    for pattern in config.frozen:
        if not any(_fits(path, pattern) for path in paths):
            known = sorted({path.rsplit("/", 1)[0] for path in paths})
            hint = nearest(pattern, [*known, *paths])
            raise UserError(
                f"optimizer.frozen {pattern}: no parameter is called so"
                + (f": did you mean {hint!r}?" if hint else f", as {', '.join(known[:3])} are")
            )

    def trained(path, leaf):
        names = _names(path)
        if any(_fits("/".join(names), pattern) for pattern in config.frozen):
            return False
        if config.frozen_layers and names[:2] == EMBEDDINGS:
            return False
        if config.frozen_layers and names[:3] == LAYERS:
            num_layers = leaf.shape[0]
            if config.frozen_layers > num_layers:
                raise UserError(
                    f"optimizer.frozen_layers is {config.frozen_layers}: the encoder has "
                    f"{num_layers} layers"
                )
            if config.frozen_layers == num_layers:
                return False
            above = jnp.arange(num_layers) >= config.frozen_layers
            return above.reshape(-1, *[1] * (leaf.ndim - 1))
        return True

    mask = jax.tree_util.tree_map_with_path(trained, params)
    if not any(one is not False for one in jax.tree.leaves(mask)):
        raise UserError("optimizer.frozen: nothing is left to train")
    return mask


def _hold(trained: bool | Array, update: Array) -> Array:
    if trained is True:
        return update
    return jnp.zeros_like(update) if trained is False else jnp.where(trained, update, 0)


def _fits(path: str, pattern: str) -> bool:
    """Whether a parameter is one of the pattern's, or below a module that is."""
    pattern = pattern.rstrip("/")
    return fnmatchcase(path, pattern) or fnmatchcase(path, f"{pattern}/*")


def _names(path: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(key.key for key in path)
