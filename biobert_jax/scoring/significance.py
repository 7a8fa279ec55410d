"""How sure a score is: bootstrap intervals, and a paired test of two programs on the same units.

A unit is what is drawn again: a sentence, an example, a question. Efron and Tibshirani 1993,
chapter 13 (percentile intervals); Yeh 2000 (approximate randomisation).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from biobert_jax.errors import UserError

SAMPLES, LEVEL = 1_000, 0.95


@dataclass(frozen=True)
class Units:
    """What a score is computed of.

    Attributes:
      rows: float64 [U, C], counts or values of each unit.
      measure: rows to scores.
    """

    rows: np.ndarray
    measure: Callable[[np.ndarray], Mapping[str, float]]


def intervals(units: Units, *, samples: int = SAMPLES, level: float = LEVEL, seed: int = 0):
    """Bootstrap interval of each score, {name: (low, high)}; the same for the same seed."""
    draw = np.random.default_rng(seed)
    count = len(units.rows)
    found: dict[str, list[float]] = {}
    for _ in range(samples if count else 0):
        for name, value in units.measure(units.rows[draw.integers(0, count, count)]).items():
            found.setdefault(name, []).append(value)
    edges = (50 * (1 - level), 50 * (1 + level))
    return {name: tuple(map(float, np.percentile(v, edges))) for name, v in found.items()}


def paired(one: Units, other: Units, *, samples: int = SAMPLES, seed: int = 0):
    """{name: {"difference", "p"}} of one less the other, two-sided.

    Of each unit the two programs' rows are exchanged or not, at random: p is how often that makes
    a difference at least as large.

    Raises:
      UserError: they are of different numbers of units.
    """
    if one.rows.shape != other.rows.shape:
        raise UserError(f"{len(one.rows)} units against {len(other.rows)}: give the same ones")
    draw = np.random.default_rng(seed)
    observed = _difference(one, one.rows, other.rows)
    larger = dict.fromkeys(observed, 0)
    for _ in range(samples):
        swap = draw.random(len(one.rows)) < 0.5
        first = np.where(swap[:, None], other.rows, one.rows)
        second = np.where(swap[:, None], one.rows, other.rows)
        for name, value in _difference(one, first, second).items():
            larger[name] += abs(value) >= abs(observed[name]) - 1e-12
    return {
        name: {"difference": value, "p": (larger[name] + 1) / (samples + 1)}
        for name, value in observed.items()
    }


def _difference(units: Units, first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    one, other = units.measure(first), units.measure(second)
    return {name: one[name] - other[name] for name in one}
