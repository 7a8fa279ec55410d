"""Intervals that hold what they should, tests that find what is there and nothing else."""

import numpy as np
import pytest

from biobert_jax.errors import UserError
from biobert_jax.scoring.calibration import expected_calibration_error, reliability
from biobert_jax.scoring.significance import Units, intervals, paired


def mean_of(values):
    return Units(np.array(values, np.float64)[:, None], lambda rows: {"mean": float(rows.mean())})


def test_an_interval_is_about_that_of_theory_and_repeats():
    values = np.random.default_rng(0).random(400) < 0.3
    low, high = intervals(mean_of(values))["mean"]
    spread = 1.96 * np.sqrt(values.mean() * (1 - values.mean()) / 400)
    assert low == pytest.approx(values.mean() - spread, abs=0.01)
    assert high == pytest.approx(values.mean() + spread, abs=0.01)
    assert intervals(mean_of(values))["mean"] == (low, high)


def test_a_difference_is_found_and_none_is_not():
    draw = np.random.default_rng(1)
    one = draw.random(300) < 0.6
    better = one | (draw.random(300) < 0.2)
    found = paired(mean_of(better), mean_of(one))["mean"]
    assert found["difference"] > 0 and found["p"] < 0.01
    same = paired(mean_of(one), mean_of(one))["mean"]
    assert same == {"difference": 0, "p": 1}
    shuffled = draw.permutation(one)
    assert paired(mean_of(shuffled), mean_of(one))["mean"]["p"] == 1


def test_chance_differences_are_rarely_significant():
    draw = np.random.default_rng(2)
    found = []
    for _ in range(60):
        one, other = draw.random((2, 80)) < 0.5
        found.append(paired(mean_of(one), mean_of(other), samples=200)["mean"]["p"] < 0.05)
    assert sum(found) <= 9


def test_other_numbers_of_units_are_refused():
    with pytest.raises(UserError, match="2 units against 3"):
        paired(mean_of([1, 0]), mean_of([1, 0, 1]))


def test_calibration_error():
    assert expected_calibration_error([0.95, 0.95, 0.85, 0.85], [1, 1, 1, 0]) == pytest.approx(0.2)
    table = reliability([1.0, 0.0, 0.05], [True, False, True])
    assert [row["count"] for row in table] == [2, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert table[0]["accuracy"] == 0.5 and table[9]["probability"] == 1
    assert expected_calibration_error([], []) == 0
