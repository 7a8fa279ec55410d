"""FLOPs of training against published figures; which chip a device is."""

from types import SimpleNamespace

import jax
import pytest
from flax import nnx

from biobert_jax.config import ModelConfig
from biobert_jax.model.bert import Bert
from biobert_jax.training.flops import (
    CHIPS,
    chip_of,
    encoder_parameters,
    num_chips,
    training_flops,
)

BASE = ModelConfig(vocab_size=28996)
LARGE = ModelConfig(
    vocab_size=30522,
    hidden_size=1024,
    num_hidden_layers=24,
    num_attention_heads=16,
    intermediate_size=4096,
)


def one_sequence(model, length, predictions):
    return training_flops(model, tokens=length, squared_lengths=length**2, predictions=predictions)


@pytest.mark.parametrize("length, predictions, wanted", [(128, 20, 6.98e10), (512, 76, 3.00e11)])
def test_one_sequence_of_bert_base(length, predictions, wanted):
    assert one_sequence(BASE, length, predictions) == pytest.approx(wanted, rel=2e-3)


@pytest.mark.parametrize("per_second, length, wanted", [(272, 128, 65.5), (52, 512, 53.0)])
def test_what_deepspeed_published_of_bert_large(per_second, length, wanted):
    """Their 272 and 52 sequences/s on a V100, stated as 64 and 53 TFLOP/s."""
    flops = per_second * one_sequence(LARGE, length, {128: 20, 512: 76}[length])
    assert flops / 1e12 == pytest.approx(wanted, abs=0.06)


def test_the_shares_of_attention_and_output_layer():
    whole = one_sequence(BASE, 512, 76)
    without = training_flops(BASE, tokens=512, squared_lengths=0, predictions=76)
    assert 1 - without / whole == pytest.approx(0.097, abs=5e-4)
    # On all positions rather than on the masked ones.
    assert one_sequence(BASE, 512, 512) / whole == pytest.approx(1.20, abs=0.005)


def test_a_packed_row_is_the_sum_of_its_sequences():
    lengths = [100, 28, 384]
    packed = training_flops(
        BASE,
        tokens=sum(lengths),
        squared_lengths=sum(n * n for n in lengths),
        predictions=3 * 15,
    )
    assert packed == pytest.approx(sum(one_sequence(BASE, n, 15) for n in lengths))


@pytest.mark.parametrize("name, at_128, at_512", [
    ("a100", 4471, 1039), ("h100", 14178, 3294), ("v4", 3941, 916),
    ("v5e", 2823, 656), ("v5p", 6577, 1528), ("v6e", 13155, 3057),
])  # fmt: skip
def test_sequences_a_second_at_the_peak(name, at_128, at_512):
    peak = CHIPS[name].peak_flops
    assert peak / one_sequence(BASE, 128, 20) == pytest.approx(at_128, rel=5e-3)
    assert peak / one_sequence(BASE, 512, 76) == pytest.approx(at_512, rel=5e-3)


def test_devices_are_known_by_their_whole_names():
    assert chip_of("TPU v5 lite") is CHIPS["v5e"]
    assert chip_of("TPU v5") is chip_of("TPU v5p") is CHIPS["v5p"]
    assert chip_of("TPU v6 lite") is CHIPS["v6e"]
    assert chip_of("NVIDIA H100 80GB HBM3") is CHIPS["h100"]
    assert chip_of("NVIDIA H100 80GB HBM3 MIG 1g.10gb") is None
    assert chip_of("NVIDIA H100 PCIe") is None
    assert chip_of(jax.devices("cpu")[0].device_kind) is None


def test_two_cores_at_one_place_are_one_chip():
    def core(coords, which, slice_index=0):
        return SimpleNamespace(coords=coords, core_on_chip=which, slice_index=slice_index)

    cores = [core([x, y, 0], which) for x in (0, 1) for y in (0, 1) for which in (0, 1)]
    assert num_chips(cores) == 4
    assert num_chips([*cores, core([0, 0, 0], 0, slice_index=1)]) == 5
    assert num_chips(jax.devices()) == len(jax.devices())


@pytest.mark.parametrize("change", [{}, {"scan_layers": False}, {"num_hidden_layers": 5}])
def test_parameters_are_those_of_the_encoder(change):
    sizes = {"vocab_size": 97, "hidden_size": 24, "num_hidden_layers": 2, "intermediate_size": 56}
    model = ModelConfig(
        **(sizes | change), num_attention_heads=3, max_position_embeddings=40, type_vocab_size=3
    )
    arrays = jax.tree.leaves(nnx.state(nnx.eval_shape(lambda: Bert(model, rngs=nnx.Rngs(0)))))
    assert encoder_parameters(model) == sum(x.size for x in arrays)
