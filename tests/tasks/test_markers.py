"""Mentions in texts: found, marked, kept where a text is cut; pairs are cut as upstream does."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biobert_jax.errors import UserError
from biobert_jax.tasks.files.examples import Span, TextExample
from biobert_jax.tasks.markers import LOST, Marked, cut_text, mark_texts, tag_ids
from biobert_jax.tasks.texts import sequence_of
from tests.checkpoints.tiny import tiny_tokenizer

TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefgh", "@", "$", "gene", "drug"]
TAGS = [f"[unused{i}]" for i in range(1, 5)]
MARKS = ["<", ">", "[", "]", "#"]


@pytest.fixture
def tokenizer(tmp_path):
    return tiny_tokenizer(tmp_path, [*TOKENS, *TAGS, *MARKS, "GENE", "DRUG"])


def example(text, *spans):
    return TextExample("7", text, spans=tuple(Span(*span) for span in spans), where="f.jsonl:8")


def shown(tokenizer, marked):
    return [tokenizer.tokens[i] for i in marked.ids]


def test_tags_stand_around_the_mentions_in_the_files_order(tokenizer):
    [marked] = mark_texts(
        tokenizer, [example("a b c d", (6, 7, "DRUG"), (2, 3, "GENE"))], "tags", find=True
    )
    tags = [tokenizer.tokens[i] for i in tag_ids(tokenizer)]
    assert tags == TAGS
    assert shown(tokenizer, marked) == ["a", TAGS[2], "b", TAGS[3], "c", TAGS[0], "d", TAGS[1]]
    assert [shown(tokenizer, marked)[i] for i in marked.marks] == [TAGS[0], TAGS[2]]
    assert marked.ends == (8, 4)


def test_without_unused_tokens_tags_are_plain_marks(tmp_path):
    tokenizer = tiny_tokenizer(tmp_path, [*TOKENS, *MARKS])
    assert [tokenizer.tokens[i] for i in tag_ids(tokenizer)] == ["@", "@", "#", "#"]


def test_names_are_hidden(tokenizer):
    [marked] = mark_texts(
        tokenizer, [example("a b c", (0, 1, "gene"), (4, 5, "DRUG"))], "anonymize", find=True
    )
    assert shown(tokenizer, marked) == ["@", "GENE", "$", "b", "@", "DRUG", "$"]
    assert (marked.marks, marked.ends) == ((0, 4), (3, 7))


@pytest.mark.parametrize("text", ["a @GENE$ b @DRUG$ c", "a << b >> c [[ d ]] e"])
def test_marks_of_the_file_are_found(tokenizer, text):
    [marked] = mark_texts(tokenizer, [example(text)], "none", find=True)
    assert shown(tokenizer, marked)[marked.marks[0]] in "@<"
    assert shown(tokenizer, marked)[marked.ends[1] - 1] in "$]"
    plain = tokenizer.encode(text).tolist()
    assert marked.ids == plain


@pytest.mark.parametrize(
    ("given", "how", "words"),
    [
        (example("a b"), "none", "f.jsonl:8: 0 marked mention"),
        (example("a b", (0, 1, "GENE")), "tags", r"f.jsonl:8: 1 mention\(s\) given"),
        (example("a b", (0, 2, "G"), (1, 3, "D")), "anonymize", "f.jsonl:8: the two mentions over"),
    ],
)
def test_what_lacks_two_mentions_is_named(tokenizer, given, how, words):
    with pytest.raises(UserError, match=words):
        mark_texts(tokenizer, [given], how, find=True)
    if how == "none":
        [marked] = mark_texts(tokenizer, [given], how, find=False)
        assert marked.marks == ()


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_window_keeps_both_mentions_where_it_can(data):
    size = data.draw(st.integers(1, 60))
    places = sorted(data.draw(st.sets(st.integers(0, size), min_size=2, max_size=4)))
    first, last = places[0], places[-1]
    marks, ends = (first, places[len(places) // 2]), (places[1], last)
    if not (marks[0] < ends[0] <= marks[1] < ends[1]):
        return
    capacity = data.draw(st.integers(1, 70))
    text = Marked(list(range(size)), marks, ends)
    cut = cut_text(text, capacity)
    assert len(cut.ids) == min(size, capacity)
    assert cut.ids == list(range(cut.ids[0], cut.ids[0] + len(cut.ids)))
    for mark, end, was, until in zip(cut.marks, cut.ends, marks, ends, strict=True):
        if mark != LOST:
            assert cut.ids[mark] == was and cut.ids[end - 1] == until - 1
    if ends[1] - marks[0] <= capacity:
        assert LOST not in cut.marks


def upstream_truncate(a, b, most):
    """google's `_truncate_seq_pair`."""
    a, b = list(a), list(b)
    while len(a) + len(b) > most:
        (a if len(a) > len(b) else b).pop()
    return a, b


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(8, 40))
def test_pairs_are_cut_as_upstream_cuts_them(one, other, length):
    special = dataclasses.make_dataclass("S", ["cls", "sep"])(-1, -2)
    a, b = list(range(one)), list(range(100, 100 + other))
    ids, begins, _ = sequence_of(Marked(a), b, special, length)
    a, b = upstream_truncate(a, b, length - 3)
    assert ids == [-1, *a, -2, *b, -2] and begins == len(a) + 2


def test_a_lost_mark_stands_at_cls():
    special = dataclasses.make_dataclass("S", ["cls", "sep"])(-1, -2)
    text = Marked(list(range(40)), (0, 38), (2, 40))
    ids, _, marks = sequence_of(text, [], special, 10)
    assert len(ids) == 10 and marks == (1, 0)
