"""WordPiece, id for id as upstream's tokenization.py, written down here a second time."""

import gzip
import json
import unicodedata

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from biobert_jax.corpus.text import wordpiece
from biobert_jax.corpus.text.tokenization import read_vocab
from biobert_jax.corpus.text.wordpiece import WordPiece

TOKENS = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *"abcdeinorstABCDEσς1234567890.,-()/é中ａ",
    *("##" + c for c in "abcdeinorst0123456789éσς"),
    *("an", "the", "##ing", "##ed", "in", "Rat", "##ion", "aa", "##aa", "aaa"),
]
IDS = {token: number for number, token in enumerate(TOKENS)}


def upstream(text, vocab, lowercase):
    """google-research/bert, tokenization.py (FullTokenizer), step by step as it is described."""
    cleaned = []
    for c in text:
        category = unicodedata.category(c)
        if c in " \t\n\r" or category == "Zs":
            cleaned.append(" ")
        elif ord(c) not in (0, 0xFFFD) and category not in ("Cc", "Cf"):
            cleaned.append(c)
    ideographs = [
        *((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F)),
        *((0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)),
    ]
    spaced = "".join(
        f" {c} " if any(a <= ord(c) <= b for a, b in ideographs) else c for c in cleaned
    )
    words = []
    for token in spaced.strip().split():
        if lowercase:
            token = token.lower()
            token = "".join(
                c for c in unicodedata.normalize("NFD", token) if unicodedata.category(c) != "Mn"
            )
        word = ""
        for c in token:
            ascii_mark = ord(c) < 128 and not c.isalnum() and 33 <= ord(c) <= 126
            if ascii_mark or unicodedata.category(c).startswith("P"):
                words += [word, c]
                word = ""
            else:
                word += c
        words.append(word)
    ids = []
    for word in " ".join(words).split():
        pieces, start = [], 0
        while start < len(word) and len(word) <= 200:
            prefix = "##" if start else ""
            ends = [e for e in range(len(word), start, -1) if prefix + word[start:e] in vocab]
            if not ends:
                break
            pieces.append(vocab[prefix + word[start : ends[0]]])
            start = ends[0]
        ids += pieces if start == len(word) else [vocab["[UNK]"]]
    return ids


# Letters of the vocabulary, marks, white space of every kind, controls, CJK, case and accents.
LIKELY = st.text(
    st.sampled_from(
        "abcdeinorstABCDERatσΣς1234567890.,-()/ éÉ中 \t\n\u00a0\u2028\x85\x00\u200b￼İ·ͅ"
    ),
    max_size=80,
)


@settings(max_examples=400, deadline=None)
@given(st.one_of(st.text(max_size=80), LIKELY), st.booleans())
@example("ΟΔΟΣ ΟΔΟΣ. Σ", True)
@example("a" * 200 + " " + "a" * 201, False)
@example("\ufffdan\x00 in\u00adg the\u2028Rat\x1cion", False)
def test_ids_are_upstreams(text, lowercase):
    # The same object twice: the second time from what it remembers.
    tokenizer = WordPiece(IDS, IDS["[UNK]"], lowercase=lowercase)
    expected = upstream(text, IDS, lowercase)
    assert tokenizer.encode(text).tolist() == expected
    assert tokenizer.encode(text).tolist() == expected
    assert [i for piece in tokenizer.pieces(text) for i in piece.ids] == expected


@settings(max_examples=200, deadline=None)
@given(LIKELY, st.booleans())
def test_offsets_rise_and_hold_what_they_say(text, lowercase):
    text = text.replace("Σ", "S")  # whose lower case hangs on what is around it
    end = 0
    for piece in WordPiece(IDS, IDS["[UNK]"], lowercase=lowercase).pieces(text):
        assert end <= piece.start < piece.end <= len(text)
        end = piece.end
        raw = text[piece.start : piece.end]
        assert raw == raw.strip() and upstream(raw, IDS, lowercase) == piece.ids


def test_what_is_remembered_is_bounded_and_changes_nothing(monkeypatch):
    monkeypatch.setattr(wordpiece, "MEMO_SIZE", 8)
    monkeypatch.setattr(wordpiece, "WORDS_SIZE", 8)
    tokenizer = WordPiece(IDS, IDS["[UNK]"], lowercase=False)
    text = " ".join(f"{a}{b}" for a in "abcde" for b in "inors")
    expected = upstream(text, IDS, False)
    for _ in range(3):
        assert tokenizer.encode(text).tolist() == expected
        assert len(tokenizer._memo) <= 8 and len(tokenizer._words) <= 8


@pytest.mark.parametrize("cased", [True, False])
def test_real_text_as_upstream(shared_data, cased):
    tokens = read_vocab(shared_data / "vocab/biobert-cased/vocab.txt")
    if not cased:
        tokens = list(dict.fromkeys(token.lower() for token in tokens[106:]))
        tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *tokens]
    vocab = {token: number for number, token in enumerate(tokens)}
    tokenizer = WordPiece(vocab, vocab["[UNK]"], lowercase=not cased)
    with gzip.open(shared_data / "corpus/text/abstracts.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line, _ in zip(lines, range(300), strict=False)]
    for text in texts:
        np.testing.assert_array_equal(tokenizer.encode(text), upstream(text, vocab, not cased))
