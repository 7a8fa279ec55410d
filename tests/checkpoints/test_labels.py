"""Labels and their types."""

import pytest

from biobert_jax.checkpoints.labels import check_labels, label_set, renamed, types_of, with_type
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


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (("I-Family", "I-Gene"), ("I-Gene", "B-Gene")),  # IO and IOB1
        (("B-Family", "I-Family", "B-Gene"), ("B-Gene", "I-Gene", "B-Gene")),
        (("I-Family", "I-Family", "O", "I-Gene"), ("I-Gene", "I-Gene", "O", "I-Gene")),
        (("I-Drug", "I-Gene"), ("O", "I-Gene")),
    ],
)
def test_entities_that_come_to_be_of_one_type_stay_apart(labels, expected):
    assert renamed(labels, {"Family": "Gene", "Drug": ""}) == expected
