"""What all pages share."""

from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from biobert_jax.html_page import escape, page


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_exactly_escaped_text_comes_back(text):
    escaped = escape(text, exact=True)
    assert not set("<>\"'\r") & set(escaped)
    assert unescape(escaped) == text


def test_what_cannot_be_shown_is_replaced_one_for_one():
    assert escape("a\0\ud800\x01\x1fb\t\n") == "a\ufffd\ufffd\ufffd\ufffdb\t\n"
    assert escape("a\0\ud800\x01b", exact=True) == "a\ufffd\ufffd\x01b"


def test_a_page_escapes_its_title_and_needs_no_script():
    source = page("<a> & b", css="p {}", header="", main="<main>\n</main>\n")
    assert source.count("&lt;a&gt; &amp; b") == 2 and "<a>" not in source
    assert "<script>" not in source and source.endswith("</main>\n</body>\n</html>\n")
