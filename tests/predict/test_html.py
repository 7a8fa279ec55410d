"""The HTML page: nothing is lost, nothing escapes, everything is counted and legible."""

import html
import itertools
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from biobert_jax.errors import UserError
from biobert_jax.predict.annotations import AnnotatedDocument, Entity
from biobert_jax.predict.html import LOW_SCORE, MAX_MENTIONS, render_page, type_colors

VOID = {"meta", "input"}
HOSTILE = "<script>alert(1)</script>\"'&amp;</style></div>"


class Page(HTMLParser):
    """What the tests ask of a page; fails on tags that are not closed in order."""

    def __init__(self, source):
        super().__init__()
        self.open, self.tags, self.marks, self.texts, self.chips = [], [], [], [], []
        self.feed(source)
        self.close()
        assert not self.open, f"left open: {self.open}"

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append((tag, attrs))
        if tag == "mark":
            self.marks.append(attrs)
        if attrs.get("class") == "text":
            self.texts.append("")
        if tag == "label":
            self.chips.append("")
        if tag not in VOID:
            self.open.append((tag, attrs))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if any(attrs.get("class") == "text" for _, attrs in self.open):
            self.texts[-1] += data
        if any(tag == "label" for tag, _ in self.open):
            self.chips[-1] += data


def document(text, *spans, id="d1"):
    """A document with an entity for each (start, end, type) or (start, end, type, score)."""
    entities = [
        Entity(start, end, type_, text[start:end], *(score or [0.99]))
        for start, end, type_, *score in spans
    ]
    return AnnotatedDocument(id, text, tuple(entities))


def stripped_cards(source):
    """Each card's text, by the plainest means: tags cut out, character references resolved."""
    cards = re.findall(r'<div class="text"[^>]*>(.*?)</div>', source, flags=re.DOTALL)
    return [html.unescape(re.sub(r"<[^>]*>", "", card)) for card in cards]


@st.composite
def documents(draw):
    text = draw(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
        | st.text("ab <>&\"'\r\n\t;#x/-", max_size=40)
    )
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    spans = (
        [
            (start, end, draw(st.sampled_from(["A", "B", "<i>", "", '"'])), draw(st.floats(0, 1)))
            for start, end in zip(cuts[:-1], cuts[1:], strict=True)
            if draw(st.booleans())
        ]
        if cuts
        else []
    )
    return document(text, *spans, id=draw(st.text("d1<&\"'", max_size=4)))


@given(st.lists(documents(), max_size=3))
@example([document("\n a\r\nb\r", (1, 3, "T"))])
@example([document("&lt;b&gt; &amp;amp;", (4, 5, "T"))])
def test_stripping_the_tags_gives_back_the_text(docs):
    source = render_page(docs, title="t")
    assert stripped_cards(source) == [doc.text for doc in docs]
    page = Page(source)
    assert page.texts == [doc.text for doc in docs]
    assert len(page.marks) == sum(len(doc.entities) for doc in docs)


def test_text_that_html_cannot_hold_keeps_its_length():
    source = render_page([document("a\0b\ud800c", (0, 5, "T"))], title="t")
    assert stripped_cards(source) == ["a\ufffdb\ufffdc"]
    source.encode("utf-8")


def test_everything_from_outside_is_escaped():
    doc = document(f"x {HOSTILE} y", (2, 2 + len(HOSTILE), HOSTILE, 0.5), id=HOSTILE)
    source = render_page([doc], title=HOSTILE, subtitle=HOSTILE)
    assert source.count("<script") == source.count("</script") == 1
    assert source.count("<style") == source.count("</style") == 1
    assert "alert(1)" in source and "<script>alert" not in source
    page = Page(source)
    assert page.texts == [doc.text]
    assert page.marks[0]["data-type"] == HOSTILE
    assert page.marks[0]["title"].startswith(HOSTILE)
    assert all(not name.startswith("on") for _, attrs in page.tags for name in attrs)


def test_the_page_refers_to_nothing_outside_itself():
    source = render_page([document("see example", (4, 11, "T"))], title="t", subtitle="s")
    assert not re.search(r"https?:|//|@import|url\(", source)
    names = {name for _, attrs in Page(source).tags for name in attrs}
    assert not names & {"src", "href", "srcset", "action", "data"}


def test_legend_and_summary_count():
    docs = [
        document("a b c", (0, 1, "Disease"), (2, 3, "Chemical"), (4, 5, "Disease")),
        document("d", id="d2"),
    ]
    source = render_page(iter(docs), title="t")
    assert Page(source).chips == ["Disease 2", "Chemical 1"]
    assert "2 documents · 3 entities · 2 types" in source
    assert "<span>0 entities</span>" in source
    assert "1 document · 1 entity · 1 type<" in render_page([document("a", (0, 1, "T"))], title="")


def test_entities_come_in_order_and_say_what_they_are():
    doc = document("µg of α and β", (6, 7, "X", 0.875), (12, 13, "Y", 1.0))
    marks = Page(render_page([doc], title="t")).marks
    assert [mark["title"] for mark in marks] == [
        "X · 6–7 · score 0.88",
        "Y · 12–13 · score 1.00",
    ]
    assert [mark["data-type"] for mark in marks] == ["X", "Y"]


def test_low_scores_are_marked_and_explained():
    docs = [document("a b", (0, 1, "T", LOW_SCORE - 0.01), (2, 3, "T", LOW_SCORE))]
    source = render_page(docs, title="t")
    assert [mark["class"] for mark in Page(source).marks] == ["t0 low", "t0"]
    assert "score below 0.7" in source
    assert "score below" not in render_page([document("a", (0, 1, "T"))], title="t")


def test_nothing_to_show():
    source = render_page([], title="t")
    assert "There are no documents." in source
    assert "0 documents · 0 entities · 0 types" in source
    page = Page(source)
    assert not page.chips and ("table", {}) not in page.tags
    assert 'class="subtitle"' not in source


def test_mentions_are_ranked_by_count_and_cut():
    text = "IL-2 il-2 IL-2 breast\n cancer"
    spans = [(0, 4, "G"), (5, 9, "G"), (10, 14, "G"), (15, 29, "D")]
    docs = [document(text, *spans), document("IL-2", (0, 4, "G"), id="d2")]
    source = render_page(docs, title="t")
    row = r'<tr><td dir="auto">(.*?)</td><td class="count">(\d+)</td><td class="count">(\d+)</td>'
    assert re.findall(row, source) == [
        ("IL-2", "3", "2"),
        ("il-2", "1", "1"),
        ("breast cancer", "1", "1"),
    ]
    words = [f"w{i:02d}" for i in range(MAX_MENTIONS + 5)]
    many = document(" ".join(words), *[(4 * i, 4 * i + 3, "T") for i in range(len(words))])
    source = render_page([many], title="t")
    assert [name for name, _, _ in re.findall(row, source)] == words[:MAX_MENTIONS]
    assert f"{len(words)} distinct" in source


def test_colors_depend_on_types_alone():
    a, b = (0, 1, "A"), (2, 3, "B")
    one = Page(render_page([document("x y", a, b)], title="t")).marks
    two = Page(render_page([document("x y", b), document("x y", a, id="d2")], title="t")).marks
    assert {m["data-type"]: m["class"] for m in one} == {m["data-type"]: m["class"] for m in two}


def linear_rgb(color):
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def luminance(color):
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear_rgb(color), strict=True))


def oklab(color):
    """Ottosson's perceptual coordinates: a distance of 0.02 is one that the eye just notices."""
    rgb = np.array(linear_rgb(color))
    to_cones = [[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]]
    to_lab = [[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]]
    return np.array(to_lab) @ np.cbrt(np.array(to_cones) @ rgb)


def contrast(one, other):
    """WCAG 2.2's contrast ratio of two `#rrggbb` colours."""
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_colors_are_distinct_and_legible(dark):
    colors = [type_colors(i, dark=dark) for i in range(48)]
    assert len({color.fill for color in colors}) == 48
    root = re.findall(r"--text: (#\w+)", render_page([], title="t"))[dark]
    text = root if len(root) == 7 else "#" + "".join(2 * c for c in root[1:])
    for color in colors:
        for background in (color.fill, color.faint):
            assert contrast(color.label, background) >= 4.5
            assert contrast(text, background) >= 4.5
    for one, other in itertools.combinations(colors[:16], 2):
        assert np.linalg.norm(oklab(one.fill) - oklab(other.fill)) >= 0.025


@pytest.mark.parametrize(
    ("entities", "message"),
    [
        ([Entity(2, 6, "T", "c", 1.0)], "document 'd', entity 2-6: empty, out of the text of le"),
        ([Entity(1, 1, "T", "", 1.0)], "entity 1-1: empty"),
        ([Entity(0, 2, "T", "ab", 1.0), Entity(1, 3, "T", "bc", 1.0)], "entity 1-3: .*overlapping"),
        ([Entity(1, 2, "T", "b", 1.0), Entity(0, 1, "T", "a", 1.0)], "entity 0-1: .*out of order"),
        ([Entity(0, 1, "T", "b", 1.0)], "entity 0-1: its text is 'b' but the document has 'a'"),
    ],
)
def test_entities_that_do_not_fit_are_named(entities, message):
    with pytest.raises(UserError, match=message):
        render_page([AnnotatedDocument("d", "abc", tuple(entities))], title="t")
