"""Whether probabilities mean what they say: expected calibration error (Guo et al. 2017)."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def expected_calibration_error(
    probabilities: Sequence[float], correct: Sequence[bool], bins: int = 10
) -> float:
    """Mean gap between probability and accuracy over bins of equal width, weighted by counts.

    Args:
      probabilities: [N] in [0, 1].
      correct: [N], whether what was given that probability is right.
    """
    table = reliability(probabilities, correct, bins)
    total = sum(row["count"] for row in table)
    gaps = sum(row["count"] * abs(row["probability"] - row["accuracy"]) for row in table)
    return gaps / total if total else 0.0


def reliability(
    probabilities: Sequence[float], correct: Sequence[bool], bins: int = 10
) -> list[dict[str, Any]]:
    """Of each bin from 0 to 1: count, mean probability and accuracy (0 where it is empty)."""
    p, right = np.asarray(probabilities, np.float64), np.asarray(correct, bool)
    places = np.minimum((p * bins).astype(np.int64), bins - 1)
    counts = np.bincount(places, minlength=bins)
    sums = np.bincount(places, p, minlength=bins), np.bincount(places, right, minlength=bins)
    means = [np.divide(s, counts, out=np.zeros(bins), where=counts > 0) for s in sums]
    return [
        {"probability": float(q), "accuracy": float(a), "count": int(n)}
        for q, a, n in zip(*means, counts, strict=True)
    ]
