"""Fine-tuning speed: packed rows here against length-sorted batches in torch + transformers.

    python benchmarks/finetune_speed.py --model HF_FOLDER --ner NCBI_FOLDER --relation GAD_FOLD \\
        --qa SQUAD_FOLDER [--rounds 8] [--json FILE]

Of each folder that is given the shipped preset is trained (ner:ncbi_disease, classification:gad,
qa:squad). Both sides have the same encoder, sequences of token ids, targets, precision (float32),
dropout, update (AdamW, clipped, the preset's rate) and cores, and as many sequences an update. Here
a batch are the preset's packed rows; there it is sequences of equal length, sorted over the whole
set, the best case of dynamic padding, padded to the longest. Tokenizing and packing, once a run,
are left out on both sides.

Steps alternate one by one, so that whatever else the machine does slows both. A round has the same
number of steps of each; theirs are spread evenly over the lengths, so that every round is a small
epoch. Printed are medians over rounds and, of the ratio, the lowest and highest round too.
The machine's load before and after is printed: OpenMP, which torch computes with, suffers more than
XLA where other programs take its cores, so that a figure wants a quiet machine.
Needs torch and transformers (`make test-torch` installs them).
"""

import argparse
import functools
import itertools
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import torch
import transformers

from biobert_jax.checkpoints.load import with_head
from biobert_jax.commands.config_file import read_values
from biobert_jax.config_finetuning import FinetuneConfig
from biobert_jax.config_parsing import apply_overrides, resolve
from biobert_jax.data.order import row_order
from biobert_jax.tasks.finetune import starting_point
from biobert_jax.tasks.forward import model_of, task_inputs, task_losses
from biobert_jax.tasks.rows import Encoded
from biobert_jax.tasks.run_data import read_data
from biobert_jax.tasks.task import Setting, task_of
from biobert_jax.training.initial import initial_state
from biobert_jax.training.optimizer import make_optimizer
from biobert_jax.training.schedule import learning_rate
from biobert_jax.training.sharding import device_batch, make_mesh
from biobert_jax.training.step import make_train_step

# Option: preset, their model, what an example is called.
TASKS = {
    "ner": ("ner:ncbi_disease", transformers.BertForTokenClassification, "sentences"),
    "relation": ("classification:gad", transformers.BertForSequenceClassification, "texts"),
    "qa": ("qa:squad", transformers.BertForQuestionAnswering, "questions"),
}
IGNORED = -100
# Over which the learning rate's schedule is drawn.
NUM_STEPS = 1000


class Sequence(NamedTuple):
    """A sequence alone: token ids, segments, and what is learnt of it."""

    ids: np.ndarray
    types: np.ndarray
    target: np.ndarray


class Step(NamedTuple):
    """What an update has computed, padding left out."""

    sequences: int
    tokens: int
    seconds: float


class Prepared(NamedTuple):
    """A task's training examples, packed, and what its model starts from."""

    config: FinetuneConfig
    setting: Setting
    encoded: Encoded
    num_examples: int


def prepare(name: str, model: str, folder: Path) -> Prepared:
    """Reads and packs the training files of a preset, as `biobert finetune` does."""
    values = read_values(TASKS[name][0])
    overrides = [f"init={model}", f"data.dir={folder}", "data.test=", "data.eval="]
    config = resolve(FinetuneConfig, apply_overrides(FinetuneConfig, values, overrides))
    task = task_of(config.task)
    data = read_data(task, config, lambda line: None)
    checkpoint, _ = starting_point(config)
    setting = Setting(data.labels, data.options, checkpoint.tokenizer, config.data.max_seq_length)
    return Prepared(config, setting, task.encode(data.train, setting, 0), len(data.train))


def ours(prepared: Prepared) -> Iterator[Step]:
    """Updates of packed rows, by the step that `biobert finetune` trains with."""
    config, setting, encoded, _ = prepared
    task = task_of(config.task)
    checkpoint, model = starting_point(config)
    checkpoint, _ = with_head(checkpoint, task.name, setting.labels, dict(setting.options))
    graph, create_params = model_of(task, model, setting, 0)
    mesh = make_mesh(config.mesh)
    optimizer = make_optimizer(config.optimizer, NUM_STEPS)
    state, _ = initial_state(create_params, checkpoint, optimizer, mesh)
    step = make_train_step(
        task_inputs,
        functools.partial(task_losses, task, setting, graph),
        optimizer,
        learning_rate(config.optimizer, NUM_STEPS),
        mesh,
        0,
        like=state,
    )
    arrays = encoded.arrays(with_targets=True)
    for number in itertools.count():
        began = time.perf_counter()
        chosen = row_order(len(encoded.rows), config.data.batch_size, 0, number)
        batch = {name: array[chosen] for name, array in arrays.items()}
        state, metrics = step(state, device_batch(mesh, batch))
        jax.block_until_ready(metrics)
        seconds = time.perf_counter() - began
        ids = batch["sequence_ids"]
        yield Step(int(ids.max(1).sum()), int(np.count_nonzero(ids)), seconds)


def theirs(name: str, prepared: Prepared, steps: int) -> Iterator[Step]:
    """The same of torch; each `steps` updates are spread evenly over all lengths."""
    config, setting, encoded, _ = prepared
    sequences = sorted(unpack(config.task, encoded), key=lambda sequence: len(sequence.ids))
    size = round(len(sequences) / len(encoded.rows) * config.data.batch_size)
    batches = [sequences[start : start + size] for start in range(0, len(sequences) - size, size)]
    labels = {"num_labels": len(setting.labels)} if setting.labels else {}
    network = TASKS[name][1].from_pretrained(
        config.init,
        dtype=torch.float32,
        hidden_dropout_prob=config.model.hidden_dropout_prob,
        attention_probs_dropout_prob=config.model.attention_probs_dropout_prob,
        **labels,
    )
    network.train()
    optimizer = make_torch_optimizer(network, config)
    for number in itertools.count():
        turn, place = divmod(number, steps)
        share = (place + (0.5 + turn * 0.618) % 1) / steps  # the golden section: nowhere twice
        batch = batches[int(share * len(batches))]
        began = time.perf_counter()
        tensors = collate(config.task, batch, setting.tokenizer.special.pad)
        network(**tensors).loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), config.optimizer.clip_norm)
        optimizer.step()
        optimizer.zero_grad()
        seconds = time.perf_counter() - began
        yield Step(len(batch), int(tensors["attention_mask"].sum()), seconds)


def unpack(task: str, encoded: Encoded) -> list[Sequence]:
    """The sequences of packed rows, each with its target."""
    rows = encoded.rows
    found = []
    for place, start, number in zip(rows.places, rows.offsets, rows.numbers, strict=True):
        own = slice(start, start + np.count_nonzero(rows.sequence_ids[place] == number + 1))
        ids = rows.input_ids[place, own]
        types = np.zeros_like(ids)
        if rows.token_type_ids is not None:
            types = rows.token_type_ids[place, own]
        if task == "ner":
            target = encoded.targets["labels"][place, own]
            target = np.where(target < 0, IGNORED, target)
        elif task == "qa":
            target = encoded.targets["spans"][place, number] - start
        else:
            target = encoded.targets["targets"][place, number]
        found.append(Sequence(ids, types, np.asarray(target)))
    return found


def collate(task: str, batch: list[Sequence], pad: int) -> dict[str, torch.Tensor]:
    """A batch padded to its longest."""
    width = max(len(sequence.ids) for sequence in batch)

    def padded(rows, fill):
        array = np.full((len(batch), width), fill, np.int64)
        for row, values in zip(array, rows, strict=True):
            row[: len(values)] = values
        return torch.from_numpy(array)

    tensors = {
        "input_ids": padded([s.ids for s in batch], pad),
        "token_type_ids": padded([s.types for s in batch], 0),
        "attention_mask": padded([np.ones(len(s.ids)) for s in batch], 0),
    }
    if task == "ner":
        return tensors | {"labels": padded([s.target for s in batch], IGNORED)}
    targets = torch.from_numpy(np.stack([s.target for s in batch]).astype(np.int64))
    if task == "qa":
        return tensors | {"start_positions": targets[:, 0], "end_positions": targets[:, 1]}
    return tensors | {"labels": targets}


def make_torch_optimizer(network: torch.nn.Module, config: FinetuneConfig) -> torch.optim.AdamW:
    """AdamW as the preset has it: no decay of biases and LayerNorms."""
    groups: dict[float, list] = {0.0: [], config.optimizer.weight_decay: []}
    for name, parameter in network.named_parameters():
        plain = name.endswith("bias") or "LayerNorm" in name
        groups[0.0 if plain else config.optimizer.weight_decay].append(parameter)
    return torch.optim.AdamW(
        [{"params": own, "weight_decay": decay} for decay, own in groups.items()],
        lr=config.optimizer.learning_rate,
        eps=config.optimizer.eps,
    )


def measure(name: str, model: str, folder: Path, rounds: int, steps: int) -> dict[str, float]:
    """Alternates steps, prints a line a side and the ratio; returns the figures."""
    prepared = prepare(name, model, folder)
    runs = {"here": ours(prepared), "torch": theirs(name, prepared, steps)}
    rates: dict[str, list] = {side: [] for side in runs}
    for number in range(rounds + 1):
        taken: dict[str, list[Step]] = {side: [] for side in runs}
        for _ in range(steps):
            for side, run in runs.items():
                taken[side].append(next(run))
        for side, own in taken.items():
            sequences, tokens, seconds = np.sum(own, axis=0)
            if number:  # the first round compiles
                rates[side].append((sequences / seconds, tokens / seconds))
    unit = TASKS[name][2]
    # A long text is several sequences.
    share = prepared.num_examples / len(prepared.encoded.rows.places)
    result: dict[str, float] = {}
    print(
        f"{name}: {TASKS[name][0]}, {rounds} rounds of {steps} steps, packed rows at fill", end=" "
    )
    print(f"{prepared.encoded.rows.fill:.1%}")
    for side, values in rates.items():
        sequences, tokens = np.median(values, axis=0)
        result |= {f"{side}_{unit}_per_second": sequences * share}
        result |= {f"{side}_tokens_per_second": tokens}
        print(f"  {side:6s}{sequences * share:8.2f} {unit}/s {tokens:8.0f} real tokens/s")
    ratios = [a[0] / b[0] for a, b in zip(rates["here"], rates["torch"], strict=True)]
    result |= {"ratio": float(np.median(ratios)), "lowest": min(ratios), "highest": max(ratios)}
    print(f"  ratio   {result['ratio']:.2f} (rounds {min(ratios):.2f} to {max(ratios):.2f})")
    return {key: round(float(value), 3) for key, value in result.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="a Hugging Face folder")
    for name, (preset, *_) in TASKS.items():
        parser.add_argument(f"--{name}", type=Path, metavar="FOLDER", help=f"data of {preset}")
    parser.add_argument("--rounds", type=int, default=8, help="that count (8)")
    parser.add_argument("--steps", type=int, default=5, help="of each side in a round (5)")
    parser.add_argument("--threads", type=int, default=2, help="and cores, of each side (2)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the figures of all tasks")
    args = parser.parse_args()
    # XLA takes as many threads as it has cores.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.threads])
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    transformers.logging.set_verbosity_error()
    folders = {name: getattr(args, name) for name in TASKS if getattr(args, name)}
    if not folders:
        parser.error("nothing to measure: give --ner, --relation or --qa")
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    results = {
        name: measure(name, args.model, folder, args.rounds, args.steps)
        for name, folder in folders.items()
    }
    print(f"load {os.getloadavg()[0]:.1f}")
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
