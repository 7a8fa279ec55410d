"""Questions and passages as packed windows, held against upstream's own loops."""

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from biobert_jax.corpus.text.tokenization import load_tokenizer
from biobert_jax.tasks.files.examples import Question
from biobert_jax.tasks.questions import (
    Window,
    answer_pieces,
    cut,
    most_context,
    pack_questions,
    passage_of,
)
from biobert_jax.tasks.task import Setting

WORDS = "which gene is here the a of in p53 EGFR causes cancer x y z ##s ##er ( ) . , - ?".split()
OPTIONS = {
    **{"answer_kind": "span", "stride": 8, "max_query_length": 64, "max_answer_length": 30},
    **{"n_best": 20, "no_answer": False, "list_threshold": 0.42},
}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    path.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]) + "\n")
    return load_tokenizer(path, do_lower_case=False)


def setting(tokenizer, length=32, **options):
    return Setting((), {**OPTIONS, **options}, tokenizer, length)


def question(context, *answers, name="0", kind="", **more):
    starts = tuple(context.find(answer) for answer in answers)
    return Question(name, "which gene ?", context, tuple(answers), starts, kind=kind, **more)


def upstream_spans(num_tokens, capacity, stride):
    """The loop of run_squad.py's convert_examples_to_features."""
    spans, start = [], 0
    while start < num_tokens:
        length = min(num_tokens - start, capacity)
        spans.append((start, start + length))
        if start + length == num_tokens:
            break
        start += min(length, stride)
    return spans


def upstream_is_max_context(spans, current, position):
    """Its _check_is_max_context."""
    best_score = best_index = None
    for index, (start, end) in enumerate(spans):
        if not start <= position < end:
            continue
        score = min(position - start, end - 1 - position) + 0.01 * (end - start)
        if best_score is None or score > best_score:
            best_score, best_index = score, index
    return current == best_index


@given(st.integers(1, 200), st.integers(4, 60), st.integers(1, 60))
def test_windows_and_their_context_are_upstreams(num_pieces, capacity, stride):
    spans = list(cut(num_pieces, capacity, stride))
    assert spans == upstream_spans(num_pieces, capacity, stride)
    found = most_context([Window(0, *span, 0, (-1, -1)) for span in spans])
    for index, (first, last) in enumerate(spans):
        expected = [upstream_is_max_context(spans, index, place) for place in range(first, last)]
        assert found[index].tolist() == expected
    assert sum(own.sum() for own in found) == num_pieces


def test_a_passage_without_words_is_one_empty_window(tokenizer):
    assert list(cut(0, 9, 4)) == [(0, 0)]
    packed = pack_questions([question("\u00ad")], setting(tokenizer))
    assert packed.windows == [Window(0, 0, 0, 5, (-1, -1))]
    assert np.count_nonzero(packed.rows.sequence_ids) == 6


def test_a_sequence_is_question_then_window(tokenizer):
    asked = [question("p53 is here", "p53"), question("the gene EGFR causes cancer", "EGFR")]
    packed = pack_questions(asked, setting(tokenizer))
    rows = packed.rows
    for index, text in enumerate(("p53 is here", "the gene EGFR causes cancer")):
        row, start = rows.places[index], rows.offsets[index]
        head = [2, *tokenizer.encode("which gene ?"), 3]
        body = [*tokenizer.encode(text), 3]
        here = slice(start, start + len(head) + len(body))
        assert rows.input_ids[row, here].tolist() == head + body
        assert rows.token_type_ids[row, here].tolist() == [0] * len(head) + [1] * len(body)
        assert set(rows.sequence_ids[row, here].tolist()) == {rows.numbers[index] + 1}
    assert len(rows) == 1, "both fit one row"


def spans_of(packed):
    """Of each sequence its target, counted from its [CLS]."""
    found = packed.rows.by_sequence(packed.targets()).astype(int)
    return np.where(found < 0, -1, found - packed.rows.offsets[:, None]).tolist()


def test_targets_are_the_answers_words_else_cls_else_nothing(tokenizer):
    context = " ".join(["the"] * 20 + ["p53"] + ["a"] * 20)
    asked = [
        question(context, "p53"),
        question(context, "EGFR"),
        question(context, is_impossible=True),
    ]
    packed = pack_questions(asked, setting(tokenizer))
    head = 5
    for window, span in zip(packed.windows, spans_of(packed), strict=True):
        if window.question == 0:
            inside = window.first <= 20 < window.last
            assert span == ([head + 20 - window.first] * 2 if inside else [0, 0])
        else:
            assert span == [-1, -1]
    assert [q.answers for q in packed.without] == [("EGFR",)]
    packed = pack_questions(asked, setting(tokenizer, no_answer=True))
    spans = [s for w, s in zip(packed.windows, spans_of(packed), strict=True) if w.question == 2]
    assert spans and all(span == [0, 0] for span in spans)


def test_training_leaves_out_what_is_not_learnt_and_learns_every_occurrence(tokenizer):
    context = "p53 causes cancer , EGFR causes cancer"
    both = Question(
        "0", "which gene ?", context, ("p53", "EGFR", "x"), (0, 20, -1), kind="list", group="0"
    )
    asked = [both, question("the gene is here", "y")]
    windows = pack_questions(asked, setting(tokenizer), seed=0).windows
    assert [(w.question, w.target) for w in windows] == [(0, (5, 5)), (0, (9, 9))]
    assert len(pack_questions(asked, setting(tokenizer)).windows) == 2, "once each otherwise"
    [window] = pack_questions([question(context, "EGFR", "p53")], setting(tokenizer), 0).windows
    assert window.target == (9, 9), "of SQuAD's answers the first, as upstream"


def test_a_long_question_is_cut_and_counted(tokenizer):
    asked = [Question("0", "which " * 50, "p53 is here"), question("EGFR is here")]
    packed = pack_questions(asked, setting(tokenizer, max_query_length=6))
    assert packed.num_cut == 1
    assert packed.windows[0].offset == 8
    # However long it may be, half a row is the passage's.
    packed = pack_questions(asked, setting(tokenizer, max_query_length=60))
    assert packed.windows[0].offset <= 16


def test_answers_are_covered_by_the_fewest_words(tokenizer):
    context = "the p53s (EGFR)er cancer."
    passage = passage_of(tokenizer, context)
    for answer, text in (
        ("p53", "p53s"),
        ("EGFR", "EGFR"),
        ("(EGFR)", "(EGFR)"),
        ("53s (EG", "p53s (EGFR"),
        ("cancer", "cancer"),
    ):
        [(first, last)] = answer_pieces(question(context, answer), passage)
        assert context[passage.starts[first] : passage.ends[last]] == text
    assert answer_pieces(Question("0", "", context, (" ", "x"), (3, -1)), passage) == []


def test_equal_passages_are_encoded_once_and_long_ones_in_bounded_memory(tokenizer):
    context = "the gene p53 causes cancer . " * 3600
    assert len(context) > 100_000
    asked = [question(context, "p53", name=str(n)) for n in range(2)]
    began = time.perf_counter()
    tracemalloc.start()
    packed = pack_questions(asked, setting(tokenizer, 384, stride=128))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len({id(passage) for passage in packed.passages}) == 1
    pieces = len(packed.passages[0].ids)
    assert len(packed.windows) == 2 * len(list(cut(pieces, 384 - 6, 128)))
    assert packed.windows[-1].last == pieces
    assert peak < 40e6
    assert time.perf_counter() - began < 20
