"""The quickstart's entity F1 over seeds, as RESULTS.md has it: mean, spread and worst.

    python benchmarks/quickstart_seeds.py --output FOLDER [--seeds 0,1,2,3,4]

Each seed is a whole quickstart in a process of its own, below FOLDER; what is finished there is not
run again. CPU seconds count all threads, compilation and imports included.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
from pathlib import Path

from biobert_jax.quickstart.__main__ import tagged_documents, test_scores
from biobert_jax.quickstart.checks import tagging_faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--seeds", default="0,1,2,3,4", help="with commas (0,1,2,3,4)")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    print(
        "| seed | F1 | precision | recall | diseases | drugs | devel F1 | faults in notes | CPU s |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    scores = []
    for seed in map(int, args.seeds.split(",")):
        out = args.output / f"seed{seed}"
        cpu = run(out, seed)
        test = test_scores(out)
        types = test["by_type"]
        metrics = (out / "ner" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        devel = [m["eval_f1"] for m in map(json.loads, metrics) if "eval_f1" in m][-1]
        faults = tagging_faults(tagged_documents(out))
        figures = [test["f1"], test["precision"], test["recall"]]
        figures += [types["Disease"]["f1"], types["Drug"]["f1"], devel]
        cells = " | ".join(f"{figure:.3f}" for figure in figures)
        print(f"| {seed} | {cells} | {len(faults)} | {cpu:.0f} |", flush=True)
        for fault in faults:
            print(f"  {fault}", file=sys.stderr)
        scores.append(test["f1"])
    spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
    print(f"\nmean {statistics.mean(scores):.3f} ± {spread:.3f}, worst {min(scores):.3f}")
    return 0


def run(out: Path, seed: int) -> float:
    """Runs the quickstart, which may call its result poor; returns its CPU seconds."""
    command = [sys.executable, "-m", "biobert_jax.quickstart", "--output", str(out)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(f"{out}.log", "w", encoding="utf-8") as log:
        subprocess.run([*command, "--seed", str(seed)], stdout=log, stderr=log, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    sys.exit(main())
