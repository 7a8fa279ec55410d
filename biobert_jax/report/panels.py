"""Which curves a page has, in which order, and how each is drawn."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from biobert_jax.html_page import escape
from biobert_jax.report.charts import Line, chart
from biobert_jax.report.runs import Run
from biobert_jax.report.series import number, share, smooth


class Panel(NamedTuple):
    """One plot.

    Attributes:
      keys: metrics that are drawn where a run has them.
      compared: how many of `keys`, from the first, are drawn where several runs are.
      scale, from_zero: as `charts.chart` takes them.
      smooth: a bold moving average is drawn over the values.
      noted: what is named below beside the last value: "lowest", "highest", "median" or "".
    """

    title: str
    keys: tuple[str, ...]
    compared: int = 9
    scale: str = "linear"
    from_zero: bool = False
    smooth: bool = False
    noted: str = ""


LEARNING = (
    Panel("Training loss", ("loss",), smooth=True),
    Panel("Held-out loss", ("heldout_mlm_loss", "heldout_nsp_loss"), noted="lowest"),
    Panel(
        "Training accuracy",
        ("mlm_accuracy", "nsp_accuracy", "label_accuracy"),
        scale="share",
        smooth=True,
    ),
    Panel(
        "Held-out accuracy",
        ("heldout_mlm_accuracy", "heldout_nsp_accuracy"),
        scale="share",
        noted="highest",
    ),
    Panel(
        "Held-out entities",
        ("eval_f1", "eval_precision", "eval_recall"),
        compared=1,
        scale="share",
        noted="highest",
    ),
    Panel("Training loss by objective", ("mlm_loss", "nsp_loss"), smooth=True),
)
OPTIMIZER = (
    Panel("Learning rate", ("learning_rate",), from_zero=True),
    Panel("Gradient norm, before clipping", ("grad_norm",), scale="log", smooth=True),
    Panel("Skipped steps", ("skipped_steps", "skipped_in_a_row"), compared=1, from_zero=True),
)
SPEED = (
    Panel("Tokens a second", ("tokens_per_second",), from_zero=True, smooth=True, noted="median"),
    Panel(
        "Seconds a step",
        ("step_seconds_p50", "step_seconds_p90", "step_seconds_p99", "step_seconds_max"),
        compared=1,
        scale="log",
        smooth=True,
    ),
    Panel("Waiting for input", ("input_wait",), 1, "share", True, True, "median"),
    Panel("Model FLOPs utilisation", ("mfu",), 1, "share", True, True, "median"),
)
SECTIONS = (
    ("Learning", LEARNING, "Pale: as logged; bold: a moving average."),
    ("Optimizer", OPTIMIZER, "Updates that are not finite are skipped."),
    (
        "Speed",
        SPEED,
        "Tokens are real ones, without padding. Times are those of the "
        "first host; evaluation and saving are no part of a step.",
    ),
)
# Not drawn: time and checksums are no metrics, and a tagger logs its loss under two names.
_HIDDEN = {"time", "batch_crc", "label_loss"}
_LABELS = {
    "heldout_mlm_loss": "masked LM",
    "heldout_nsp_loss": "next sentence",
    "heldout_mlm_accuracy": "masked LM",
    "heldout_nsp_accuracy": "next sentence",
    "mlm_loss": "masked LM",
    "nsp_loss": "next sentence",
    "mlm_accuracy": "masked LM",
    "nsp_accuracy": "next sentence",
    "label_accuracy": "labels of words",
    "eval_f1": "F1",
    "eval_precision": "precision",
    "eval_recall": "recall",
    "skipped_steps": "all so far",
    "skipped_in_a_row": "in a row",
    "tokens_per_second": "tokens/s",
    "input_wait": "waiting",
    "mfu": "utilisation",
    "grad_norm": "norm",
    "learning_rate": "rate",
    "step_seconds_p50": "median",
    "step_seconds_p90": "p90",
    "step_seconds_p99": "p99",
    "step_seconds_max": "longest",
}


def sections(runs: Sequence[Run]) -> str:
    """All curves of some runs; with several, each run has its colour in every plot."""
    known = {key for _, panels, _ in SECTIONS for panel in panels for key in panel.keys}
    others = sorted({key for run in runs for key in run.series} - known - _HIDDEN)
    more = ("Other metrics", tuple(Panel(key, (key,)) for key in others), "")
    parts = []
    for heading, panels, note in (*SECTIONS, more):
        figures = [figure for panel in panels if (figure := _figure(panel, runs))]
        if figures:
            parts.append(
                f'<section>\n<h2>{heading}</h2>\n<p class="note">Over steps. {note}</p>\n'
                f'<div class="columns">\n{"".join(figures)}</div>\n</section>\n'
            )
    return "".join(parts)


def swatch(color: int, dash: int = 0) -> str:
    """A short piece of a curve, for a legend."""
    return (
        f'<svg viewBox="0 0 22 10" aria-hidden="true"><path class="line c{color} d{dash}" '
        'd="M1 5H21"/></svg>'
    )


def _figure(panel: Panel, runs: Sequence[Run]) -> str:
    several = len(runs) > 1
    keys = [key for key in panel.keys if any(key in run.series for run in runs)]
    if several:
        keys = [key for key in keys if key in panel.keys[: panel.compared]]
    # A single objective's loss is the loss.
    if not keys or (panel.keys[0] == "mlm_loss" and len(keys) < 2):
        return ""
    lines = []
    for which, run in enumerate(runs):
        for index, key in enumerate(keys):
            if key not in run.series:
                continue
            steps, values = run.series[key]
            name = _LABELS.get(key, key)
            label = run.name if several else name
            if several and len(keys) > 1:
                label = f"{run.name}, {name}"
            look = (which, index) if several else (index, 0)
            if panel.smooth and len(steps) > 2:
                raw, average = ("", label) if several else (label, f"{label}, smoothed")
                lines.append(Line(raw, steps, values, *look, faint=True))
                lines.append(Line(average, steps, smooth(values), *look))
            else:
                lines.append(Line(label, steps, values, *look))
    title, legend = panel.title, ""
    if several and panel.compared < len(panel.keys):
        title += f", {_LABELS.get(keys[0], keys[0])}"
    if len(keys) > 1:
        legend = "".join(
            f'<span class="key">{swatch(0, index) if several else swatch(index)}'
            f"{escape(_LABELS.get(key, key))}</span>"
            for index, key in enumerate(keys)
        )
    drawn = chart(lines, title=title, scale=panel.scale, from_zero=panel.from_zero)
    return (
        f'<figure class="card"><h3>{escape(title)}<span class="keys">{legend}</span></h3>\n'
        f"{drawn}\n<figcaption>{_caption(panel, keys, runs)}</figcaption></figure>\n"
    )


def _caption(panel: Panel, keys: Sequence[str], runs: Sequence[Run]) -> str:
    """Last and best of a single run's first curve; how many values could not be drawn."""
    parts = []
    shown = share if panel.scale == "share" else number
    all_values = [run.series[key].values for run in runs for key in keys if key in run.series]
    steps, values = next(run.series[keys[0]] for run in runs if keys[0] in run.series)
    if len(runs) == 1 and np.isfinite(values).any():
        finite = np.flatnonzero(np.isfinite(values))
        parts.append(f"last {shown(values[finite[-1]])} at step {steps[finite[-1]]:,}")
        if panel.noted in ("lowest", "highest"):
            best = np.nanargmin(values) if panel.noted == "lowest" else np.nanargmax(values)
            parts.append(f"{panel.noted} {shown(values[best])} at step {steps[best]:,}")
        elif panel.noted:
            parts.append(f"median {shown(float(np.median(values[finite])))}")
    if missing := sum(int(np.isnan(values).sum()) for values in all_values):
        parts.append(f"{missing:,} {'value is' if missing == 1 else 'values are'} not finite")
    return " · ".join(parts)
