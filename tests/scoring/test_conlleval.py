"""conlleval's scores: against seqeval on any sequence, and on BioBERT's own predictions."""

import json
import warnings

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from seqeval.metrics import accuracy_score
from seqeval.metrics.sequence_labeling import get_entities, precision_recall_fscore_support

from biobert_jax.errors import UserError
from biobert_jax.scoring.conlleval import Chunk, Scores, chunks, is_label, report, score
from biobert_jax.tasks.files.conll import read_sentences

TYPES = ["", "X", "Y", "Multi-tissue_structure"]


def labels_of(tags, types):
    """Every tag-and-type combination: malformed sequences are most of what this draws."""
    typed = [f"{tag}-{name}" if name else tag for tag in tags for name in types]
    return st.sampled_from(["O", *typed])


def sentence_pairs(tags, types):
    label = labels_of(tags, types)
    sentence = st.lists(st.tuples(label, label), max_size=10)
    return st.lists(sentence, min_size=1, max_size=5)


def seqeval_scores(gold, predicted, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return precision_recall_fscore_support(gold, predicted, zero_division=0, **options)


@pytest.mark.parametrize("tags", ["BI", "BIES"])
@given(data=st.data())
def test_chunks_are_seqevals(tags, data):
    labels = data.draw(st.lists(labels_of(tags, TYPES), max_size=12))
    ours = [(chunk.type or "_", chunk.start, chunk.end - 1) for chunk in chunks(labels)]
    assert ours == get_entities(labels)


@given(st.lists(labels_of("BIES", TYPES), max_size=12))
def test_bilou_is_iobes_by_another_name(labels):
    bilou = [label.replace("E", "L", 1).replace("S", "U", 1) for label in labels]
    assert chunks(bilou) == chunks(labels)


@pytest.mark.parametrize("tags", ["BI", "BIES"])
@settings(max_examples=1000)
@given(data=st.data())
def test_scores_are_seqevals(tags, data):
    pairs = data.draw(sentence_pairs(tags, TYPES))
    gold = [[label for label, _ in pair] for pair in pairs]
    predicted = [[label for _, label in pair] for pair in pairs]
    ours = score(gold, predicted)

    if ours.num_gold + ours.num_predicted:  # seqeval fails where there is no entity at all.
        expected = seqeval_scores(gold, predicted, average="micro")[:3]
        assert (ours.precision, ours.recall, ours.f1) == pytest.approx(expected)
        precision, recall, f1, support = seqeval_scores(gold, predicted, average=None)
        # seqeval calls untyped entities "_", which sorts after "X"; "" sorts before it.
        by_type = sorted(ours.by_type.items(), key=lambda item: item[0] or "_")
        assert [s.precision for _, s in by_type] == pytest.approx(list(precision))
        assert [s.recall for _, s in by_type] == pytest.approx(list(recall))
        assert [s.f1 for _, s in by_type] == pytest.approx(list(f1))
        assert [s.num_gold for _, s in by_type] == list(support)
    if ours.num_tokens:
        assert ours.token_accuracy == pytest.approx(accuracy_score(gold, predicted))


@given(st.lists(st.lists(labels_of("BIES", TYPES), max_size=8), max_size=4))
@example([])
@example([[]])
def test_gold_against_itself_is_perfect_or_empty(gold):
    scores = score(gold, gold)
    expected = 1.0 if scores.num_gold else 0.0
    assert (scores.precision, scores.recall, scores.f1) == (expected, expected, expected)
    assert scores.num_gold == scores.num_predicted == scores.num_correct


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("B I O B", [("", 0, 2), ("", 3, 4)]),
        ("I I O I", [("", 0, 2), ("", 3, 4)]),  # IOB1
        ("I-X B-X I-X", [("X", 0, 1), ("X", 1, 3)]),  # IOB1, neighbours of one type
        ("B-X I-Y I-Y", [("X", 0, 1), ("Y", 1, 3)]),
        ("B-X I-X E-X S-X B-X E-X", [("X", 0, 3), ("X", 3, 4), ("X", 4, 6)]),
        ("B-X L-X B-X L-X U-X U-X", [("X", 0, 2), ("X", 2, 4), ("X", 4, 5), ("X", 5, 6)]),
        ("B-Multi-tissue I-Multi-tissue", [("Multi-tissue", 0, 2)]),
        ("B I O-MISC B-", [("", 0, 2), ("", 3, 4)]),  # as in BioBERT's NER_result_conll.txt
    ],
)
def test_chunks_by_hand(labels, expected):
    assert chunks(labels.split()) == [Chunk(*chunk) for chunk in expected]


def oracle_labels(shared_data, data_set):
    """Gold and predicted tags, unified to one type, for the sentences of the predictions.

    The predictions are in another order than the test set, and BioBERT cut long sentences in two;
    pieces are joined until they are a sentence of the test set.
    """
    gold = {s.words: s.labels for s in read_sentences(shared_data / f"ner/{data_set}/test.tsv")}
    gold_labels, predicted_labels = [], []
    words, labels = (), ()
    for piece in read_sentences(shared_data / f"oracle/ner/{data_set}.biobert.predictions.txt"):
        words, labels = words + piece.words, labels + piece.labels
        if words in gold:
            gold_labels.append([label[0] for label in gold[words]])
            predicted_labels.append([label[0] for label in labels])
            words, labels = (), ()
    assert not words, "the last sentence of the predictions is not one of the test set"
    return gold_labels, predicted_labels


@pytest.mark.parametrize(
    ("data_set", "percent", "counts"),
    [
        ("NCBI-disease", (85.91, 90.21, 88.01), (960, 1008, 866)),
        ("BC5CDR-disease", (83.18, 86.39, 84.75), None),
    ],
)
def test_biobert_predictions_score_as_conlleval_says(shared_data, data_set, percent, counts):
    scores = score(*oracle_labels(shared_data, data_set))
    ours = (scores.precision, scores.recall, scores.f1)
    assert tuple(round(100 * value, 2) for value in ours) == percent
    if counts:
        assert (scores.num_gold, scores.num_predicted, scores.num_correct) == counts


def test_report_reads_as_conllevals():
    gold = [["B-X", "I-X", "O", "B-Y"], ["O", "B-X"]]
    predicted = [["B-X", "I-X", "B-Y", "O"], ["O", "B-X"]]
    assert report(score(gold, predicted)) == (
        "processed 6 tokens with 3 phrases; found: 3 phrases; correct: 2.\n"
        "accuracy:  66.67%; precision:  66.67%; recall:  66.67%; FB1:  66.67\n"
        "                X: precision: 100.00%; recall: 100.00%; FB1: 100.00  2\n"
        "                Y: precision:   0.00%; recall:   0.00%; FB1:   0.00  1\n"
    )
    assert report(score([], [])) == (
        "processed 0 tokens with 0 phrases; found: 0 phrases; correct: 0.\n"
    )
    assert report(score([["B"]], [["B"]])).count("\n") == 2


def test_to_dict_is_json_of_fractions():
    scores = score([["B-X", "O", "B-Y"]], [["B-X", "O", "O"]])
    assert json.loads(json.dumps(scores.to_dict())) == {
        "precision": 1.0,
        "recall": 0.5,
        "f1": pytest.approx(2 / 3),
        "num_gold": 2,
        "num_predicted": 1,
        "num_correct": 1,
        "num_tokens": 3,
        "token_accuracy": pytest.approx(2 / 3),
        "by_type": {
            "X": {
                "precision": 1.0,
                "recall": 1.0,
                "f1": 1.0,
                "num_gold": 1,
                "num_predicted": 1,
                "num_correct": 1,
            },
            "Y": {
                "precision": 0.0,
                "recall": 0.0,
                "f1": 0.0,
                "num_gold": 1,
                "num_predicted": 0,
                "num_correct": 0,
            },
        },
    }
    assert isinstance(scores.by_type["X"], Scores)


@pytest.mark.parametrize(
    ("gold", "predicted", "message"),
    [
        ([["O"], ["O", "O"]], [["O"], ["O"]], "sentence 2: 2 gold labels but 1 predicted"),
        ([["O"], ["O"]], [["O"]], "sentence 2: the predicted labels end at sentence 1"),
        ([], [["O"]], "sentence 1: the gold labels end at sentence 0"),
        ([["O", "X"]], [["O", "O"]], r"sentence 1, word 2 \(gold\): 'X' is not a label"),
        ([["O"]], [["[CLS]"]], r"sentence 1, word 1 \(predicted\): '\[CLS\]' is not a label"),
    ],
)
def test_bad_input_is_named(gold, predicted, message):
    with pytest.raises(UserError, match=message):
        score(gold, predicted)


@pytest.mark.parametrize("label", ["", "b", "BI", "-X", "disease"])
def test_chunks_refuses_what_is_no_label(label):
    with pytest.raises(UserError, match="word 2: .* is not a label"):
        chunks(["O", label])


def test_labels_are_told_from_other_words():
    assert all(map(is_label, ("O", "O-MISC", "B", "I-a-b", "E", "S-X", "L", "U-X")))
    assert not any(map(is_label, ("", "-", "X", "b-X", "BX", "LABEL_0", "-X")))


def test_types_can_be_ignored():
    gold, predicted = [["B-X", "I-X", "B-Y", "O"]], [["B-Y", "I-Y", "B-Y", "B-Y"]]
    assert score(gold, predicted).num_correct == 1
    scores = score(gold, predicted, ignore_types=True)
    assert (scores.num_gold, scores.num_predicted, scores.num_correct) == (2, 3, 2)
    assert scores.token_accuracy == 0.75 and scores.by_type == {}
    # Neighbours of two types stay two, though no B stands between them.
    scores = score([["B-X", "I-Y"]], [["B-Z", "B-Z"]], ignore_types=True)
    assert scores.num_gold == scores.num_correct == 2
