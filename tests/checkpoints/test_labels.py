"""Labels and their types."""

from biobert_jax.checkpoints.labels import label_set, types_of, with_type


def test_labels_without_a_type_get_one():
    labels = ["O", "O-MISC", "B", "I", "S-", "B-X", "I-a-b"]
    assert [with_type(label, "Y") for label in labels] == [
        *("O", "O-MISC", "B-Y", "I-Y", "S-Y", "B-X", "I-a-b"),
    ]
    assert with_type("B") == "B-entity"


def test_types_and_labels_of_sentences():
    sentences = [("O", "B-X", "I-X"), ("O-Z", "B", "S-a-b")]
    assert types_of(sentences) == {"X", "", "a-b"}
    assert types_of([("O",), ()]) == set()
    assert label_set([("I-X", "O"), ("B-X", "O")]) == ("O", "B-X", "I-X")
    assert label_set([]) == ("O",)
