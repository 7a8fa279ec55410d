"""Draws held-out masked LM loss and accuracy over steps: the plot of RESULTS.md.

python benchmarks/plot_pretraining.py runs/mini --output docs/pretrain_mini.png
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 - after the backend is chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    lines = (args.workdir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    metrics = [json.loads(line) for line in lines]
    held_out = [m for m in metrics if "heldout_mlm_loss" in m]
    steps = [m["step"] for m in held_out]
    figure, (loss, accuracy) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    train = [m for m in metrics if "loss" in m]
    loss.plot([m["step"] for m in train], [m["loss"] for m in train], color="0.8", label="training")
    loss.plot(steps, [m["heldout_mlm_loss"] for m in held_out], "o-", ms=3, label="held out")
    loss.set(xlabel="step", ylabel="masked LM loss (nats a token)")
    loss.legend(frameon=False)
    accuracy.plot(steps, [100 * m["heldout_mlm_accuracy"] for m in held_out], "o-", ms=3)
    accuracy.set(xlabel="step", ylabel="held-out masked accuracy (%)")
    for axis in (loss, accuracy):
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_ylim(bottom=0)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.output, dpi=130)


if __name__ == "__main__":
    main()
