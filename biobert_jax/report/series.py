"""Numbers on their way to a plot: smoothed, thinned, with round ticks and short labels."""

import math
from itertools import accumulate

import numpy as np

# A run's curve is drawn from at most twice as many points.
MAX_BUCKETS = 200


def smooth(values: np.ndarray, window: float | None = None) -> np.ndarray:
    """Moving average [N], weights falling exponentially to both sides, so that it lags by nothing.

    NaNs stay and weigh nothing.

    Args:
      values: [N].
      window: over so many values the weight falls to 1/e; None: a hundredth of all, at least 1.
    """
    decay = math.exp(-1 / (window or max(len(values) / 100, 1)))
    known = ~np.isnan(values)
    totals, weights = np.where(known, values, 0.0), known.astype(np.float64)

    def both_sides(x):
        return _decaying_sum(x, decay) + _decaying_sum(x[::-1], decay)[::-1] - x

    with np.errstate(invalid="ignore"):
        return np.where(known, both_sides(totals) / both_sides(weights), np.nan)


def _decaying_sum(x: np.ndarray, decay: float) -> np.ndarray:
    return np.array(list(accumulate(x.tolist(), lambda total, value: decay * total + value)))


def thin(
    steps: np.ndarray, values: np.ndarray, buckets: int = MAX_BUCKETS
) -> tuple[np.ndarray, np.ndarray]:
    """Leaves of each of `buckets` stretches the lowest and the highest point, so spikes stay.

    The first and last points stay, and a NaN of each stretch that has any: a gap can be seen.
    """
    if len(steps) <= 2 * buckets:
        return steps, values
    kept = {0, len(steps) - 1}
    for part in np.array_split(np.arange(len(steps)), buckets):
        missing = np.isnan(values[part])
        kept.update(part[missing][:1].tolist())
        if not missing.all():
            kept.add(int(part[np.nanargmin(values[part])]))
            kept.add(int(part[np.nanargmax(values[part])]))
    chosen = sorted(kept)
    return steps[chosen], values[chosen]


def linear_ticks(low: float, high: float) -> list[float]:
    """Two to seven round numbers; the first at most `low`, the last at least `high`."""
    if not high > low:
        margin = abs(low) / 10 or 0.5
        low, high = low - margin, high + margin
    power = 10.0 ** math.floor(math.log10((high - low) / 5))
    step = next(f * power for f in (1, 2, 5, 10) if 5 * f * power >= (high - low) * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    # 12 digits: 3 * 0.1 is 0.3.
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten, or 1, 2 and 5 times these, around positive `low` and `high`."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    factors = (1,) if last - first > 3 else (1, 2, 5)
    ticks = [float(f"{f}e{power}") for power in range(first, last + 1) for f in factors]
    below = [tick for tick in ticks if tick <= low][-1:]
    above = [tick for tick in ticks if tick >= high][:1]
    ticks = [*below, *(tick for tick in ticks if low < tick < high), *above]
    # Of many powers every second, third, … is drawn; the ends are.
    stride = -(-len(ticks) // 7)
    return sorted({*ticks[::stride], ticks[-1]})


def number(value: float) -> str:
    """Four digits: 0.4567, 12.34, 1,235, 12.35k, 1.235M, 3e-4."""
    size = abs(value)
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size >= max(unit, 9999.5):
            return f"{value / unit:.4g}{name}"
    if size >= 1000:
        return f"{value:,.0f}"
    if 0 < size < 1e-3:
        digits, power = f"{value:.3e}".split("e")
        return f"{float(digits):g}e{int(power)}"
    return f"{value:.4g}"


def share(value: float) -> str:
    """A percentage: 0.4567 is 45.67%."""
    return f"{100 * value:,.2f}%"


def short_share(value: float) -> str:
    """A percentage for an axis: 0.25 is 25%."""
    return f"{100 * value:.4g}%"
