"""Draws held-out masked LM loss and accuracy over steps: the plots of RESULTS.md.

    python benchmarks/plot_pretraining.py runs/mini --output docs/pretrain_mini.png
    python benchmarks/plot_pretraining.py runs/a runs/b --output docs/compared.png

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
    parser.add_argument("workdirs", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    figure, (loss, accuracy) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    single = len(args.workdirs) == 1
    for workdir in args.workdirs:
        series = read_run(workdir).series
        held_out, share = series["heldout_mlm_loss"], series["heldout_mlm_accuracy"]
        if single:
            loss.plot(*series["loss"], color="0.8", label="training")
        # A run's first evaluation, before any training, would hide how the others differ.
        first = 0 if single else 1
        label = "held out" if single else workdir.name
        loss.plot(held_out.steps[first:], held_out.values[first:], "o-", ms=3, label=label)
        accuracy.plot(share.steps[first:], 100 * share.values[first:], "o-", ms=3)
    loss.set(xlabel="step", ylabel="masked LM loss (nats a token)")
    loss.legend(frameon=False)
    accuracy.set(xlabel="step", ylabel="held-out masked accuracy (%)")
    for axis in (loss, accuracy):
        axis.spines[["top", "right"]].set_visible(False)
        if single:
            axis.set_ylim(bottom=0)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(args.output, dpi=130)


if __name__ == "__main__":
    main()
