"""Rows a second that the host can deliver to training, from TFRecords and from exported arrays.

    biobert prepare … --max_seq_length 128 --output mlm128 --shards 16
    biobert export mlm128 --output mlm128-arrays
    python benchmarks/input_pipeline.py --data mlm128 [--data mlm512 …] [--arrays mlm128-arrays …]

The folders take turns, so that a machine that slows down slows all; the figures are medians of the
turns. Rows a second of CPU time, all threads together, is what one core delivers; rows a second of
wall time, what the reader's threads deliver on this machine while nothing else is done with the
rows. Before that it is checked that 1, 2 and 4 hosts read the same global batches, and that a seek
gives what reading on would. Small data stay in the page cache: the disk is not measured.
"""

import argparse
import itertools
import os
import statistics
import time

import numpy as np

from biobert_jax.data.folders import open_prepared
from biobert_jax.data.source import TrainingData

HOSTS = (2, 4)
CHECKED_STEPS = 20
SEEK_STEP = 1000


def main() -> None:
    """Prints a line a folder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", action="append", required=True, metavar="DIR")
    parser.add_argument("--arrays", action="append", default=[], metavar="DIR")
    parser.add_argument("--batch_size", type=int, default=256)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a turn")
    args = parser.parse_args()
    sources = {name: open_prepared(name) for name in (*args.data, *args.arrays)}
    for data in sources.values():
        check_order(data, args.batch_size)
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; batches of {args.batch_size}; "
        f"the global order is the same on 1, {' and '.join(map(str, HOSTS))} hosts and after a seek"
    )

    readers = {name: data.train_batches(args.batch_size, seed=0) for name, data in sources.items()}
    rates: dict[str, list[tuple[float, float]]] = {name: [] for name in sources}
    for _, (name, batches) in itertools.product(range(args.turns), readers.items()):
        rates[name].append(read_for(args.seconds, batches))
    for name, data in sources.items():
        cpu, wall = (statistics.median(rate) for rate in zip(*rates[name], strict=True))
        began = time.perf_counter()
        next(data.train_batches(args.batch_size, seed=0, start_step=SEEK_STEP))
        seek = time.perf_counter() - began
        kind = "arrays" if name in args.arrays else "TFRecords"
        print(
            f"{os.path.basename(os.path.normpath(name))} ({data.format.record_format} rows of "
            f"{data.format.max_seq_length}, {kind}): {cpu:,.0f} rows/s a core of CPU time, "
            f"{wall:,.0f} rows/s of wall time; first batch at step {SEEK_STEP} after "
            f"{seek * 1e3:.0f} ms",
            flush=True,
        )


def check_order(data: TrainingData, batch_size: int) -> None:
    """Stops with an error where hosts or a seek change the global batches."""

    def take(count, **arguments):
        batches = data.train_batches(batch_size, seed=1, **arguments)
        return list(itertools.islice(batches, count))

    whole = take(CHECKED_STEPS)
    for hosts in HOSTS:
        parts = [take(CHECKED_STEPS, host=host, num_hosts=hosts) for host in range(hosts)]
        for step, batch in enumerate(whole):
            for name, rows in batch.items():
                joined = np.concatenate([part[step][name] for part in parts])
                if not np.array_equal(joined, rows):
                    raise SystemExit(f"{data.name}: {name} of step {step} differs on {hosts} hosts")
    middle = CHECKED_STEPS // 2
    for batch, expected in zip(take(middle, start_step=middle), whole[middle:], strict=True):
        for name, rows in expected.items():
            if not np.array_equal(batch[name], rows):
                raise SystemExit(f"{data.name}: {name} differs after a seek to step {middle}")


def read_for(seconds: float, batches) -> tuple[float, float]:
    """Rows a second of CPU time and of wall time."""
    next(batches)  # what was made ahead while others had their turn
    rows, wall, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - wall < seconds:
        rows += len(next(batches)["input_ids"])
    return rows / (time.process_time() - cpu), rows / (time.perf_counter() - wall)


if __name__ == "__main__":
    main()
