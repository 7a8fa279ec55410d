"""What the quickstart checks of its result."""

import json
import re
from pathlib import Path

import pytest

from biobert_jax.quickstart.checks import UNTAGGED, score_faults, tagging_faults

CORPUS = Path(__file__).resolve().parents[2] / "biobert_jax" / "quickstart" / "corpus"


def note(text, *entities):
    """A tagged document whose entities are (mention, type)."""
    found = [
        {"start": text.index(m), "end": text.index(m) + len(m), "type": kind, "text": m, "score": 1}
        for m, kind in entities
    ]
    return {"id": "note 1", "text": text, "entities": found}


def test_a_note_tagged_as_a_doctor_would_has_no_fault():
    text = "This 9-year-old girl takes lisinopril for cystic fibrosis."
    assert (
        tagging_faults([note(text, ("lisinopril", "Drug"), ("cystic fibrosis", "Disease"))]) == []
    )


@pytest.mark.parametrize(
    ("text", "mention", "kind"),
    [
        ("This 9-year-old girl sleeps.", "9", "Drug"),
        ("Video monitoring was done.", "Video", "Disease"),
        ("Mrs. B. was admitted.", "B", "Disease"),
        ("She took oral tablets.", "oral", "Disease"),
        ("She took oral tablets.", "took oral", "Drug"),
    ],
)
def test_a_phrase_that_is_no_name_must_stay_untagged(text, mention, kind):
    [fault] = tagging_faults([note(text, (mention, kind))])
    assert "must not be tagged" in fault and f"{kind} {mention!r}" in fault


def test_a_phrase_is_no_part_of_a_word():
    assert tagging_faults([note("He has oralitis.", ("oralitis", "Disease"))]) == []


@pytest.fixture(scope="module")
def texts():
    lines = (CORPUS / "notes.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines]


@pytest.mark.parametrize("phrase", UNTAGGED)
def test_each_phrase_is_looked_for_in_the_notes(texts, phrase):
    [text] = [text for text in texts if re.search(rf"(^|\W){phrase}", text)]
    faults = tagging_faults([note(text, (phrase, "Disease"))])
    assert any("must not be tagged" in fault for fault in faults)


def test_the_score_has_a_floor():
    assert score_faults(0.85) == []
    [fault] = score_faults(0.8449)
    assert "0.845 is under the 0.85" in fault
