"""Histograms as inline SVG, drawn by hand: the report needs neither matplotlib nor JavaScript."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from biobert_jax.corpus.dataset.statistics import EDGES

# In the drawing's own units, which a page scales to its columns.
WIDTH, HEIGHT = 400, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 12, 40
_WIDEST_BAR = 60
# What a digit takes, and the space between two labels.
_DIGIT, _GAP = 6.2, 8


# [first, last, count], rising, from the edges of `statistics.EDGES`; only the highest may have no
# last.
Buckets = Sequence[Sequence[int | None]]


def histogram_svg(buckets: Buckets, *, x_label: str, y_label: str) -> str:
    """A bar for every bucket, all of one width.

    Args:
      buckets: what is drawn.
      x_label: what is measured, with its unit.
      y_label: what is counted.
    """
    spans, counts = bars(buckets)
    total = sum(counts)

    width = min((WIDTH - _LEFT - _RIGHT) / len(spans), _WIDEST_BAR)
    bottom = HEIGHT - _BOTTOM
    ticks = nice_ticks(max(counts))
    scale = (bottom - _TOP) / ticks[-1]
    parts = []
    for tick in ticks:
        y = bottom - tick * scale
        parts.append(
            f'<path class="grid" d="M{_LEFT} {y:.1f}H{WIDTH - _RIGHT}"/>'
            f'<text x="{_LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{short(tick)}</text>'
        )
    for place, ((start, last), count) in enumerate(zip(spans, counts, strict=True)):
        if not count:
            continue
        height = max(count * scale, 1)  # Rare ones can be seen too.
        end = " or more" if last is None else f"–{last:,}"
        numbers = f"{start:,}{'' if start == last else end}"
        parts.append(
            f'<rect x="{_LEFT + place * width + 0.5:.1f}" y="{bottom - height:.1f}" '
            f'width="{width - 1:.1f}" height="{height:.1f}">'
            f"<title>{numbers} {x_label}: {count:,} {y_label} ({count / total:.2%})</title></rect>"
        )
    parts.append(f'<path class="axis" d="M{_LEFT} {bottom}H{WIDTH - _RIGHT}"/>')
    for place, label, is_edge in _x_labels(spans, width):
        x = _LEFT + place
        mark = f'<path class="axis" d="M{x:.1f} {bottom}v4"/>' if is_edge else ""
        parts.append(
            f'{mark}<text x="{x:.1f}" y="{bottom + 15}" text-anchor="middle">{label}</text>'
        )
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    parts.append(
        f'<text class="name" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{x_label}</text>'
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="Histogram of {x_label}, in {y_label}">{"".join(parts)}</svg>'
    )


def bars(buckets: Buckets) -> tuple[list[tuple[int, int | None]], list[int]]:
    """The bars of a plot: their first and last numbers, and counts; those between that are 0, too.

    Numbers on either side of 16 are put into half doublings: buckets of one number beside wider
    ones would draw a step that is not in the data.
    """
    edges = EDGES.tolist()
    if buckets[0][0] < 16 < buckets[-1][0]:
        halves = {round(2 ** (power / 2)) for power in range(2 * edges[-1].bit_length())}
        edges = [edge for edge in edges if edge in halves or not edge]
    first = bisect_right(edges, buckets[0][0]) - 1
    final = bisect_right(edges, buckets[-1][0]) - 1
    counts = [0] * (final - first + 1)
    for start, _, count in buckets:
        counts[bisect_right(edges, start) - 1 - first] += count
    spans = [(edges[place], edges[place + 1] - 1) for place in range(first, final)]
    # The last bucket may be cut short by a limit, or open.
    return [*spans, (edges[final], buckets[-1][1])], counts


def _x_labels(
    spans: Sequence[tuple[int, int | None]], width: float
) -> list[tuple[float, str, bool]]:
    """Places, numbers and whether they stand at an edge; otherwise in the middle of their bar.

    Where every bar is one number, it stands below it. Of others the start stands at their edge:
    all where there are few, else the powers of two.
    """
    num_wide = sum(last != start for start, last in spans)
    candidates = []
    for place, (start, last) in enumerate(spans):
        if last == start and (not num_wide or place == len(spans) - 1):
            candidates.append(((place + 0.5) * width, start, False))
        elif num_wide <= 8 or start & (start - 1) == 0:
            candidates.append((place * width, start, True))
    if spans[-1][1] not in (None, spans[-1][0]):
        end = spans[-1][1] + 1
        if num_wide <= 8 or end & (end - 1) == 0:
            candidates.append((len(spans) * width, end, True))
    for stride in range(1, len(candidates) + 1):
        # The last is among them, whatever the stride.
        chosen = candidates[(len(candidates) - 1) % stride :: stride]
        labels = [(place, f"{number:,}", is_edge) for place, number, is_edge in chosen]
        ends = [(place, len(text) * _DIGIT / 2) for place, text, _ in labels]
        if all(b - a >= left + right + _GAP for (a, left), (b, right) in pairwise(ends)):
            break
    return labels


def nice_ticks(highest: int) -> list[int]:
    """0 and at most five round numbers above it, the last at `highest` or beyond."""
    steps = (factor * 10**power for power in range(19) for factor in (1, 2, 5))
    step = next(step for step in steps if 5 * step >= highest)
    return list(range(0, -(-highest // step) * step + 1, step))


def short(number: int) -> str:
    """A number for an axis: 950, 1,200, 15k, 2.5M."""
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= max(size, 10_000):
            return f"{number / size:.4g}{unit}"
    return f"{number:,}"


def quantile(buckets: Buckets, share: float) -> int:
    """The number that `share` of all numbers do not exceed, about: even within a bucket.

    In a bucket without an end, its start.
    """
    wanted = share * sum(count for _, _, count in buckets)
    seen = 0
    for first, last, count in buckets:
        width = 0 if last is None else last - first
        if seen + count >= wanted:
            return round(first + width * (wanted - seen) / count)
        seen += count
    return first + width
