from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from biobert_jax.corpus.text.sentences import split_sentences

LINES = (Path(__file__).parent / "sentence_cases.txt").read_text(encoding="utf-8").splitlines()
CASES = [line.replace("\\n", "\n") for line in LINES if line and not line.startswith("#")]


def sentences(text):
    return [text[start:end] for start, end in split_sentences(text)]


@pytest.mark.parametrize("case", [case for case in CASES if case[0] != "!"])
def test_hard_cases(case):
    assert sentences(case.replace("|", "")) == [part.strip() for part in case.split("|")]


@pytest.mark.parametrize("case", [case[1:] for case in CASES if case[0] == "!"])
def test_known_misses_are_still_missed(case):
    # One that comes right is to lose its mark in the file.
    assert sentences(case.replace("|", "")) != [part.strip() for part in case.split("|")]


@pytest.mark.parametrize("case", [c for c in CASES if c[0].isupper() and c[-1] in ".!?"])
def test_a_case_is_split_alike_between_other_sentences(case):
    parts = ["They were seen.", *(part.strip() for part in case.split("|")), "The work is done."]
    assert sentences(f"They were seen. {case.replace('|', '')} The work is done.") == parts


def test_there_are_no_sentences_in_blank_text():
    assert split_sentences("") == split_sentences(" \n\t \n") == []


@given(
    st.text()
    | st.text("aAZ1 \n\r.?!()[]\"'\u2028\u00a0αé")
    | st.text("EFig. et al.TN 0")
    | st.lists(st.sampled_from([*"?\n ()[]0L", "words. ", "We", ".[1]", ".12 ", "al. "])).map(
        "".join
    )
)
def test_spans_hold_every_character_that_is_not_space_once_and_in_order(text):
    spans = split_sentences(text)
    end_before = 0
    for start, end in spans:
        assert end_before <= start < end
        assert not text[end_before:start].strip()
        assert text[start:end] == text[start:end].strip()
        assert "\n" not in text[start:end]
        end_before = end
    assert not text[end_before:].strip()
    assert sentences(text) == [part for line in text.split("\n") for part in sentences(line)]


@pytest.mark.parametrize(
    "unit",
    [".", ". ", "a. ", "A. ", ".)", "?!", "[1", ".[1 ", ".[1", ".(1", ".1,", "\n", " ", "x"]
    + ["(abcd. A ", "abcd. A", "(", "et al. (", ". (A", '."', "?   "],
)
def test_time_is_linear_in_the_length(unit):
    text = unit * (1 << 18)  # Quadratic time would be hours.
    assert "".join("".join(part.split()) for part in sentences(text)) == "".join(text.split())
