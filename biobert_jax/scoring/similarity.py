"""How predicted numbers go with annotated ones: Pearson's and Spearman's correlation."""

from collections.abc import Sequence

import numpy as np

from biobert_jax.errors import UserError

# Scores that are no shares of anything, and are printed as they are, not in percent.
NO_SHARES = ("pearson", "spearman", "rmse")


def score(gold: Sequence[float], predicted: Sequence[float]) -> dict[str, float]:
    """pearson, spearman and rmse; as scipy's `pearsonr` and `spearmanr`.

    A correlation with numbers that are all the same is 0.

    Raises:
      UserError: numbers of pairs differ, or there are fewer than two; a number is not finite.
    """
    if len(gold) != len(predicted):
        raise UserError(f"{len(gold)} values but {len(predicted)} predictions")
    if len(gold) < 2:
        raise UserError(f"{len(gold)} pair(s): a correlation needs two or more")
    x, y = np.asarray(gold, np.float64), np.asarray(predicted, np.float64)
    for name, values in (("value", x), ("prediction", y)):
        if not np.isfinite(values).all():
            place = int(np.flatnonzero(~np.isfinite(values))[0])
            raise UserError(f"{name} {place + 1} is {values[place]}: numbers are needed")
    return {
        "pearson": pearson(x, y),
        "spearman": pearson(ranks(x), ranks(y)),
        "rmse": float(np.sqrt(np.mean((x - y) ** 2))),
    }


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    """Of float64 [N] each, N at least 2; 0 where one does not vary."""
    x, y = x - x.mean(), y - y.mean()
    # Scaled first, so that squares neither overflow nor vanish.
    sizes = [np.abs(v).max() for v in (x, y)]
    if not all(sizes):
        return 0.0
    x, y = x / sizes[0], y / sizes[1]
    return float(np.clip((x @ y) / np.sqrt((x @ x) * (y @ y)), -1, 1))


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1 on, float64 [N]; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]
