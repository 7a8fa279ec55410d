"""Preparation killed at random moments and rerun, against one that was left alone.

    python benchmarks/prepare_kills.py --input 'FOLDER/*.jsonl.gz' --format jsonl --vocab VOCAB \
        --scratch EMPTY_FOLDER [--kills 20] [--seed 0]

The undisturbed run is timed. The other is killed by SIGKILL so many times at moments drawn at
random, and started again each time; before each start every temporary file that was left is
overwritten with rubbish, so that a run that read one would show. Whenever one comes to its end,
every file of both folders is compared, byte for byte; if kills are left, it begins anew.
"""

import argparse
import hashlib
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file by its path in the folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def main() -> None:
    """Runs, kills and compares."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--input", required=True)
    parser.add_argument("--format", required=True)
    parser.add_argument("--vocab", required=True)
    parser.add_argument("--scratch", required=True, type=Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    # The report's title is the folder's name.
    undisturbed_folder = args.scratch / "undisturbed" / "data"
    killed_folder = args.scratch / "killed" / "data"

    def start(output: Path) -> subprocess.Popen:
        command = [sys.executable, "-m", "biobert_jax", "prepare", "--input", args.input]
        command += ["--format", args.format, "--vocab", args.vocab, "--output", str(output)]
        command += ["--workers", str(args.workers)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    began = time.monotonic()
    undisturbed = start(undisturbed_folder)
    summary, errors = undisturbed.communicate()
    seconds = time.monotonic() - began
    if undisturbed.returncode:
        sys.exit(f"the undisturbed run failed: {errors}")
    print(f"undisturbed: {seconds:.1f} s\n{errors}{summary}", flush=True)

    expected = hashes(undisturbed_folder)
    kills = rubbish = rounds = 0
    while True:
        process = start(killed_folder)
        # So that all kills together fall on about one run.
        pause = rng.uniform(0, 2 * seconds / args.kills) if kills < args.kills else None
        try:
            process.wait(pause)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills += 1
            time.sleep(0.5)  # the workers notice
            temporary = list(killed_folder.rglob("*.tmp"))
            for path in temporary:
                path.write_bytes(b"rubbish" * 100)
            rubbish += len(temporary)
            print(f"kill {kills} after {pause:.1f} s: {len(temporary)} temporary files", flush=True)
            continue
        rounds += 1
        if process.returncode or hashes(killed_folder) != expected:
            sys.exit(f"DIFFERS after {kills} kills (exit code {process.returncode})")
        print(f"ended after kill {kills}: all files byte-identical", flush=True)
        if kills == args.kills:
            break
        shutil.rmtree(killed_folder)
    print(
        f"{kills} kills in {rounds} run(s), {rubbish} temporary files spoilt: every end "
        f"byte-identical to the undisturbed run, {len(expected)} files"
    )


if __name__ == "__main__":
    main()
