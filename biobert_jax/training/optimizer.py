"""Update rules as optax chains: upstream's Adam, AdamW, LAMB and Muon.

The encoder's parameters are stacked: a kernel of L layers is one array [L, in, out] under
bert/encoder/layers. What a rule computes of a whole matrix (LAMB's norms, Muon's
orthogonalisation) or of a layer's depth is computed for each of the L apart.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from biobert_jax.config import OptimizerConfig
from biobert_jax.errors import UserError
from biobert_jax.training.freezing import EMBEDDINGS, LAYERS, hold_frozen
from biobert_jax.training.schedule import learning_rate

# Heads' matrices between hidden states. What is not named here, classifiers above all, is Adam's.
HIDDEN_KERNELS = (("mlm", "transform", "kernel"), ("pooler", "kernel"))
# Of Jordan et al. 2024 and Liu et al. 2025, who found it to do for all sizes.
MUON_MOMENTUM = 0.95
# Root mean square of AdamW's updates, to which Muon's are scaled (Liu et al. 2025, section 2.2).
ADAM_RMS = 0.2


class BertAdamState(NamedTuple):
    """First and second moments, as the parameters."""

    mu: Any
    nu: Any


def make_optimizer(
    config: OptimizerConfig, num_steps: int, *, frozen: tuple[str, ...] = ()
) -> optax.GradientTransformation:
    """Clip by global norm, the rule's direction, decoupled weight decay, schedule: one chain.

    Upstream clips the gradient of each TPU shard before the sum; this clips the global gradient,
    that of `config.frozen` parameters left out.

    - "bert_adamw": Adam as upstream wrote it. "adamw": with bias correction.
    - "lamb": AdamW's update, scaled to the norm of its matrix (You et al. 2020, algorithm 2).
    - "muon": the momentum of matrices between hidden states, orthogonalised (Jordan et al. 2024)
      and scaled to the size of AdamW's updates, so that Adam's rate and weight decay do for both
      (Liu et al. 2025); embeddings, biases, LayerNorms and classifiers by AdamW. b1, b2 and eps
      are AdamW's alone.

    Args:
      num_steps: updates of the whole run.
      frozen: top-level modules without a gradient, which are not decayed.

    Returns:
      A transformation whose moments are trees as the parameters, under their paths. Muon's has
      empty nodes where the other rule holds the moment.

    Raises:
      UserError: settings that do not go together.
    """
    return optax.chain(
        *hold_frozen(config),
        optax.clip_by_global_norm(config.clip_norm) if config.clip_norm else optax.identity(),
        _direction(config),
        optax.add_decayed_weights(
            config.weight_decay, mask=lambda params: decay_mask(params, frozen)
        ),
        *([scale_by_layer_trust_ratio()] if config.name == "lamb" else []),
        *_rate_factors(config),
        optax.scale_by_learning_rate(learning_rate(config, num_steps)),
        *hold_frozen(config),
    )


def decay_mask(params: Any, frozen: tuple[str, ...] = ()) -> Any:
    """True for kernels and embeddings; False for biases, LayerNorms and the modules `frozen`.

    A head that an objective does not train gets no gradient; decaying it would wear it away.
    """

    def decays(path, _):
        names = _names(path)
        return names[-1] in ("kernel", "embedding") and names[0] not in frozen

    return jax.tree_util.tree_map_with_path(decays, params)


def scale_by_bert_adam(b1: float, b2: float, eps: float) -> optax.GradientTransformation:
    """Adam as upstream wrote it: no bias correction, epsilon outside the root."""

    def init(params):
        return BertAdamState(optax.tree.zeros_like(params), optax.tree.zeros_like(params))

    def update(grads, state, params=None):
        del params
        mu = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, state.mu, grads)
        nu = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * jnp.square(g), state.nu, grads)
        updates = jax.tree.map(lambda m, v: m / (jnp.sqrt(v) + eps), mu, nu)
        return updates, BertAdamState(mu, nu)

    return optax.GradientTransformation(init, update)


def scale_by_layer_trust_ratio() -> optax.GradientTransformation:
    """LAMB's ratio |parameter| / |update|, one for each tensor of each layer.

    Biases and LayerNorms are left as they are, as in google's `lamb_optimizer.py` and NVIDIA's
    FusedLAMB; so is a tensor whose norm or update is 0.
    """
    ratio = optax.scale_by_trust_ratio()

    def scale(update: Array, param: Array) -> Array:
        return ratio.update(update, optax.EmptyState(), param)[0]

    def scale_leaf(path, adapted: bool, update: Array, param: Array) -> Array:
        if not adapted:
            return update
        return (jax.vmap(scale) if _is_stacked(path) else scale)(update, param)

    return optax.stateless(
        lambda updates, params: jax.tree_util.tree_map_with_path(
            scale_leaf, decay_mask(updates), updates, params
        )
    )


def scale_by_muon(adam: optax.GradientTransformation) -> optax.GradientTransformation:
    """Muon for kernels of the encoder and of `HIDDEN_KERNELS`, `adam` for all else.

    Each [in, out] matrix is orthogonalised by itself, by five Newton-Schulz steps, and scaled by
    0.2 sqrt(max(in, out)).
    """

    def dimensions(params):
        def axes(path, _):
            first = int(_is_stacked(path))
            return optax.contrib.MuonDimensionNumbers(first, first + 1)

        return jax.tree_util.tree_map_with_path(axes, params)

    def labels(params):
        return jax.tree_util.tree_map_with_path(
            lambda path, _: "muon" if _is_hidden_kernel(path) else "adam", params
        )

    def scale(update: Array) -> Array:
        return update * (ADAM_RMS * math.sqrt(max(update.shape[-2:])))

    muon = optax.chain(
        optax.contrib.scale_by_muon(beta=MUON_MOMENTUM, weight_dimension_numbers=dimensions),
        optax.stateless(lambda updates, _: jax.tree.map(scale, updates)),
    )
    return optax.partition({"muon": muon, "adam": adam}, labels)


def layer_factors(params: Any, layer_decay: float) -> Any:
    """What multiplies each parameter's rate: layer_decay to the power of its depth from the top.

    Layer l of L, counted from the embeddings, has L - 1 - l, the embeddings L, heads 0. ELECTRA's
    `_get_layer_lrs` also sets the heads two apart from the top layer: layer l has L + 1 - l there
    and the embeddings L + 2.

    Returns:
      A tree as `params`; float32 arrays [L, 1, …] for the stacked layers, else floats.
    """
    stacked = [
        leaf for path, leaf in jax.tree_util.tree_leaves_with_path(params) if _is_stacked(path)
    ]
    num_layers = stacked[0].shape[0] if stacked else 0

    def factor(path, leaf):
        if _is_stacked(path):
            depth = num_layers - 1 - jnp.arange(num_layers, dtype=jnp.float32)
            return (layer_decay**depth).reshape(-1, *[1] * (leaf.ndim - 1))
        return layer_decay**num_layers if _names(path)[:2] == EMBEDDINGS else 1.0

    return jax.tree_util.tree_map_with_path(factor, params)


def _direction(config: OptimizerConfig) -> optax.GradientTransformation:
    if config.name == "bert_adamw":
        return scale_by_bert_adam(config.b1, config.b2, config.eps)
    adam = optax.scale_by_adam(config.b1, config.b2, config.eps)
    return scale_by_muon(adam) if config.name == "muon" else adam


def _rate_factors(config: OptimizerConfig) -> list[optax.GradientTransformation]:
    """What tells the parameters' rates apart: depth, and Muon's own rate; empty: nothing does."""
    if config.muon_learning_rate and config.name != "muon":
        raise UserError(
            f"optimizer.muon_learning_rate is {config.muon_learning_rate}, but optimizer.name is "
            f"{config.name!r}: leave it 0, or choose 'muon'"
        )
    if config.muon_learning_rate < 0:
        raise UserError(
            f"optimizer.muon_learning_rate is {config.muon_learning_rate}: it must be at least 0"
        )
    muon = (config.muon_learning_rate or config.learning_rate) / config.learning_rate
    if muon == 1 and config.layer_decay == 1:
        return []

    def scale(path, update, factor):
        return update * (factor * muon if _is_hidden_kernel(path) else factor)

    def scale_all(updates, params):
        del params
        factors = layer_factors(updates, config.layer_decay)
        return jax.tree_util.tree_map_with_path(scale, updates, factors)

    return [optax.stateless(scale_all)]


def _names(path: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple(key.key for key in path)


def _is_stacked(path: tuple[Any, ...]) -> bool:
    return _names(path)[:3] == LAYERS


def _is_hidden_kernel(path: tuple[Any, ...]) -> bool:
    names = _names(path)
    return names in HIDDEN_KERNELS or (names[:3] == LAYERS and names[-1] == "kernel")
