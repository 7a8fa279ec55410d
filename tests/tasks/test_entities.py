"""Probabilities of entities: what they are of, what a temperature does, thresholds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from biobert_jax.scoring.conlleval import chunks
from biobert_jax.tasks import entities

LABELS = ("O", "B-Drug", "I-Drug")


def logits_of(rows):
    return np.log(np.array(rows, np.float32))


def test_a_probability_is_that_of_the_labels_that_spell_it():
    # Aspirin acid worsens: B I O
    logits = logits_of([[0.1, 0.8, 0.1], [0.2, 0.1, 0.7], [0.9, 0.05, 0.05]])
    [found] = entities.find_entities(logits, LABELS)
    assert found.chunk == ("Drug", 0, 2)
    assert found.probability == pytest.approx(0.8 * 0.7 * 0.95, abs=1e-6)
    [last] = entities.find_entities(logits[:2], LABELS)
    assert last.probability == pytest.approx(0.8 * 0.7, abs=1e-6)
    assert entities.find_entities(np.zeros((0, 3), np.float32), LABELS) == []


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.floats(0.3, 5))
def test_entities_do_not_depend_on_the_temperature(seed, words, temperature):
    logits = np.random.default_rng(seed).normal(size=(words, 3)).astype(np.float32) * 3
    plain = entities.find_entities(logits, LABELS)
    warm = entities.find_entities(logits, LABELS, temperature)
    assert [f.chunk for f in plain] == [f.chunk for f in warm]
    assert all(0 <= f.probability <= 1 for f in warm)
    assert [f.probability for f in plain] == [f.uncalibrated for f in warm]


def test_a_temperature_undoes_overconfidence():
    draw = np.random.default_rng(0)
    logits, gold = [], []
    for _ in range(600):
        own = draw.normal(size=(6, 3)) * 2
        chances = np.exp(own) / np.exp(own).sum(-1, keepdims=True)
        gold.append([LABELS[draw.choice(3, p=row)] for row in chances])
        logits.append((own * 3).astype(np.float32))  # three times too sure
    temperature = entities.fit_temperature(logits, gold, LABELS)
    found = [entities.find_entities(own, LABELS, temperature) for own in logits]
    table = entities.calibration_table(found, gold, temperature)
    assert table["ece_after"] < 0.5 * table["ece_before"]
    assert 2 < temperature < 5
    assert sum(row["count"] for row in table["bins"]) == sum(map(len, found))


def test_without_entities_nothing_is_fitted():
    logits = [logits_of([[0.9, 0.05, 0.05]])]
    assert entities.fit_temperature(logits, [["O"]], LABELS) == 1.0
    assert entities.precision_curve(np.zeros(0), np.zeros(0, bool)) == []
    assert entities.threshold_of([], 0.5) is None


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.7, 0.9]), st.booleans()), min_size=1))
def test_a_threshold_keeps_its_promise_on_the_file_it_is_from(pairs):
    shares, right = (np.array(side) for side in zip(*pairs, strict=True))
    curve = entities.precision_curve(shares, right.astype(bool))
    for wanted in (0.3, 0.6, 1.0):
        found = entities.threshold_of(curve, wanted)
        kept = right[shares >= found - 1e-6] if found is not None else None
        if kept is not None:
            assert kept.mean() >= wanted - 1e-6
        else:
            assert all(right[shares >= t].mean() < wanted for t in set(shares))


# Each scheme's spelling of: a drug of two words, a gene of one, a drug of one beside another.
SCHEMES = {
    "IOB2": "B-D I-D O B-G O B-D B-D",
    "IOB1": "I-D I-D O I-G O I-D B-D",
    "IOBES": "B-D E-D O S-G O S-D S-D",
    "BILOU": "B-D L-D O U-G O U-D U-D",
    "IO": "I-D I-D O I-G O I-D O",
    "bare": "B I O B O B B",
}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_spells_the_same_entities(scheme):
    labels = SCHEMES[scheme].split()
    names = tuple(sorted(set(labels)))
    logits = np.full((len(labels), len(names)), -4.0, np.float32)
    logits[np.arange(len(labels)), [names.index(label) for label in labels]] = 4
    found = [tuple(f.chunk) for f in entities.find_entities(logits, names)]
    assert found == [tuple(chunk) for chunk in chunks(labels)]
    expected = [("D", 0, 2), ("G", 3, 4), ("D", 5, 6), ("D", 6, 7)]
    if scheme == "bare":
        expected = [("", *span) for _, *span in expected]
    if scheme == "IO":
        expected = expected[:3]
    assert found == expected
    if scheme in ("IOB2", "IOB1", "IOBES", "IO"):
        assert found == [(t, a, b + 1) for t, a, b in get_entities(labels)]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([LABELS, ("O", "B-x", "E-x", "I-y", "S-y")]))
def test_all_entities_at_once_have_the_probabilities_of_each(seed, names):
    draw = np.random.default_rng(seed)
    sizes = draw.integers(0, 8, 5)
    logits = [draw.normal(size=(n, len(names))).astype(np.float32) * 3 for n in sizes]
    found = [entities.find_entities(own, names) for own in logits]
    if not any(found):
        return
    at = entities._shares_of(logits, found, names)
    for temperature in (0.5, 1.0, 3.0):
        each = [
            f.probability for own in logits for f in entities.find_entities(own, names, temperature)
        ]
        assert at(temperature) == pytest.approx(each, abs=1e-5)
