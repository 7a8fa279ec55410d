"""A run of the real loop, checkpoints and watchdog around an update that costs nothing.

    python -m tests.training.toy_run WORKDIR [--steps 40] [--pause 0.02] [--temporary_minutes M]
        [--coordinator HOST:PORT --num_processes N --process_id I]

Its matrix is dealt over all devices, takes noise by step and the sum of each batch's ids: lost or
repeated batches, a wrong step or a wrong part of the state would all change it.
"""

import argparse
import itertools
import sys
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from biobert_jax.checkpoints import manifest, orbax
from biobert_jax.config import MeshConfig, ModelConfig, PretrainConfig
from biobert_jax.errors import Interrupted, UserError
from biobert_jax.training import distributed, joining, loop
from biobert_jax.training.claim import claim_workdir
from biobert_jax.training.metrics import MetricsWriter, Progress
from biobert_jax.training.saver import Saver, resume
from biobert_jax.training.sharding import device_batch, make_mesh, replicated, row_sharding
from biobert_jax.training.step import TrainState
from biobert_jax.training.watchdog import Watchdog
from biobert_jax.training.workdir import Workdir, open_workdir
from tests.checkpoints.tiny import tiny_tokenizer

ROWS, LENGTH = 8, 4


def main() -> int:
    """Runs to the end; exit codes as those of `biobert`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("workdir")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--temporary_minutes", type=float, default=0.0)
    parser.add_argument("--watchdog_minutes", type=float, default=1.0)
    parser.add_argument("--fail_at", type=int, default=-1)
    parser.add_argument("--coordinator")
    parser.add_argument("--num_processes", type=int)
    parser.add_argument("--process_id", type=int)
    args = parser.parse_args()
    try:
        joining.initialize(args.coordinator, args.num_processes, args.process_id)
        with open_workdir(args.workdir, _say) as workdir:
            run(args, workdir)
    except Interrupted as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def run(args: argparse.Namespace, workdir: Workdir) -> None:
    """Trains or goes on, with a checkpoint every 10 steps, one in 20 of them permanent."""
    mesh = make_mesh(MeshConfig())
    claim_workdir(workdir, PretrainConfig(), args.steps)
    everywhere, rows = replicated(mesh), row_sharding(mesh)
    zero = jax.device_put(np.int32(0), everywhere)
    matrix = jax.jit(lambda: jnp.zeros((ROWS, LENGTH)), out_shardings=rows)()
    state = TrainState(zero, {"matrix": matrix}, {"sum": zero}, zero, zero)
    restored, start_step = resume(workdir, state, _say, data="toy")
    state = state if restored is None else restored

    def update(state, batch):
        total = batch["input_ids"].sum()
        key = jax.random.fold_in(jax.random.key(0), state.step)
        noise = jax.random.randint(key, matrix.shape, 0, 1000).astype(jnp.float32)
        # Whole numbers below 2^24: exact however a compiler fuses them for one process or two. What
        # went wrong at a step stays in them, since 3 has an inverse modulo 2^15.
        before = jnp.mod(3 * state.params["matrix"], 2**15)
        params = {"matrix": before + noise + total.astype(jnp.float32)}
        new = TrainState(
            state.step + 1, params, {"sum": state.opt_state["sum"] + total}, zero, zero
        )
        return new, {"loss": total.astype(jnp.float32), "skipped_in_a_row": jnp.float32(0)}

    shardings = jax.tree.map(lambda x: x.sharding, state)
    metrics = MetricsWriter(workdir.local, start_step, active=distributed.is_first())
    writer = orbax.CheckpointWriter(workdir.shared, keep=2, before_manifest=workdir.publish)
    distributed.decide(writer.clear)
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = tiny_tokenizer(Path(folder))
    metadata = manifest.Metadata("pretraining", 0, ModelConfig(), "vocab.txt", data="toy")
    with Watchdog(args.watchdog_minutes, workdir.local) as watchdog:
        try:
            loop.run(
                state,
                cadence=loop.Cadence(args.steps, 15, 10, 1, 20, args.temporary_minutes, 10),
                start_step=start_step,
                batches=batches(start_step, args),
                to_device=lambda batch: device_batch(mesh, batch),
                train_step=jax.jit(update, out_shardings=(shardings, everywhere)),
                evaluate=lambda state: {"heldout_loss": float(state.opt_state["sum"])},
                save=Saver(writer, workdir, metadata, tokenizer),
                metrics=metrics,
                progress=Progress(start_step, args.steps, active=distributed.is_first()),
                watchdog=watchdog,
            )
        finally:
            metrics.close()
            writer.close()


def batches(start_step: int, args: argparse.Namespace):
    """This process's part of each batch from `start_step` on."""
    size = ROWS // jax.process_count()
    mine = slice(jax.process_index() * size, (jax.process_index() + 1) * size)
    for step in itertools.count(start_step):
        time.sleep(args.pause)
        if step == args.fail_at and jax.process_index() == jax.process_count() - 1:
            raise UserError("a shard is corrupt")
        ids = np.random.default_rng(step).integers(0, 1000, (ROWS, LENGTH), np.int32)
        yield {"input_ids": ids[mine], "sequence_ids": np.ones_like(ids[mine])}


def _say(line: str) -> None:
    if distributed.is_first():
        print(line, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
