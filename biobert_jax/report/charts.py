"""Curves as inline SVG, drawn by hand, with the numbers that a reader's pointer asks for."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from biobert_jax.html_page import escape
from biobert_jax.report.series import linear_ticks, log_ticks, number, short_share, thin
from biobert_jax.report.style import COLORS

# In the drawing's own units, which a page scales to its columns.
WIDTH, HEIGHT = 400, 200
LEFT, RIGHT, TOP, BOTTOM = 50, 18, 10, 26
_CHARACTER = 6.2  # of a tick's label


@dataclass(frozen=True)
class Line:
    """A curve.

    Attributes:
      label: what the read-out calls it; "" leaves it out there.
      steps, values: [N]; NaN is a gap.
      color: 0 to `style.COLORS` - 1.
      dash: 0 is a full line; 1, 2, 3 are dashed.
      faint: drawn thin and pale, behind the others.
    """

    label: str
    steps: np.ndarray
    values: np.ndarray
    color: int = 0
    dash: int = 0
    faint: bool = False


def chart(
    lines: Sequence[Line], *, title: str, scale: str = "linear", from_zero: bool = False
) -> str:
    """An SVG and the data for its read-out; a note where nothing can be drawn.

    Args:
      lines: of at least one point.
      title: for readers who do not see it.
      scale: "linear", "share" (linear, labelled in percent) or "log" (leaves out what is not
        positive).
      from_zero: the axis starts at 0, whatever the values.
    """
    is_log = scale == "log"
    lines = [_drawable(line, is_log) for line in lines]
    everything = np.concatenate([line.values for line in lines])
    everything = everything[np.isfinite(everything)]
    if not everything.size:
        return '<p class="none">No value is finite.</p>'
    low, high = float(everything.min()), float(everything.max())
    if from_zero:
        low = min(low, 0.0)
    if is_log:
        ticks = log_ticks(low, high if high > low else low * 1.01)
    else:
        ticks = linear_ticks(low, high)
        # An even curve is drawn in the middle, but not below what cannot be.
        if low >= 0 > ticks[0]:
            ticks = [tick for tick in ticks if tick >= 0]
    steps = np.concatenate([line.steps for line in lines])
    first, last = int(steps.min()), int(steps.max())
    # Plots of one run start alike, whatever is logged from when on.
    first = 0 if 10 * first <= last else first
    last = max(last, first + 1)

    def place(value: float) -> float:
        return math.log10(value) if is_log else value

    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    across = (right - LEFT) / (last - first)
    up = (bottom - TOP) / (place(ticks[-1]) - place(ticks[0]))

    def x_of(step: float) -> float:
        return LEFT + (step - first) * across

    def y_of(value: float) -> float:
        return bottom - (place(value) - place(ticks[0])) * up

    label = short_share if scale == "share" else number
    parts = []
    for tick in ticks:
        y = y_of(tick)
        parts.append(
            f'<path class="grid" d="M{LEFT} {y:.1f}H{right}"/>'
            f'<text x="{LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{label(tick)}</text>'
        )
    parts.append(f'<path class="axis" d="M{LEFT} {bottom}H{right}"/>')
    for step in _step_ticks(first, last, across):
        parts.append(
            f'<path class="axis" d="M{x_of(step):.1f} {bottom}v4"/>'
            f'<text x="{x_of(step):.1f}" y="{bottom + 15}" text-anchor="middle">'
            f"{number(step)}</text>"
        )
    # The first is on top, and the faint ones below all.
    for line in sorted(reversed(lines), key=lambda line: not line.faint):
        classes = f"line c{line.color} d{line.dash}{' faint' if line.faint else ''}"
        parts.append(f'<path class="{classes}" d="{_path(line, x_of, y_of)}"/>')
    data = {
        "x": [first, last],
        "y": [place(ticks[0]), place(ticks[-1])],
        "scale": scale,
        "lines": [
            {"label": line.label, "color": line.color, "steps": line.steps.tolist()}
            | {"values": [_short(value) for value in line.values.tolist()]}
            for line in lines
            if line.label
        ],
    }
    # In a script element only "<" could end it.
    content = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)} over steps">'
        f'{"".join(parts)}<g class="cursor"></g></svg>'
        f'<script type="application/json">{content}</script>'
    )


def _drawable(line: Line, is_log: bool) -> Line:
    values = np.where(line.values > 0, line.values, np.nan) if is_log else line.values
    steps, values = thin(line.steps, values)
    return Line(line.label, steps, values, line.color % COLORS, line.dash, line.faint)


def _path(line: Line, x_of: Callable[[float], float], y_of: Callable[[float], float]) -> str:
    """The curve; a point without neighbours is drawn as a dot, by the round end of a line."""
    parts, joined = [], False
    points = list(zip(line.steps.tolist(), line.values.tolist(), strict=True))
    for index, (step, value) in enumerate(points):
        if math.isnan(value):
            joined = False
            continue
        parts.append(f"{'L' if joined else 'M'}{x_of(step):.1f} {y_of(value):.1f}")
        follows = index + 1 < len(points) and not math.isnan(points[index + 1][1])
        if not joined and not follows:
            parts.append("h.01")
        joined = True
    return "".join(parts)


def _short(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.5g}")


def _step_ticks(first: int, last: int, across: float) -> list[int]:
    """Whole round steps whose labels do not meet."""
    ticks = [int(t) for t in linear_ticks(first, last) if t == int(t) and first <= t <= last]
    widest = max((len(number(tick)) for tick in ticks), default=1) * _CHARACTER + 8
    spaced = [ticks[0]] if ticks else [first]
    for tick in ticks[1:]:
        if (tick - spaced[-1]) * across >= widest:
            spaced.append(tick)
    return spaced
