"""Draws held-out masked LM loss and accuracy over steps: the plot of RESULTS.md.

python benchmarks/plot_pretraining.py runs/mini --output docs/pretrain_mini.png

`biobert report` draws these and all other curves, but as a page, which RESULTS.md cannot show.
"""

import argparse
from pathlib import Path

import matplotlib

from biobert_jax.report.runs import read_run

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402 - after the backend is chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("workdir", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    series = read_run(args.workdir).series
    held_out = series["heldout_mlm_accuracy"]
    figure, (loss, accuracy) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    loss.plot(*series["loss"], color="0.8", label="training")
    loss.plot(*series["heldout_mlm_loss"], "o-", ms=3, label="held out")
    loss.set(xlabel="step", ylabel="masked LM loss (nats a token)")
    loss.legend(frameon=False)
    accuracy.plot(held_out.steps, 100 * held_out.values, "o-", ms=3)
    accuracy.set(xlabel="step", ylabel="held-out masked accuracy (%)")
    for axis in (loss, accuracy):
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_ylim(bottom=0)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.output, dpi=130)


if __name__ == "__main__":
    main()
