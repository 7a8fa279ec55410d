"""Pre-training steps on a CPU: this package beside torch + transformers, in turns.

    python benchmarks/train_step.py [--size mini|base] [--dtype float32|bfloat16] [--length 128]
    python benchmarks/train_step.py --data DIR --vocab_size 28996 --length 512

The first form: full rows of one sequence, the same shapes, weights and optimizer (AdamW, clipping),
dropout 0.1 on, masked LM on 15 %. transformers computes logits of every position, as it comes;
"sparse" is the same with its head called on the predicted positions alone, which it does not
offer. bfloat16 is torch.autocast there.

The second form: real tokens a second on the data set's own texts, packed rows here (`biobert
prepare` wrote DIR, rows of --length), and there a row a text, cut and padded to --length.
Figures are medians over blocks of steps that alternate.
"""

import argparse
import functools
import statistics
import time

import jax
import numpy as np
import torch
import transformers

from biobert_jax.checkpoints import huggingface
from biobert_jax.config import DataConfig, MaskingConfig, MeshConfig, ModelConfig, OptimizerConfig
from biobert_jax.model.masking import SpecialIds, num_predictions
from biobert_jax.training.initial import initial_state
from biobert_jax.training.inputs import packed_inputs, with_dropout
from biobert_jax.training.objective import model_of, pretraining_losses
from biobert_jax.training.optimizer import make_optimizer
from biobert_jax.training.phases import open_phases
from biobert_jax.training.schedule import learning_rate
from biobert_jax.training.sharding import device_batch, make_mesh
from biobert_jax.training.step import make_train_step

SIZES = {
    "mini": {"hidden_size": 384, "num_hidden_layers": 6, "intermediate_size": 1536},
    "base": {},
}
SPECIAL = SpecialIds(28996, cls=101, sep=102, mask=103)
RATE = 1e-4


def our_steps(model: ModelConfig, batches):
    """Yields (real tokens, seconds) a step; the first compiles."""
    mesh = make_mesh(MeshConfig())
    graph, create_params = model_of(model, 0)
    config = OptimizerConfig(name="adamw", learning_rate=RATE, schedule="constant")
    optimizer = make_optimizer(config, 10_000)
    state, _ = initial_state(create_params, None, optimizer, mesh)
    special = SPECIAL._replace(vocab_size=model.vocab_size)
    step = make_train_step(
        with_dropout(functools.partial(packed_inputs, special=special, masking=MaskingConfig())),
        functools.partial(pretraining_losses, graph),
        optimizer,
        learning_rate(config, 10_000),
        mesh,
        0,
        like=state,
    )
    for batch in batches:
        began = time.perf_counter()
        state, metrics = step(state, device_batch(mesh, batch))
        jax.block_until_ready(metrics)
        yield np.count_nonzero(batch["sequence_ids"]), time.perf_counter() - began


def their_steps(model: ModelConfig, batches, *, sparse: bool):
    """The same of transformers, from the same weights."""
    names = {name: getattr(model, name) for name in huggingface._SHARED_FIELDS}
    network = transformers.BertForMaskedLM(transformers.BertConfig(**names))
    params = jax.tree.map(np.asarray, jax.jit(model_of(model, 0)[1])())
    weights = {k: torch.tensor(v) for k, v in huggingface.to_huggingface(params).items()}
    network.load_state_dict(weights, strict=False)
    network.tie_weights()
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, eps=1e-6, weight_decay=0.01)
    rng = np.random.default_rng(0)
    low = model.dtype == "bfloat16"
    for batch in batches:
        ids = torch.tensor(batch["input_ids"].astype(np.int64))
        real = torch.tensor(batch["sequence_ids"] > 0)
        count = num_predictions(ids.shape[1], 0.15)
        began = time.perf_counter()
        positions = torch.tensor(
            np.stack([rng.permutation(ids.shape[1])[:count] for _ in range(len(ids))])
        )
        labels = torch.full_like(ids, -100).scatter(1, positions, ids.gather(1, positions))
        labels[~real] = -100
        masked = ids.scatter(1, positions, SPECIAL.mask)
        with torch.autocast("cpu", torch.bfloat16, enabled=low):
            if sparse:
                hidden = network.bert(masked, attention_mask=real.long()).last_hidden_state
                at = positions[..., None].expand(-1, -1, hidden.shape[-1])
                logits = network.cls(hidden.gather(1, at))
                loss = torch.nn.functional.cross_entropy(
                    logits.flatten(0, 1).float(), labels.gather(1, positions).flatten()
                )
            else:
                loss = network(masked, attention_mask=real.long(), labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        yield int(real.sum()), time.perf_counter() - began


def full_rows(rows: int, length: int, vocab_size: int):
    """Rows of one sequence each, made up, without end."""
    rng = np.random.default_rng(0)
    while True:
        ids = rng.integers(1000, vocab_size, (rows, length)).astype(np.uint16)
        ids[:, 0], ids[:, -1] = SPECIAL.cls, SPECIAL.sep
        yield {"input_ids": ids, "sequence_ids": np.ones((rows, length), np.uint8)}


def packed_rows(directory: str, rows: int):
    """The data set's rows, as training reads them."""
    [phase] = open_phases(DataConfig(dir=directory, batch_size=rows))
    yield from phase.data.train_batches(rows, seed=0)


def padded_rows(packed, rows: int, length: int):
    """The sequences of packed rows, one a row, padded."""
    held: list[np.ndarray] = []
    for batch in packed:
        for ids, numbers in zip(batch["input_ids"], batch["sequence_ids"], strict=True):
            held += [ids[numbers == number] for number in range(1, numbers.max() + 1)]
        while len(held) >= rows:
            result = np.zeros((rows, length), np.int64)
            for row, ids in zip(result, held, strict=False):
                row[: len(ids)] = ids
            yield {"input_ids": result, "sequence_ids": (result != 0).astype(np.uint8)}
            held = held[rows:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", choices=SIZES, default="mini")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--rows", type=int, default=0, help="a batch (0: 1024 tokens)")
    parser.add_argument("--data", metavar="DIR", help="of `biobert prepare`, with rows of --length")
    parser.add_argument("--vocab_size", type=int, default=28996)
    parser.add_argument("--blocks", type=int, default=9)
    parser.add_argument("--steps", type=int, default=3, help="a block")
    args = parser.parse_args()
    rows = args.rows or max(1, 1024 // args.length)
    model = ModelConfig(
        vocab_size=args.vocab_size,
        dtype=args.dtype,
        **SIZES[args.size],
    )
    if args.data:
        padded = functools.partial(padded_rows, packed_rows(args.data, rows), rows, args.length)
        runs = {
            "ours, packed": our_steps(model, packed_rows(args.data, rows)),
            "ours, padded": our_steps(model, padded()),
            "transformers": their_steps(model, padded(), sparse=False),
        }
    else:
        made = functools.partial(full_rows, rows, args.length, args.vocab_size)
        runs = {
            "ours": our_steps(model, made()),
            "transformers": their_steps(model, made(), sparse=False),
            "transformers, sparse": their_steps(model, made(), sparse=True),
        }
    for steps in runs.values():  # compilation, allocation
        for _ in range(2):
            next(steps)
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(args.blocks):
        for name, steps in runs.items():
            taken = [next(steps) for _ in range(args.steps)]
            rates[name].append(sum(t for t, _ in taken) / sum(s for _, s in taken))
    ours = next(iter(rates))
    print(f"{args.size}, {args.dtype}, {rows} rows of {args.length}, real tokens/s:")
    for name, values in rates.items():
        ratios = [a / b for a, b in zip(rates[ours], values, strict=True)]
        print(
            f"  {name:22s} {statistics.median(values):9,.0f}   {ours} is "
            f"{statistics.median(ratios):.2f} times ({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
