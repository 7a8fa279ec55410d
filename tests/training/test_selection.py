"""The best of the evaluations, as a function of them alone."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biobert_jax.errors import UserError
from biobert_jax.training.selection import Selection

SCORES = st.lists(st.one_of(st.just(math.nan), st.floats(0, 1)), max_size=12)


@given(SCORES, st.integers(0, 4))
def test_the_first_best_is_chosen_and_going_on_changes_nothing(scores, patience):
    evaluations = [(step, {"eval_f1": value}) for step, value in enumerate(scores, start=1)]
    whole = Selection("eval_f1", patience)
    looked = [whole.look(*evaluation) for evaluation in evaluations]
    finite = [value for value in scores if math.isfinite(value)]
    if finite:
        assert whole.best_value == max(finite)
        assert whole.best_step == scores.index(max(finite)) + 1
        assert whole.best_step == max(i for i, best in enumerate(looked, 1) if best)
    else:
        assert whole.best_step is None and not any(looked)
    for cut in range(len(evaluations) + 1):
        resumed = Selection("eval_f1", patience, evaluations[:cut])
        for evaluation in evaluations[cut:]:
            resumed.look(*evaluation)
        assert (resumed.best_step, resumed.is_over) == (whole.best_step, whole.is_over)


def test_patience_counts_from_the_best_and_the_start_is_not_chosen():
    selection = Selection("eval_f1", patience=2)
    assert not selection.look(0, {"eval_f1": 0.9})
    assert selection.look(10, {"eval_f1": 0.5})
    assert not selection.look(20, {"eval_f1": 0.5}) and not selection.is_over
    assert selection.look(30, {"eval_f1": 0.6})
    selection.look(40, {"eval_f1": 0.1})
    assert not selection.is_over
    selection.look(50, {"eval_f1": None})
    assert selection.is_over
    assert selection.summary() == (
        "best f1 0.6000 at step 30, none better in 2 evaluations: stopped"
    )


def test_of_errors_less_is_better():
    history = [(1, {"eval_rmse": 0.9}), (2, {"eval_rmse": 0.4}), (3, {"eval_rmse": 0.5})]
    assert Selection("eval_rmse", history=history).best_step == 2


def test_a_score_that_is_not_there_is_named():
    with pytest.raises(UserError, match="train.best_by is 'f2': an evaluation has f1, recall"):
        Selection("eval_f2").look(0, {"eval_f1": 0.1, "eval_recall": 0.2})
