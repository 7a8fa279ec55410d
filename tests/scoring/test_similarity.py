"""Correlations against scipy."""

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from biobert_jax.errors import UserError
from biobert_jax.scoring import similarity

NUMBERS = st.one_of(st.floats(-1e6, 1e6, allow_subnormal=False), st.integers(0, 4).map(float))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2))
def test_they_are_scipys(pairs):
    gold, predicted = zip(*pairs, strict=True)
    spread = [max(side) - min(side) > 1e-3 for side in (gold, predicted)]
    assume(all(spread))
    found = similarity.score(gold, predicted)
    assert found["pearson"] == pytest.approx(stats.pearsonr(gold, predicted)[0], abs=1e-6)
    assert found["spearman"] == pytest.approx(stats.spearmanr(gold, predicted)[0], abs=1e-9)


def test_what_does_not_vary_correlates_with_nothing():
    assert similarity.score([1, 1], [1, 2])["pearson"] == 0


@pytest.mark.parametrize(
    ("gold", "predicted", "words"),
    [
        ([1], [1], "two or more"),
        ([1, 2], [1], "2 values but 1"),
        ([1, 2], [1, math.nan], "prediction 2 is nan"),
    ],
)
def test_what_cannot_be_scored(gold, predicted, words):
    with pytest.raises(UserError, match=words):
        similarity.score(gold, predicted)
