"""Fine-tuning speed: packed rows here against dynamic padding in torch + transformers, in one run.

    python benchmarks/ner_speed.py --model HF_FOLDER --data NCBI_FOLDER

Same encoder, sentences, precision (float32), dropout, threads, update; batches of 32 sentences
there, of 8 rows of 128 here (about as many sentences). Steps alternate, a few each in turn, after
a warm-up of both; the figure is the ratio of real (not padding) tokens a second, by medians.
Needs torch and transformers (`make test-torch` installs them).
"""

import argparse
import functools
import time
from pathlib import Path

import jax
import numpy as np
import torch
import torch_ner
from transformers import AutoTokenizer, BertForTokenClassification

from biobert_jax.checkpoints.load import load_checkpoint
from biobert_jax.config import MeshConfig, OptimizerConfig
from biobert_jax.corpus.text.tokenization import load_tokenizer
from biobert_jax.data.order import row_order
from biobert_jax.tasks.forward import model_of, task_inputs, task_losses
from biobert_jax.tasks.ner import TASK
from biobert_jax.tasks.task import Setting
from biobert_jax.training.initial import initial_state
from biobert_jax.training.optimizer import make_optimizer
from biobert_jax.training.schedule import learning_rate
from biobert_jax.training.sharding import device_batch, make_mesh
from biobert_jax.training.step import make_train_step

ROWS, LENGTH = 8, 128


def ours(model: str, data: Path):
    """Yields (real tokens, sentences, seconds) a step."""
    options = {"entity_type": "entity", "types": [], "format": ""}
    sentences = TASK.read(data / "train.tsv", options)
    checkpoint = load_checkpoint(model)
    tokenizer = load_tokenizer(checkpoint.vocab)
    setting = Setting(TASK.labels(sentences, options), options, tokenizer, LENGTH)
    rows = TASK.encode(sentences, setting, 0).arrays(with_targets=True)
    graph, create_params = model_of(TASK, checkpoint.model, setting, 0)
    mesh = make_mesh(MeshConfig())
    config = OptimizerConfig(name="adamw", learning_rate=1e-4, eps=1e-8)
    optimizer = make_optimizer(config, 600)
    state, _ = initial_state(create_params, checkpoint, optimizer, mesh)
    step = make_train_step(
        task_inputs,
        functools.partial(task_losses, TASK, setting, graph),
        optimizer,
        learning_rate(config, 600),
        mesh,
        0,
        like=state,
    )
    number = 0
    while True:
        began = time.perf_counter()
        chosen = row_order(len(rows["input_ids"]), ROWS, 0, number)
        batch = {name: array[chosen] for name, array in rows.items()}
        state, metrics = step(state, device_batch(mesh, batch))
        jax.block_until_ready(metrics)
        real = int(np.count_nonzero(batch["sequence_ids"]))
        yield real, int(batch["sequence_ids"].max(1).sum()), time.perf_counter() - began
        number += 1


def theirs(model: str, data: Path):
    """The same of torch."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    sentences = torch_ner.read_sentences(data / "train.tsv")
    rows = torch_ner.make_rows(tokenizer, sentences, {"B": 0, "I": 1, "O": 2}, windows=False)
    network = BertForTokenClassification.from_pretrained(
        model, num_labels=3, classifier_dropout=0.1, dtype=torch.float32
    ).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, weight_decay=0.01)
    shuffled = np.random.default_rng(0).permutation(len(rows))
    start = 0
    while True:
        began = time.perf_counter()
        batch = [rows[i] for i in shuffled[start : start + 32]]
        tensors = torch_ner.collate(batch, tokenizer.pad_token_id)
        network(**tensors).loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        yield int(tensors["attention_mask"].sum()), len(batch), time.perf_counter() - began
        start += 32


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--rounds", type=int, default=8, help="of 3 steps each, counted (8)")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    runs = {"here": ours(args.model, args.data), "torch": theirs(args.model, args.data)}
    rates: dict[str, list] = {name: [] for name in runs}
    for number in range(args.rounds + 1):
        for name, run in runs.items():
            tokens, sentences, seconds = np.sum([next(run) for _ in range(3)], axis=0)
            if number:  # the first round compiles
                rates[name].append((tokens / seconds, sentences / seconds))
    medians = {name: np.median(values, axis=0) for name, values in rates.items()}
    for name, (tokens, sentences) in medians.items():
        print(f"{name:6s} {tokens:8.0f} real tokens/s {sentences:8.1f} sentences/s")
    ratios = [a[0] / b[0] for a, b in zip(rates["here"], rates["torch"], strict=True)]
    print(
        f"ratio  {np.median(ratios):.2f} (rounds {min(ratios):.2f} to {max(ratios):.2f}), "
        f"{args.threads} threads"
    )


if __name__ == "__main__":
    main()
