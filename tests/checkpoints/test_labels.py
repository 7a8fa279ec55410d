"""Labels and their types."""

import pytest

from biobert_jax.checkpoints.labels import check_labels, label_set, types_of, with_type
from biobert_jax.errors import UserError


def test_labels_without_a_type_get_one():
    labels = ["O", "O-MISC", "B", "I", "S-", "B-X", "I-a-b", "L", "X"]
    assert [with_type(label, "Y") for label in labels] == [
        *("O", "O-MISC", "B-Y", "I-Y", "S-Y", "B-X", "I-a-b", "L-Y", "X"),
    ]
    assert with_type("B") == "B-entity"


def test_types_and_labels_of_sentences():
    sentences = [("O", "B-X", "I-X"), ("O-Z", "B", "S-a-b")]
    assert types_of(sentences) == {"X", "", "a-b"}
    assert types_of([("O",), ()]) == set()
    assert label_set([("I-X", "O"), ("B-X", "O")]) == ("O", "B-X", "I-X")
    assert label_set([]) == ("O",)


def test_what_cannot_be_a_taggers_labels():
    check_labels(["O", "B-X", "L-X", "U-X"], "config.json: id2label")
    for labels, message in (
        ([], "no labels"),
        (["O", "O"], "'O' stands twice"),
        (["O", "LABEL_1"], "'LABEL_1' says nothing of an entity"),
    ):
        with pytest.raises(UserError, match=f"^config.json: id2label: {message}"):
            check_labels(labels, "config.json: id2label")
