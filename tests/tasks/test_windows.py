"""Windows and rows for tagging: every word is labelled once, wherever it stands."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from biobert_jax.corpus.text.tokenization import SpecialTokens
from biobert_jax.tasks.rows import NO_TARGET
from biobert_jax.tasks.windows import best_fit, cut_windows
from biobert_jax.tasks.words import pack_sentences

SPECIAL = SpecialTokens(0, 1, 2, 3, 4)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(4, 40).flatmap(
        lambda c: st.tuples(st.just(c), st.lists(st.integers(1, c), max_size=120))
    )
)
def test_windows_fit_and_label_every_word_once(case):
    capacity, lengths = case
    windows = cut_windows(lengths, capacity)
    labelled = []
    for window in windows:
        assert window.start <= window.first <= window.last <= window.end
        assert sum(lengths[window.start : window.end]) <= capacity
        labelled += range(window.first, window.last)
    assert labelled == list(range(len(lengths)))
    if sum(lengths) <= capacity:
        assert len(windows) == (1 if lengths else 0)


def test_a_word_in_a_long_sentence_has_context_on_both_sides():
    windows = cut_windows([1] * 300, 100)
    for before, window in zip(windows, windows[1:], strict=False):
        assert window.first - window.start >= 20 and before.end - before.last >= 20


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 20), max_size=60), st.integers(0, 5))
def test_rows_are_not_overfilled(lengths, seed):
    order = np.random.default_rng(seed).permutation(len(lengths))
    rows = best_fit(lengths, 20, order)
    used = np.bincount(rows, weights=lengths) if len(lengths) else np.zeros(0)
    assert np.all(used <= 20) and np.all(used > 0)


sentences = st.lists(
    st.lists(st.lists(st.integers(5, 99), min_size=1, max_size=12), max_size=30), max_size=12
)


@settings(max_examples=100, deadline=None)
@given(sentences, st.one_of(st.none(), st.integers(0, 3)))
def test_words_are_found_where_the_rows_say(sentences, seed):
    rows = pack_sentences(sentences, 16, SPECIAL, seed)
    words = [word for sentence in sentences for word in sentence]
    assert len(rows.word_rows) == len(words) == sum(rows.word_counts)
    for word, row, position in zip(words, rows.word_rows, rows.word_positions, strict=True):
        assert rows.rows.input_ids[row, position] == word[0]
        assert rows.rows.sequence_ids[row, position] > 0
    # No two words share a place, and labels stand at these places alone.
    assert len({*zip(rows.word_rows, rows.word_positions, strict=True)}) == len(words)
    labels = rows.of_words(np.arange(len(words)))
    assert np.sum(labels != NO_TARGET) == len(words)
    for row in range(len(rows.rows.input_ids)):
        real = rows.rows.sequence_ids[row] > 0
        numbers = rows.rows.sequence_ids[row][real]
        assert np.all(np.diff(numbers) >= 0) and set(numbers) == set(range(1, numbers.max() + 1))
        assert np.sum(rows.rows.input_ids[row] == SPECIAL.cls) == numbers.max()
