"""What holds of every text that is closed up around cuts, whatever stands there."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from biobert_jax.corpus.documents import ReadOptions, clean_passage
from biobert_jax.corpus.readers.gaps import CITED, FORMULA, HOLE, closed_up
from biobert_jax.corpus.readers.jats import article_passages
from biobert_jax.corpus.readers.xml import unescaped

CUTS = (CITED, FORMULA, HOLE)
PARTS = st.sampled_from([*CUTS, *"  ,,;:.()[]-–%xq37", "12", "0.5", " and ", " or ", "rats"])


@given(st.lists(PARTS).map("".join))
def test_no_number_is_glued_to_another_and_no_word_lost(text):
    closed = closed_up(clean_passage(text))
    apart = re.sub("|".join(CUTS), " ", text)
    for pattern in (r"\d+(?:[.,]\d+)*", r"rats|x|q"):
        assert re.findall(pattern, closed) == re.findall(pattern, apart)
    assert not any(mark in closed for mark in CUTS)
    assert closed == clean_passage(closed)


@pytest.mark.parametrize(
    ("name", "character"),
    [("lt", "<"), ("amp", "&"), ("eacute", "é"), ("#945", "α"), ("#x3B1", "α"), ("agr", "α")]
    + [
        ("b.alpha", "α"),
        ("OHgr", "Ω"),
        ("b.thetas", "θ"),
        ("rlhar2", "⇌"),
        ("thinsp", "\u2009"),
        ("none", "&none;"),
    ],
)
def test_a_reference_is_read_however_often_it_was_escaped(name, character):
    for prefix in ("&", "&amp;", "&amp;amp;", "&#38;", "&#x26;amp;", "&amp;#38;"):
        assert unescaped(f"a{prefix}{name};b") == f"a{character}b"
        assert unescaped(f"a{prefix}{name} b").endswith(f"&{name} b")


@given(st.text())
def test_text_without_references_and_cuts_stays(text):
    text = clean_passage(text.replace("&", "").replace("</", ""))
    if not re.search("[\x01-\x08\ufdd0]", text):
        assert closed_up(unescaped(text)) == text


CITE = '<xref ref-type="bibr">{}</xref>'


@pytest.mark.parametrize("before", ["a" + CITE.format(1), "<sup>" + CITE.format(1)])
@pytest.mark.parametrize(
    "unit",
    [" ", "1 ", ", ", "(", "<break/>", "<sup>.</sup>,", "&amp;amp;", "&amp;#38;", "&lt;b "]
    + [CITE.format("1 "), "<label/>, ", "(<label/>,"]
    + ["<inline-formula/>, and ", "(<inline-formula/>; "],
)
def test_time_is_linear_in_the_length(before, unit):
    xml = before + unit * ((1 << 19) // len(unit))  # Quadratic time would be too long.
    parser = etree.XMLParser(recover=True, huge_tree=True)
    article = etree.fromstring(f"<article><body><p>words {xml}", parser)
    assert article_passages(article, ReadOptions())[0].startswith("words")
