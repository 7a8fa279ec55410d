"""Peak memory and speed of `biobert prepare` on a corpus and on the same corpus many times over.

    python benchmarks/prepare_memory.py --input 'pmc_paragraphs-*.txt.gz' --format text \
        --vocab VOCAB --scratch EMPTY_FOLDER [--times 20] [--workers 2] [--one_worker 2]

Memory is the resident set of the process and all its children, added up (shared pages count once
a process), looked at 20 times a second. Duplicates are kept, so that the large run does all the
work; of PubMed and PMC the copies would count as versions of one article, so they are not for this.
--one_worker N runs N times the corpus with one worker and with several in turn, three times, for
the ratio of speeds.
"""

import argparse
import glob
import os
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


def tree_memory(root: int) -> int:
    """Resident bytes of a process and its descendants."""
    parents, resident = {}, {}
    for stat in glob.glob("/proc/[0-9]*/stat"):
        try:
            content = Path(stat).read_text()
        except OSError:  # it has ended since
            continue
        fields = content.rsplit(")", 1)[1].split()
        pid = int(content.split()[0])
        parents[pid], resident[pid] = int(fields[1]), int(fields[21]) * PAGE

    def belongs(pid: int) -> bool:
        while pid in parents and pid != root:
            pid = parents[pid]
        return pid == root

    return sum(size for pid, size in resident.items() if belongs(pid))


def main() -> None:
    """Runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--input", required=True)
    parser.add_argument("--format", required=True, choices=("text", "jsonl"))
    parser.add_argument("--vocab", required=True)
    parser.add_argument("--scratch", required=True, type=Path)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--one_worker", type=int, default=0, metavar="N")
    args = parser.parse_args()
    files = sorted(glob.glob(args.input))

    def run(times: int, workers: int) -> tuple[float, float]:
        """Seconds and peak MB."""
        folder = args.scratch / f"{times}x"
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "in").mkdir(parents=True)
        for copy in range(times):
            for file in files:
                os.symlink(os.path.abspath(file), folder / "in" / f"{copy:03d}-{Path(file).name}")
        command = [sys.executable, "-m", "biobert_jax", "prepare", "--input", f"{folder}/in/*"]
        command += ["--format", args.format, "--vocab", args.vocab, "--output", f"{folder}/out"]
        command += ["--workers", str(workers), "--duplicates", "keep"]
        began, peak = time.monotonic(), 0
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            peak = max(peak, tree_memory(process.pid))
            time.sleep(0.05)
        if process.returncode:
            sys.exit(f"prepare failed with code {process.returncode}")
        seconds = time.monotonic() - began
        shutil.rmtree(folder)
        return seconds, peak / 1e6

    size = sum(map(os.path.getsize, files)) / 1e6
    once = run(1, args.workers)
    many = run(args.times, args.workers)
    print(
        f"{len(files)} files of {size:.1f} MB, {args.workers} workers: peak {once[1]:.0f} MB in "
        f"{once[0]:.1f} s; {args.times} times that: peak {many[1]:.0f} MB in {many[0]:.1f} s "
        f"(memory ratio {many[1] / once[1]:.3f})",
        flush=True,
    )
    if args.one_worker:
        times = args.one_worker
        pairs = [(run(times, 1)[0], run(times, args.workers)[0]) for _ in range(3)]
        ratios = [one / several for one, several in pairs]
        print(
            f"{times} times the corpus, seconds with 1 and {args.workers} workers: "
            + ", ".join(f"{a:.1f} and {b:.1f}" for a, b in pairs)
            + f"; ratio {statistics.median(ratios):.2f} (median of 3)"
        )


if __name__ == "__main__":
    main()
