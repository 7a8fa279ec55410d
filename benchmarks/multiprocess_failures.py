"""Pre-training in several processes of which one dies, stands still or is told to stop.

    python benchmarks/multiprocess_failures.py --data PREPARED --scratch EMPTY_FOLDER \
        [--processes 2,4] [--times 2] [--watchdog_minutes 0.5] [--seed 0]

The tiny BERT of `resume_kills.py` in 2 and 4 processes on one machine, which meet through gloo.
At a random moment one of them gets SIGKILL, SIGSTOP or SIGTERM. All others must end within the
watchdog's time and that of a heartbeat (SIGTERM: all, with exit code 143, within 15 seconds). Run
again, they must come to the undisturbed run of as many processes, bit for bit.
"""

import argparse
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from resume_kills import TERM_SECONDS, compare, last_step, start, wait_until

from biobert_jax.training.joining import HEARTBEAT_TIMEOUT

# Seconds that a machine with more processes than cores may take on top of a limit.
SLACK = 30.0


def main() -> None:
    """Runs, disturbs, compares, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, type=Path, help="with 4 shards at least")
    parser.add_argument("--scratch", required=True, type=Path)
    parser.add_argument("--processes", default="2,4")
    parser.add_argument("--times", type=int, default=2, help="of each signal")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--watchdog_minutes", type=float, default=0.5)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    rows = []
    for count in map(int, args.processes.split(",")):
        undisturbed = args.scratch / f"undisturbed{count}"
        finish(args, undisturbed, count)
        print(f"{count} processes: undisturbed run done", flush=True)
        for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM):
            for _ in range(args.times):
                row = disturb(args, rng, count, number, undisturbed)
                rows.append(row)
                print(row, flush=True)
    print("\nprocesses  signal   to  at step  others ended after  exit codes")
    print("\n".join(rows))
    print(f"\n{len(rows)} of {len(rows)}: ended in time, and run again bit for bit the undisturbed")


def disturb(
    args: argparse.Namespace, rng: random.Random, count: int, number: int, undisturbed: Path
) -> str:
    """Sends one signal, waits for the ends, runs again and compares; returns a line of a table."""
    workdir = args.scratch / "disturbed"
    victim, step = rng.randrange(count), rng.randrange(1, args.steps - 20)
    processes = start_all(args, workdir, count)
    for process in processes:
        wait_until(process, lambda: last_step(workdir) >= step)
    at_step, sent = last_step(workdir), time.monotonic()
    processes[victim].send_signal(number)
    terminated = number == signal.SIGTERM
    # One that ends by an error of its own still waits at its exit for the dead one's heartbeat.
    limit = 60 * args.watchdog_minutes + HEARTBEAT_TIMEOUT + SLACK
    limit = TERM_SECONDS if terminated else limit
    waited_for = [p for i, p in enumerate(processes) if terminated or i != victim]
    said = []
    for process in waited_for:
        try:
            said.append(process.communicate(timeout=max(0.1, sent + limit - time.monotonic()))[1])
        except subprocess.TimeoutExpired:
            for each in processes:
                each.kill()
            sys.exit(f"{count} processes: after {limit:.0f} s one had not ended")
    took = time.monotonic() - sent
    processes[victim].kill()
    processes[victim].communicate()
    codes = [process.returncode for process in waited_for]
    if any(code != 143 if terminated else code == 0 for code in codes):
        sys.exit(f"exit codes {codes}: {said}")
    finish(args, workdir, count)
    if differences := compare(workdir, undisturbed):
        sys.exit(f"DIFFERS: {differences}")
    shutil.rmtree(workdir)
    name = signal.Signals(number).name
    return f"{count:9}  {name:8}{victim:3}{at_step:9}{took:18.1f} s  {codes}"


def start_all(args: argparse.Namespace, workdir: Path, count: int) -> list[subprocess.Popen]:
    """All processes of a run."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    more = [f"--coordinator=localhost:{port}", f"--num_processes={count}"]
    more += [f"--config.train.watchdog_minutes={args.watchdog_minutes}"]
    return [start(args, workdir, *more, f"--process_id={index}") for index in range(count)]


def finish(args: argparse.Namespace, workdir: Path, count: int) -> None:
    """Runs to the end."""
    processes = start_all(args, workdir, count)
    said = [process.communicate()[1] for process in processes]
    if any(process.returncode for process in processes):
        sys.exit(f"exit codes {[process.returncode for process in processes]}: {said}")


if __name__ == "__main__":
    main()
