"""Fine-tuning of every head, its evaluation too, compiled for TPUs that are not there."""

import dataclasses
import json

import pytest

from biobert_jax import cli
from biobert_jax.aot.cost import analyse
from biobert_jax.aot.finetuning import make_finetune_program
from biobert_jax.aot.topology import describe
from biobert_jax.config import ModelConfig
from biobert_jax.config_finetuning import FinetuneConfig, FinetuneDataConfig, FinetuneModelConfig

MODEL = ModelConfig(
    vocab_size=1000,
    hidden_size=128,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=512,
)
TASKS = {
    "ner": {},
    "classification": {},
    "markers": {"markers": "tags", "pooling": "markers"},
    "multi_label": {"kind": "multi_label", "labels": ("0", "1", "2", "3")},
    "regression": {"kind": "regression"},
    "qa": {},
}


def config_of(name):
    task = name if name in ("ner", "qa") else "classification"
    data = FinetuneDataConfig(max_seq_length=128, batch_size=16, **TASKS[name])
    return FinetuneConfig(task=task, data=data, model=FinetuneModelConfig(dtype="bfloat16"))


@pytest.mark.tpu_aot
@pytest.mark.parametrize("name", TASKS)
def test_step_and_predictions_compile_on_several_chips(name):
    topology = describe("v5e:2x2", 1)
    program = make_finetune_program(config_of(name), topology, model=MODEL)
    outputs = program.outputs()
    report = analyse(program, costs=False, outputs=outputs)
    assert report.fits and report.chips == 4 and report.attention == "fused"
    # Two moments of every parameter, on each chip.
    assert outputs.waiting_bytes > 8 * report.parameters
    assert outputs.waiting_bytes < report.outputs_hbm_bytes < report.hbm_bytes
    text = outputs.lowered.as_text()
    assert "tpu_custom_call" in text, "the kernel of attention is not there"


@pytest.mark.tpu_aot
@pytest.mark.slow
def test_the_command_takes_a_fine_tuning_config(tmp_path, capsys):
    out = tmp_path / "report.json"
    command = ["compile", "--config", "ner:ncbi_disease", "--topology", "v5e:2x2"]
    command += ["--config.model.dtype=bfloat16", "--json", str(out)]
    assert cli.main(command) == 0
    report = json.loads(out.read_text())
    assert report["chips"] == 4 and report["rows_per_chip"] == 2
    assert 100e6 < report["parameters"] < 120e6
    out = capsys.readouterr().out
    assert out.count("fits") == 2 and "evaluation " in out


def test_batches_have_the_shapes_of_real_ones():
    program = make_finetune_program(
        config_of("qa"), _Topology(), model=MODEL, sequences_a_row=5, rows_per_chip=3
    )
    shapes = {name: x.shape for name, x in program.arrays.items()}
    assert shapes["input_ids"] == (12, 128) and shapes["spans"] == (12, 5, 2)
    assert program.targets == ("spans",)
    many = make_finetune_program(config_of("multi_label"), _Topology(), model=MODEL)
    assert many.arrays["targets"].shape == (16, 8, 4)


@dataclasses.dataclass
class _Topology:
    num_chips: int = 4
    slices: int = 1
