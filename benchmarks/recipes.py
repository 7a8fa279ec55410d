"""Choices of a pre-training recipe, judged at equal compute: what pretrain_efficient.py rests on.

    python benchmarks/recipes.py --data DIR --nsp_data DIR --workdir DIR [--seeds 2] [--steps 800]

Trains a small BERT from scratch once a choice and seed, all with the training FLOPs of the
baseline's --steps (by `training/flops.py`, so that a step that predicts more gets fewer of them),
and prints the loss of each on one held-out set: that of --data (an objective of mlm), with BERT's
15 % masks. --nsp_data is the same corpus prepared with --objective mlm_nsp. Runs that are done are
not run again; `biobert report DIR/*-0` draws their curves.
"""

import argparse
import dataclasses
import functools
import json
import statistics
from pathlib import Path

import jax
import numpy as np

from biobert_jax.checkpoints.load import load_checkpoint
from biobert_jax.config import (
    DataConfig,
    MaskingConfig,
    ModelConfig,
    OptimizerConfig,
    PretrainConfig,
    TrainConfig,
)
from biobert_jax.model.masking import SpecialIds
from biobert_jax.training.flops import training_flops
from biobert_jax.training.inputs import packed_inputs
from biobert_jax.training.objective import model_of, pretraining_losses
from biobert_jax.training.phases import open_phases
from biobert_jax.training.pretrain import pretrain

MODEL = ModelConfig(
    hidden_size=128,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=512,
    max_position_embeddings=128,
    initializer_range=0.05,
    hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0,
)
BATCH = 16
BASE = {"name": "adamw", "learning_rate": 3e-3, "warmup_fraction": 0.1}
# Name: optimizer keys, masking keys, rows a batch, sentence pairs.
CHOICES: dict[str, tuple[dict, dict, int, bool]] = {
    "baseline": ({}, {}, BATCH, False),
    "muon": ({"name": "muon"}, {}, BATCH, False),
    "mask 30 %": ({}, {"rate": 0.3}, BATCH, False),
    "nsp": ({}, {}, BATCH, True),
    "batch 8": ({}, {}, 8, False),
    "wsd": ({"schedule": "wsd"}, {}, BATCH, False),
    "lr 1.5e-3": ({"learning_rate": 1.5e-3}, {}, BATCH, False),
    "muon lr 6e-3": ({"name": "muon", "learning_rate": 6e-3}, {}, BATCH, False),
    "batch 32": ({}, {}, 32, False),
    "mask 20 %": ({}, {"rate": 0.2}, BATCH, False),
    "bert_adamw": ({"name": "bert_adamw"}, {}, BATCH, False),
    "lamb lr 1e-2": ({"name": "lamb", "learning_rate": 1e-2}, {}, BATCH, False),
    "whole words": ({}, {"whole_word": True}, BATCH, False),
}


def step_flops(vocab_size: int, rows: int, length: int, rate: float, squared: float) -> float:
    """Model FLOPs of a step on packed rows; `squared` is the mean of a row's sum of len²."""
    model = dataclasses.replace(MODEL, vocab_size=vocab_size)
    return training_flops(
        model,
        tokens=rows * length,
        squared_lengths=rows * squared,
        predictions=rate * rows * length,
    )


def heldout_loss(checkpoint: Path, directory: str) -> float:
    """Masked LM loss on all held-out rows of a data set, with the masks of BERT."""
    [phase] = open_phases(DataConfig(dir=directory, batch_size=BATCH))
    loaded = load_checkpoint(checkpoint)
    graph, _ = model_of(loaded.model, 0)
    special = phase.data.special
    make_inputs = functools.partial(
        packed_inputs,
        special=SpecialIds(phase.data.format.vocab_size, special.cls, special.sep, special.mask),
        masking=MaskingConfig(),
    )

    @jax.jit
    def sums(batch, index):
        key = jax.random.fold_in(jax.random.key(0), index)
        return pretraining_losses(graph, loaded.params, make_inputs(batch, key))["mlm_loss"]

    found = [sums(batch, i) for i, batch in enumerate(phase.data.heldout_batches(BATCH))]
    total, weight = np.sum(jax.device_get(found), axis=0)
    return float(total / weight)


def run(name: str, seed: int, args: argparse.Namespace) -> dict:
    """Trains a choice and returns its row of the table."""
    optimizer, masking, rows, nsp = CHOICES[name]
    directory = args.nsp_data if nsp else args.data
    [phase] = open_phases(DataConfig(dir=args.data, batch_size=BATCH))
    length, vocab_size = phase.data.format.max_seq_length, phase.data.format.vocab_size
    sample = next(phase.data.train_batches(256, seed=0))["sequence_ids"]
    squared = float(np.mean([(np.bincount(ids)[1:] ** 2).sum() for ids in sample]))
    budget = args.steps * step_flops(vocab_size, BATCH, length, 0.15, squared)
    steps = round(budget / step_flops(vocab_size, rows, length, masking.get("rate", 0.15), squared))
    config = PretrainConfig(
        seed=seed,
        model=MODEL,
        data=DataConfig(dir=directory, batch_size=rows),
        masking=MaskingConfig(**masking),
        optimizer=OptimizerConfig(**(BASE | optimizer)),
        train=TrainConfig(
            num_steps=steps,
            eval_every=max(1, steps // 10),
            eval_batches=20,
            checkpoint_every=max(1, steps // 2),
            keep_checkpoints=1,
            log_every=10,
        ),
    )
    workdir = Path(args.workdir) / f"{name.replace(' ', '_').replace('/', '-')}-{seed}"
    pretrain(config, workdir)
    return {
        "choice": name,
        "seed": seed,
        "steps": steps,
        "loss": heldout_loss(workdir, args.data),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, metavar="DIR")
    parser.add_argument("--nsp_data", required=True, metavar="DIR")
    parser.add_argument("--workdir", required=True, metavar="DIR")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=800, help="of the baseline")
    parser.add_argument("--only", help="choices, comma-separated (all)")
    args = parser.parse_args()
    names = args.only.split(",") if args.only else list(CHOICES)
    results = Path(args.workdir) / "results.jsonl"
    results.parent.mkdir(parents=True, exist_ok=True)
    lines = results.read_text().splitlines() if results.exists() else []
    rows = [json.loads(line) for line in lines]
    for seed in range(args.seeds):
        for name in names:
            if any(row["choice"] == name and row["seed"] == seed for row in rows):
                continue
            rows.append(run(name, seed, args))
            with open(results, "a") as stream:
                stream.write(json.dumps(rows[-1]) + "\n")
    losses = {n: [r["loss"] for r in rows if r["choice"] == n] for n in names}
    base = statistics.mean(losses.get("baseline") or [float("nan")])
    print(f"| choice | steps | held-out loss, {args.seeds} seeds | mean | against baseline |")
    print("|---|---|---|---|---|")
    for name in sorted(names, key=lambda n: statistics.mean(losses[n])):
        steps = next(row["steps"] for row in rows if row["choice"] == name)
        mean = statistics.mean(losses[name])
        each = ", ".join(f"{loss:.3f}" for loss in losses[name])
        print(f"| {name} | {steps} | {each} | {mean:.3f} | {mean - base:+.3f} |")


if __name__ == "__main__":
    main()
