"""Numbers on their way to a plot."""

import numpy as np
import pytest

from biobert_jax.report.series import linear_ticks, log_ticks, number, share, smooth, thin


def test_smoothing_passes_gaps_over_and_does_not_lag():
    assert np.allclose(smooth(np.full(50, 3.0)), 3)
    found = smooth(np.array([1.0, np.nan, 1.0, 5.0]), window=4)
    assert np.isnan(found).tolist() == [False, True, False, False]
    assert 1 < found[0] < found[2] < found[3] < 5
    slope = smooth(np.arange(1000.0))
    assert np.allclose(slope[300:700], np.arange(300, 700), atol=0.1)
    noise = np.random.default_rng(0).normal(size=2000)
    assert smooth(noise).std() < noise.std() / 3
    assert smooth(np.empty(0)).size == 0 and np.isnan(smooth(np.array([np.nan]))).all()


def test_thinning_keeps_spikes_ends_and_gaps():
    steps = np.arange(100_000)
    values = np.sin(steps / 1000)
    values[[12_345, 70_000]] = 50, -50
    values[43_210] = np.nan
    kept, thinned = thin(steps, values, buckets=100)
    assert len(kept) <= 302 and (np.diff(kept) > 0).all()
    assert {0, 12_345, 43_210, 70_000, 99_999} <= set(kept.tolist())
    assert np.array_equal(thinned, values[kept], equal_nan=True)
    assert thin(steps[:200], values[:200], buckets=100)[0].tolist() == list(range(200))
    nothing = np.full(1000, np.nan)
    assert np.isnan(thin(np.arange(1000), nothing, buckets=10)[1]).all()


@pytest.mark.parametrize(
    "low, high",
    [(0, 1), (2.31, 2.35), (0, 3e-4), (-1, 1), (5, 5), (0, 0), (1e-9, 1e9), (0.1, 0.3), (0, 7e5)],
)
def test_linear_ticks_enclose_the_values(low, high):
    ticks = linear_ticks(low, high)
    assert ticks[0] <= low and high <= ticks[-1]
    assert 2 <= len(ticks) <= 7 and (np.diff(ticks) > 0).all()
    assert len({number(tick) for tick in ticks}) == len(ticks)


@pytest.mark.parametrize(
    "low, high", [(0.5, 0.6), (1, 1.01), (1e-3, 7), (1e-30, 1e30), (3, 400), (1, 1000), (2, 5)]
)
def test_log_ticks_enclose_the_values(low, high):
    ticks = log_ticks(low, high)
    assert ticks[0] <= low * (1 + 1e-9) and high <= ticks[-1] * (1 + 1e-9)
    assert 2 <= len(ticks) <= 9 and (np.diff(ticks) > 0).all()


@pytest.mark.parametrize(
    "value, text",
    [
        (0, "0"), (0.45678, "0.4568"), (12.345, "12.35"), (1234.5, "1,234"), (9999.6, "10k"),
        (12_345, "12.35k"), (2.5e6, "2.5M"), (1e-4, "1e-4"), (-3.25e-5, "-3.25e-5"), (-2, "-2"),
    ],
)  # fmt: skip
def test_numbers_are_short(value, text):
    assert number(value) == text


def test_shares():
    assert share(0.45678) == "45.68%"
