"""The update rules against transcriptions in NumPy, PyTorch and optax on unstacked layers."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from biobert_jax.checkpoints.tree import flatten, unflatten
from biobert_jax.config import ModelConfig, OptimizerConfig
from biobert_jax.errors import UserError
from biobert_jax.model.heads import BertForPreTraining
from biobert_jax.training.freezing import trained_mask
from biobert_jax.training.optimizer import decay_mask, layer_factors, make_optimizer

NAMES = ("bert_adamw", "adamw", "lamb", "muon")
NUM_LAYERS, STEPS = 3, 6
STACKED = "bert/encoder/layers/"
SHAPES = {
    "bert/embeddings/word_embeddings/embedding": (11, 4),
    "bert/embeddings/layer_norm/scale": (4,),
    STACKED + "attention/query/kernel": (NUM_LAYERS, 4, 4),
    STACKED + "intermediate/kernel": (NUM_LAYERS, 4, 6),
    STACKED + "intermediate/bias": (NUM_LAYERS, 6),
    STACKED + "output/kernel": (NUM_LAYERS, 6, 4),
    STACKED + "output_norm/scale": (NUM_LAYERS, 4),
    "mlm/transform/kernel": (4, 4),
    "mlm/bias": (11,),
    "nsp/kernel": (4, 2),
}


def arrays(seed):
    """Values for `SHAPES` as a flat dict; each layer's of another size."""
    rng = np.random.default_rng(seed)
    values = {path: rng.normal(size=shape) for path, shape in SHAPES.items()}
    for path in values:
        if path.startswith(STACKED):
            values[path] *= np.array([0.1, 1.0, 5.0]).reshape(-1, *[1] * (values[path].ndim - 1))
    return {path: value.astype(np.float32) for path, value in values.items()}


def unstack(flat):
    """The same with every layer an array of its own, `path#layer`."""
    result = {}
    for path, value in flat.items():
        if path.startswith(STACKED):
            result.update({f"{path}#{layer}": value[layer] for layer in range(NUM_LAYERS)})
        else:
            result[path] = value
    return result


def run(optimizer, steps=STEPS):
    """Parameters, unstacked, after some updates with gradients that are the seeds 1, 2, …"""
    params = unflatten({path: jnp.array(value) for path, value in arrays(0).items()})
    state = jax.jit(optimizer.init)(params)

    @jax.jit
    def update(params, state, grads):
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    for step in range(steps):
        grads = {path: jnp.array(value) for path, value in arrays(step + 1).items()}
        params, state = update(params, state, unflatten(grads))
    return unstack({path: np.array(value) for path, value in flatten(params).items()})


def is_decayed(path):
    return path.split("#")[0].endswith(("kernel", "embedding"))


def reference(rule, steps=STEPS, rate=0.1, decay=0.01):
    """Updates in NumPy, float64, of every array by itself: `rule(m, v, t, parameter, decay)`."""
    params = {path: value.astype(np.float64) for path, value in unstack(arrays(0)).items()}
    m = {path: np.zeros_like(value) for path, value in params.items()}
    v = {path: np.zeros_like(value) for path, value in params.items()}
    for step in range(steps):
        for path, grad in unstack(arrays(step + 1)).items():
            grad = grad.astype(np.float64)
            m[path] = 0.9 * m[path] + 0.1 * grad
            v[path] = 0.999 * v[path] + 0.001 * grad**2
            this = decay if is_decayed(path) else None
            params[path] -= rate * rule(m[path], v[path], step + 1, params[path], this)
    return params


def adamw(m, v, t, param, decay):
    update = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-6)
    return update + (decay or 0) * param


def lamb(m, v, t, param, decay):
    update = adamw(m, v, t, param, decay)
    if decay is None:
        return update
    return update * np.linalg.norm(param) / np.linalg.norm(update)


def bert_adamw(m, v, t, param, decay):
    return m / (np.sqrt(v) + 1e-6) + (decay or 0) * param


def constant(name, **values):
    settings = {"learning_rate": 0.1, "schedule": "constant", "clip_norm": 0.0} | values
    return OptimizerConfig(name=name, **settings)


def assert_same(found, expected, rtol=2e-5):
    assert found.keys() == expected.keys()
    for path, value in expected.items():
        np.testing.assert_allclose(found[path], value, rtol=rtol, atol=1e-5, err_msg=path)


@pytest.mark.parametrize("rule", [bert_adamw, adamw, lamb])
def test_rules_equal_numpy_layer_by_layer(rule):
    found = run(make_optimizer(constant(rule.__name__), STEPS))
    assert_same(found, reference(rule))


@pytest.mark.torch
def test_adamw_equals_pytorch():
    torch = pytest.importorskip("torch")
    params = {path: torch.nn.Parameter(torch.tensor(x)) for path, x in unstack(arrays(0)).items()}
    groups = [
        {"params": [x for p, x in params.items() if is_decayed(p)], "weight_decay": 0.01},
        {"params": [x for p, x in params.items() if not is_decayed(p)], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=0.1, eps=1e-6)
    for step in range(STEPS):
        for path, grad in unstack(arrays(step + 1)).items():
            params[path].grad = torch.tensor(grad)
        optimizer.step()
    expected = {path: value.detach().numpy() for path, value in params.items()}
    assert_same(run(make_optimizer(constant("adamw"), STEPS)), expected)


@pytest.mark.parametrize("muon_rate", [0.0, 0.02])
def test_muon_equals_optax_on_unstacked_matrices(muon_rate):
    found = run(make_optimizer(constant("muon", muon_learning_rate=muon_rate), STEPS))
    params = {path: jnp.array(value) for path, value in unstack(arrays(0)).items()}
    reference_muon = optax.contrib.muon(
        muon_rate or 0.1, weight_decay=0.01, consistent_rms=0.2, beta=0.95
    )
    state = jax.jit(reference_muon.init)(params)

    @jax.jit
    def update(params, state, grads):
        updates, state = reference_muon.update(grads, state, params)
        return optax.apply_updates(params, updates), state

    for step in range(STEPS):
        grads = {path: jnp.array(value) for path, value in unstack(arrays(step + 1)).items()}
        params, state = update(params, state, grads)
    expected = reference(adamw)
    by_muon = [p for p in expected if "#" in p and "kernel" in p] + ["mlm/transform/kernel"]
    assert len(by_muon) == 3 * NUM_LAYERS + 1
    expected |= {path: np.array(params[path]) for path in by_muon}
    assert_same(found, expected, rtol=1e-4)


def test_muons_updates_have_the_size_of_adams():
    config = constant("muon", learning_rate=1.0, weight_decay=0.0)
    optimizer = make_optimizer(config, 1)
    shape = (2, 64, 256)
    params = unflatten({STACKED + "intermediate/kernel": jnp.zeros(shape)})
    grads = jax.tree.map(lambda x: jax.random.normal(jax.random.key(0), x.shape), params)
    updates, _ = optimizer.update(grads, optimizer.init(params), params)
    update = np.array(jax.tree.leaves(updates)[0])
    for layer in update:
        # Newton-Schulz leaves singular values between 0.7 and 1.2.
        assert 0.15 < np.sqrt(np.mean(layer**2)) < 0.25
        values = np.linalg.svd(layer, compute_uv=False) / (0.2 * np.sqrt(256))
        assert values.min() > 0.6 and values.max() < 1.3


def test_clipping_and_schedule_as_upstream():
    config = OptimizerConfig(learning_rate=0.1, warmup_steps=3, clip_norm=1.0)
    params = {"a": {"kernel": jnp.array([1.0, -2.0]), "bias": jnp.array([0.5])}}
    optimizer = make_optimizer(config, 10)
    state = optimizer.init(params)
    update = jax.jit(optimizer.update)
    expected = {"kernel": np.array([1.0, -2.0]), "bias": np.array([0.5])}
    m = {k: np.zeros_like(v) for k, v in expected.items()}
    v = {k: np.zeros_like(x) for k, x in expected.items()}
    rng = np.random.default_rng(0)
    for step in range(10):
        rate = 0.1 * step / 3 if step < 3 else 0.1 * (1 - step / 10)
        grads = {"kernel": rng.normal(size=2), "bias": rng.normal(size=1)}
        norm = np.sqrt(sum((g**2).sum() for g in grads.values()))
        updates, state = update(
            {"a": {k: jnp.array(g, jnp.float32) for k, g in grads.items()}}, state, params
        )
        params = optax.apply_updates(params, updates)
        for name, grad in grads.items():
            grad = grad * min(1.0, 1.0 / norm)
            m[name] = 0.9 * m[name] + 0.1 * grad
            v[name] = 0.999 * v[name] + 0.001 * grad**2
            change = m[name] / (np.sqrt(v[name]) + 1e-6)
            if name == "kernel":
                change = change + 0.01 * expected[name]
            expected[name] = expected[name] - rate * change
        for name in expected:
            np.testing.assert_allclose(params["a"][name], expected[name], rtol=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_layer_decay_multiplies_each_layers_rate(name):
    before = unstack(arrays(0))
    plain = run(make_optimizer(constant(name), 1), steps=1)
    decayed = run(make_optimizer(constant(name, layer_decay=0.5), 1), steps=1)
    for path, start in before.items():
        factor = 1.0
        if "#" in path:
            factor = 0.5 ** (NUM_LAYERS - 1 - int(path[-1]))
        elif path.startswith("bert/embeddings"):
            factor = 0.5**NUM_LAYERS
        np.testing.assert_allclose(
            decayed[path] - start, factor * (plain[path] - start), rtol=1e-4, atol=1e-5
        )


def test_heads_alone_have_no_depth():
    assert layer_factors({"classifier": {"kernel": jnp.zeros((2, 2))}}, 0.5) == {
        "classifier": {"kernel": 1.0}
    }


@pytest.mark.parametrize("name", NAMES)
def test_moments_lie_under_the_parameters_paths(name):
    optimizer = make_optimizer(constant(name, layer_decay=0.9), 10)
    params = unflatten(arrays(0))
    state = jax.eval_shape(optimizer.init, params)
    shapes = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(state):
        keys = "/".join(key.key for key in path if isinstance(key, jax.tree_util.DictKey))
        for known in SHAPES:
            if keys.endswith(known):
                shapes.setdefault(known, []).append(leaf.shape)
                break
        else:
            assert leaf.ndim < 2  # counts, and Muon's three coefficients
    by_muon = [p for p in SHAPES if p.startswith(STACKED) and p.endswith("kernel")]
    by_muon += ["mlm/transform/kernel"]
    for path, shape in SHAPES.items():
        assert shapes[path] == [shape] * (1 if name == "muon" and path in by_muon else 2)
    # The same is known to optax.
    marked = optax.tree_map_params(
        optimizer, lambda _: "moment", state, transform_non_params=lambda _: "other"
    )
    count = sum(map(len, shapes.values()))
    assert jax.tree.leaves(marked).count("moment") == count


@pytest.mark.parametrize("name", NAMES)
def test_nothing_moves_from_the_host_and_frozen_heads_stay(name):
    config = OptimizerConfig(name=name, layer_decay=0.9, warmup_steps=0)
    optimizer = make_optimizer(config, 10, frozen=("nsp",))
    params = unflatten({path: jnp.array(value) for path, value in arrays(0).items()})
    grads = unflatten({path: jnp.array(value) for path, value in arrays(1).items()})
    grads["nsp"] = jax.tree.map(jnp.zeros_like, grads["nsp"])
    state = jax.jit(optimizer.init)(params)
    with jax.transfer_guard("disallow"):
        updates, _ = jax.jit(optimizer.update)(grads, state, params)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(updates))
    assert not np.array(updates["nsp"]["kernel"]).any()
    assert np.array(updates["mlm"]["bias"]).all()


@pytest.mark.parametrize(
    "values", [{"name": "adamw", "muon_learning_rate": 0.1}, {"muon_learning_rate": -0.1}]
)
def test_a_muon_rate_that_nobody_takes_is_refused(values):
    with pytest.raises(UserError, match="muon_learning_rate"):
        make_optimizer(OptimizerConfig(**({"name": "muon"} | values)), 10)


@pytest.fixture(scope="module")
def model_shapes():
    """The parameters of a real, small model as shapes."""
    config = ModelConfig(
        vocab_size=11,
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=8,
    )
    model = nnx.eval_shape(lambda: BertForPreTraining(config, rngs=nnx.Rngs(0)))
    return nnx.to_pure_dict(nnx.split(model)[1])


def test_what_is_decayed(model_shapes):
    mask = decay_mask(model_shapes, frozen=("nsp", "pooler"))
    layers = mask["bert"]["encoder"]["layers"]
    assert layers["attention"]["query"] == {"kernel": True, "bias": False}
    assert layers["attention_norm"] == {"scale": False, "bias": False}
    assert mask["bert"]["embeddings"]["word_embeddings"]["embedding"] is True
    assert mask["mlm"]["bias"] is False
    assert mask["nsp"]["kernel"] is False and mask["pooler"]["kernel"] is False


def test_what_is_muons(model_shapes):
    state = jax.eval_shape(make_optimizer(constant("muon"), 10).init, model_shapes)
    muon = state[1].inner_states["muon"].inner_state[0].mu
    paths = {
        "/".join(key.key for key in path) for path, _ in jax.tree_util.tree_leaves_with_path(muon)
    }
    kernels = ["attention/query", "attention/key", "attention/value", "attention/output"]
    kernels += ["intermediate", "output"]
    assert paths == {f"{STACKED}{name}/kernel" for name in kernels} | {
        "mlm/transform/kernel",
        "pooler/kernel",
    }


def test_frozen_parameters_stay_and_do_not_count_in_the_clipped_norm():
    params = {
        "bert": {
            "embeddings": {"word_embeddings": {"embedding": jnp.ones((5, 4))}},
            "encoder": {"layers": {"kernel": jnp.ones((3, 4, 4))}},
        },
        "classifier": {"kernel": jnp.ones((4, 2))},
    }
    grads = jax.tree.map(lambda x: jnp.full_like(x, 100.0), params)
    grads["classifier"]["kernel"] = jnp.full((4, 2), 1e-3)  # below the clipping by itself
    grads["bert"]["encoder"]["layers"]["kernel"] = (
        grads["bert"]["encoder"]["layers"]["kernel"].at[2].set(1e-3)
    )
    config = OptimizerConfig(name="lamb", schedule="constant", frozen_layers=2)
    optimizer = make_optimizer(config, 10)
    state = optimizer.init(params)
    updates, _ = optimizer.update(grads, state, params)
    assert not np.any(updates["bert"]["embeddings"]["word_embeddings"]["embedding"])
    layers = np.asarray(updates["bert"]["encoder"]["layers"]["kernel"])
    assert not layers[:2].any() and layers[2].all()

    # The rest moves as if the frozen gradients had been nothing at all.
    alone = jax.tree.map(lambda g: jnp.where(g < 1, g, 0), grads)
    plain = make_optimizer(dataclasses.replace(config, frozen_layers=0), 10)
    expected, _ = plain.update(alone, plain.init(params), params)
    np.testing.assert_array_equal(updates["classifier"]["kernel"], expected["classifier"]["kernel"])
    np.testing.assert_array_equal(layers[2], expected["bert"]["encoder"]["layers"]["kernel"][2])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"frozen": ("bert/embedings",)}, "did you mean 'bert/embeddings"),
        ({"frozen": ("bert", "classifier")}, "nothing is left"),
        ({"frozen_layers": 4}, "has 3 layers"),
    ],
)
def test_what_cannot_be_frozen_is_named(values, message):
    params = {
        "bert": {
            "embeddings": {"embedding": jnp.ones((5, 4))},
            "encoder": {"layers": {"kernel": jnp.ones((3, 4, 4))}},
        },
        "classifier": {"kernel": jnp.ones((4, 2))},
    }
    optimizer = make_optimizer(OptimizerConfig(**values), 10)
    with pytest.raises(UserError, match=message):
        optimizer.update(params, optimizer.init(params), params)


def test_a_pattern_is_of_a_parameter_or_of_all_below_a_module():
    params = {"bert": {"pooler": {"kernel": jnp.ones(2), "bias": jnp.ones(2)}}, "mlm": jnp.ones(2)}
    assert trained_mask(params, OptimizerConfig(frozen=("bert/pooler",))) == {
        "bert": {"pooler": {"kernel": False, "bias": False}},
        "mlm": True,
    }
    mask = trained_mask(params, OptimizerConfig(frozen=("*/bias",)))
    assert mask["bert"]["pooler"] == {"kernel": True, "bias": False}
