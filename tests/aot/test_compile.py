"""The training step compiled for TPUs that are not there; needs libtpu, no TPU.

The process of these tests has no accelerator of its own: `describe` sees to that.
"""

import dataclasses
import json

import jax
import pytest

from biobert_jax.aot import hlo
from biobert_jax.aot.cost import Report, analyse, counted, step_costs
from biobert_jax.aot.program import make_program
from biobert_jax.aot.table import remedies, table
from biobert_jax.aot.topology import describe
from biobert_jax.config import (
    DataConfig,
    MeshConfig,
    ModelConfig,
    PretrainConfig,
    TrainConfig,
)
from biobert_jax.errors import UserError
from biobert_jax.training.sharding import make_mesh

KEYS = {
    "chips",
    "rows_per_chip",
    "fits",
    "hbm_bytes",
    "hbm_limit_bytes",
    "flops_per_chip",
    "bytes_per_chip",
    "model_flops_per_chip",
    "roofline_seconds",
    "roofline_utilization",
    "collectives",
    "compile_seconds",
}
LENGTH = 128


def mini(layout="dp", accumulation_steps=1, batch_size=64, **model) -> PretrainConfig:
    model = {
        "vocab_size": 1000,
        "hidden_size": 128,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "intermediate_size": 512,
        "dtype": "bfloat16",
        "attention_probs_dropout_prob": 0.0,
    } | model
    return PretrainConfig(
        model=ModelConfig(**model),
        data=DataConfig(batch_size=batch_size),
        train=TrainConfig(gradient_dtype="bfloat16", accumulation_steps=accumulation_steps),
        mesh=MeshConfig(layout=layout),
    )


@pytest.mark.parametrize(
    ("name", "slices", "message"),
    [
        ("v5e:15x16", 1, "did you mean v5e:16x16"),
        ("v5p:4x4", 1, "did you mean v5p:2x2x4"),
        ("v7:2x2", 1, "no such TPU"),
        ("nonsense", 1, "no such TPU"),
        ("v5e:2x2", 0, "--slices is 0"),
    ],
)
def test_topologies_that_are_none_name_the_nearest(name, slices, message):
    with pytest.raises(UserError, match=message):
        describe(name, slices)


def test_without_libtpu_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'biobert-jax\[tpu\]'"):
        describe("v5e:2x2")


HLO = """HloModule step

%body (p: (s32[], bf16[8])) -> (s32[], bf16[8]) {
  %p = (s32[], bf16[8]{0}) parameter(0)
  %g = bf16[8]{0} get-tuple-element(%p), index=1
  %all-reduce.1 = bf16[8]{0} all-reduce(%g), replica_groups={}, to_apply=%sum
  %k = (bf16[8]{0}, f32[4]{0}) custom-call(%g, %all-reduce.1), custom_call_target="tpu_custom_call"
  %other = bf16[8]{0} custom-call(%g), custom_call_target="AllocateBuffer"
  ROOT %t = (s32[], bf16[8]{0}) tuple(%i, %all-reduce.1)
}

%condition (p.1: (s32[], bf16[8])) -> pred[] {
  %limit = s32[]{:T(128)} constant(12), backend_config={}
  ROOT %less = pred[] compare(%i.1, %limit), direction=LT
}

%offloaded (q: bf16[50]) -> bf16[50] {
  %q = bf16[50]{0} parameter(0)
  ROOT %all-reduce.3 = bf16[50]{0} all-reduce(%q), replica_groups={}, to_apply=%sum
}, execution_thread="sparsecore"

ENTRY %main (a: f32[100]) -> f32[100] {
  %a = f32[100]{0} parameter(0)
  %start = (f32[100]{0}, f32[200]{0}) all-gather-start(%a), dimensions={0}
  %while.1 = (s32[], bf16[8]{0}) while(%init), condition=%condition, body=%body, metadata={}
  %call.1 = ((bf16[50]{0}), bf16[50]{0}) call-start(%b), to_apply=%offloaded
  ROOT %all-reduce.2 = f32[100]{0} all-reduce(%a), to_apply=%sum
}
"""


def test_collectives_in_loops_count_as_often_as_they_run():
    found = {(c.kind, c.asynchronous): (c.count, c.bytes) for c in hlo.collectives(HLO)}
    assert found == {
        ("all-reduce", False): (13, 12 * 16 + 400),
        ("all-reduce", True): (1, 100),
        ("all-gather", True): (1, 800),
    }


def test_kernels_count_what_they_read_and_write():
    assert hlo.kernel_bytes(HLO) == 12 * (16 + 16 + 16 + 16)


@pytest.mark.tpu_aot
@pytest.mark.parametrize(
    ("name", "slices", "chips"),
    [("v4:2x2x1", 1, 4), ("v5e:1x1", 1, 1), ("v5e:4x4", 2, 32), ("v5p:2x2x2", 1, 8)],
)
def test_topologies_are_counted_in_chips(name, slices, chips):
    topology = describe(name, slices)
    assert topology.num_chips == chips == len(topology.devices)
    # Whatever JAX_COMPILATION_CACHE_DIR says: what went into a cache could not be read again.
    assert not jax.config.jax_enable_compilation_cache


@pytest.mark.tpu_aot
@pytest.mark.parametrize(
    ("fsdp", "expected"), [(0, (16, 16, 1)), (8, (32, 8, 1)), (64, (4, 64, 1))]
)
def test_any_part_of_a_pod_can_share_parameters(fsdp, expected):
    mesh = make_mesh(MeshConfig("fsdp", fsdp=fsdp), describe("v5e:16x16").devices)
    assert mesh.devices.shape == expected


@pytest.mark.tpu_aot
def test_a_batch_that_cannot_be_dealt_out_is_refused():
    program = make_program(mini(batch_size=12), describe("v5e:2x4"), max_seq_length=LENGTH)
    with pytest.raises(UserError, match="data.batch_size 12 is not a multiple of 8"):
        program.lower()


@pytest.mark.tpu_aot
def test_rows_longer_than_the_model_are_refused():
    with pytest.raises(UserError, match="--max_seq_length: rows of 1024"):
        make_program(mini(), describe("v5e:2x4"), max_seq_length=1024)


@pytest.mark.tpu_aot
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("attention", ["xla", "fused"])
def test_the_correction_of_loops_equals_the_unrolled_step(attention):
    topology = describe("v5e:2x2")

    def costs(scan_layers):
        config = mini(attention=attention, scan_layers=scan_layers, batch_size=256)
        program = make_program(config, topology, max_seq_length=LENGTH)
        compiled = program.lower().compile()
        return counted(compiled), step_costs(program, compiled)

    counted_once, corrected = costs(True)
    _, unrolled = costs(False)
    assert corrected.flops == pytest.approx(unrolled.flops, rel=0.02)
    assert counted_once.flops < 0.6 * unrolled.flops
    # Bytes differ in truth, nearly twofold here: a loop stacks what its backward pass needs.
    assert corrected.bytes > unrolled.bytes > counted_once.bytes


@pytest.mark.tpu_aot
@pytest.mark.timeout(1200)
def test_command_writes_what_scripts_read(tmp_path, capsys):
    from biobert_jax.commands import compile as command

    config = tmp_path / "mini.py"
    config.write_text(
        "from ml_collections import ConfigDict\n"
        "def get_config():\n"
        "    model = {'hidden_size': 128, 'num_hidden_layers': 2, 'num_attention_heads': 2,\n"
        "             'intermediate_size': 256, 'vocab_size': 1000, 'dtype': 'bfloat16'}\n"
        "    return ConfigDict({'model': model, 'train': {'gradient_dtype': 'bfloat16'}})\n"
    )
    import argparse

    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    args = parser.parse_args(
        ["--config", str(config), "--topology", "v5e:2x4", "--max_seq_length", "128",
         "--rows_per_chip", "4", "--json", str(tmp_path / "out.json")]
    )  # fmt: skip
    args.overrides = []
    assert command.run(args) == 0
    values = json.loads((tmp_path / "out.json").read_text())
    assert KEYS <= set(values)
    assert (values["chips"], values["rows_per_chip"], values["fits"]) == (8, 4, True)
    # Every gradient crosses between the chips once, in bfloat16.
    reduced = [c for c in values["collectives"] if c["kind"] == "all-reduce"]
    assert sum(c["bytes"] for c in reduced) < 1.05 * 2 * values["parameters"]
    assert "roofline" in capsys.readouterr().out


@pytest.mark.tpu_aot
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("topology", "feed_forward", "overlap", "least", "most"),
    # The table of embeddings is a third of the gradients, and summed when all else is done. On
    # v5e sums go beside XLA's own products only.
    [
        ("v6e:2x2", "fused", "auto", 0.9, 1),
        ("v5e:2x2", "xla", "always", 0.5, 1),
        ("v5e:2x2", "fused", "always", 0.2, 1),
        ("v5e:2x2", "fused", "auto", 0, 0),
    ],
)
def test_where_chips_can_they_sum_gradients_beside_other_work(
    topology, feed_forward, overlap, least, most
):
    config = mini(hidden_size=512, num_hidden_layers=2, num_attention_heads=8, vocab_size=8192,
                  intermediate_size=2048, scan_layers=False, feed_forward=feed_forward)  # fmt: skip
    train = dataclasses.replace(config.train, overlap_reductions=overlap)
    config = dataclasses.replace(config, train=train)
    report = analyse(make_program(config, describe(topology), max_seq_length=LENGTH))
    sums = {c["asynchronous"]: c["bytes"] for c in report.collectives if c["kind"] == "all-reduce"}
    assert sum(sums.values()) < 1.05 * 2 * report.parameters
    assert least <= sums.get(True, 0) / sum(sums.values()) <= most
    # The kernels' arithmetic is added by the formula, and their traffic by their arrays.
    assert 0.95 < report.flops_per_chip / report.model_flops_per_chip < 1.1


@pytest.mark.tpu_aot
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("topology", ["v5e:2x4", "v6e:2x4"])  # the latter with SparseCores
@pytest.mark.parametrize("layout", ["fsdp", "fsdp+tp"])
def test_every_layout_compiles_with_dropout_of_probabilities(layout, topology):
    config = mini(layout, accumulation_steps=2, hidden_size=256, num_attention_heads=4,
                  attention_probs_dropout_prob=0.1)  # fmt: skip
    program = make_program(config, describe(topology), max_seq_length=LENGTH)
    report = analyse(program, costs=False)
    assert report.fits and report.attention == "fused"
    assert any(c["kind"] == "all-gather" for c in report.collectives)


def test_what_does_not_fit_comes_with_remedies():
    values = {field.name: 0 for field in dataclasses.fields(Report)}
    values |= {"layout": "dp", "attention": "xla", "remat": "none", "collectives": [], "chips": 8,
               "accumulation_steps": 1, "rows_per_chip": 32.0, "fits": False, "hbm_limit_bytes": 1,
               "roofline_seconds": None}  # fmt: skip
    from biobert_jax.training.flops import CHIPS

    text = table(Report(**values), CHIPS["v5e"])
    assert "DOES NOT FIT" in text and "accumulation_steps=2" in text
    assert len(remedies(Report(**values))) == 5
    # Of the evaluation alone: what makes the step smaller is no remedy.
    values |= {"hbm_limit_bytes": 2**34, "hbm_bytes": 2**33, "outputs_hbm_bytes": 2**35}
    text = table(Report(**values), CHIPS["v5e"])
    assert "(0%): fits" in text and "32.00 GiB a chip: DOES NOT FIT" in text
    assert len(remedies(Report(**values))) == 3 and "accumulation" not in text
