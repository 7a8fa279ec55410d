"""What BERT's training step could reach on TPUs, compiled ahead of time: no TPU is needed.

    python benchmarks/tpu_roofline.py [--only NAME,NAME] [--json FILE]

BERT-base on packed rows of 512, 77 predictions a row, bfloat16, hidden dropout 0.1, and BERT-large
with parameters dealt out. A case takes two to five minutes on two cores. "fused" cases have
model.feed_forward=fused; attention is our kernel where nothing else is said.
Needs libtpu: pip install 'biobert-jax[tpu]'.
"""

import argparse
import dataclasses
import json
from pathlib import Path

from biobert_jax.aot.cost import analyse
from biobert_jax.aot.program import make_program
from biobert_jax.aot.topology import describe
from biobert_jax.config import MeshConfig, ModelConfig, PretrainConfig, TrainConfig

LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
}
UNROLLED = {"scan_layers": False}
FUSED = UNROLLED | {"feed_forward": "fused"}
ALL_DROPOUT = UNROLLED | {"attention_probs_dropout_prob": 0.1}
# Name, topology, layout, rows a chip, what differs in the model.
CASES = (
    ("v5e", "v5e:16x16", "dp", 32, UNROLLED),
    ("v5e fused", "v5e:16x16", "dp", 32, FUSED),
    ("v6e", "v6e:16x16", "dp", 64, UNROLLED),
    ("v6e fused", "v6e:16x16", "dp", 64, FUSED),
    ("v6e fused 32", "v6e:16x16", "dp", 32, FUSED),
    ("v4", "v4:4x4x4", "dp", 32, UNROLLED),
    ("v5p", "v5p:4x4x4", "dp", 32, UNROLLED),
    ("v5e 16 chips", "v5e:4x4", "dp", 32, UNROLLED),
    ("v5e 64 chips", "v5e:8x8", "dp", 32, UNROLLED),
    ("v5e splash", "v5e:16x16", "dp", 32, UNROLLED | {"attention": "splash"}),
    ("v5e scanned", "v5e:16x16", "dp", 32, {}),
    ("v5e attention dropout", "v5e:16x16", "dp", 32, ALL_DROPOUT),
    ("v5e xla", "v5e:4x4", "dp", 32, UNROLLED | {"attention": "xla"}),
    ("large v5e", "v5e:16x16", "fsdp", 16, LARGE),
    ("large v5p", "v5p:4x4x4", "fsdp", 32, LARGE),
)
COLUMNS = (
    "case chips rows/chip HBM arithmetic/model traffic roofline utilization collectives compiled"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", help="names of cases, comma-separated (all)")
    parser.add_argument("--json", type=Path, help="writes all reports there too")
    args = parser.parse_args()
    print("| " + " | ".join(COLUMNS.split()) + " |")
    print("|---" * len(COLUMNS.split()) + "|", flush=True)
    reports = {}
    for name, topology, layout, rows, changes in CASES:
        if args.only and name not in args.only.split(","):
            continue
        report = measure(topology, layout, rows, changes)
        reports[name] = dataclasses.asdict(report)
        print("| " + " | ".join(cells(name, report)) + " |", flush=True)
    if args.json:
        args.json.write_text(json.dumps(reports, indent=2) + "\n", encoding="utf-8")


def measure(topology, layout, rows, changes):
    """The report of one case."""
    model = ModelConfig(**{"dtype": "bfloat16", "attention_probs_dropout_prob": 0.0} | changes)
    config = PretrainConfig(
        model=model,
        train=TrainConfig(gradient_dtype="bfloat16"),
        mesh=MeshConfig(layout=layout),
    )
    return analyse(make_program(config, describe(topology), rows_per_chip=rows))


def cells(name, report):
    """A row of the table."""
    messages = ", ".join(
        f"{m['count']} {m['kind']} {m['bytes'] / report.parameters:.2f} B/parameter"
        + (" async" if m["asynchronous"] else "")
        for m in report.collectives
    )
    memory = f"{report.hbm_bytes / 2**30:.1f} GiB ({report.hbm_fraction:.0%})"
    known = report.flops_per_chip is not None
    return (
        name,
        str(report.chips),
        f"{report.rows_per_chip:g}",
        memory,
        f"{report.flops_per_chip / report.model_flops_per_chip:.3f}" if known else "-",
        f"{report.bytes_per_chip / 1e9:.1f} GB" if known else "-",
        f"{report.roofline_seconds * 1e3:.1f} ms" if known else "-",
        f"{report.roofline_utilization:.1%}" if known else "-",
        messages,
        f"{report.compile_seconds:.0f} s",
    )


if __name__ == "__main__":
    main()
