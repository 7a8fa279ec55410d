"""Tokenizers: cased or not by the vocabulary, offsets into the raw text, errors."""

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from biobert_jax.corpus.text.tokenization import load_tokenizer
from biobert_jax.errors import UserError

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def write_vocab(path, tokens):
    path.write_text("".join(f"{t}\n" for t in tokens), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def uncased(tmp_path_factory):
    tokens = [*SPECIAL, *LETTERS, *("##" + c for c in LETTERS), "the", "heart", "##itis", "-", "."]
    return load_tokenizer(write_vocab(tmp_path_factory.mktemp("v") / "vocab.txt", tokens))


def test_uncased_vocabulary_folds_case_and_accents(uncased):
    assert not uncased.cased
    [ids] = uncased.encode_batch(["The HÉARTitis."])
    assert [uncased.tokens[i] for i in ids] == ["the", "heart", "##itis", "."]


def test_cased_vocabulary_does_not(tmp_path):
    tokens = [*SPECIAL, "The", "the", "é", "e"]
    tokenizer = load_tokenizer(write_vocab(tmp_path / "vocab.txt", tokens))
    assert tokenizer.cased
    [ids] = tokenizer.encode_batch(["The é THE"])
    assert [tokenizer.tokens[i] for i in ids] == ["The", "é", "[UNK]"]


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60))
def test_word_offsets_point_into_the_raw_text(uncased, text):
    words = uncased.words(text)
    assert [i for word in words for i in word.ids] == uncased.encode_batch([text])[0]
    end = 0
    for word in words:
        assert end <= word.start < word.end <= len(text)
        assert text[word.start : word.end].strip() == text[word.start : word.end]
        end = word.end


def test_real_vocabulary_has_berts_ids(shared_data):
    tokenizer = load_tokenizer(shared_data / "vocab/biobert-cased/vocab.txt")
    assert tokenizer.cased and tokenizer.vocab_size == 28996
    assert tokenizer.special == (0, 100, 101, 102, 103)
    assert tokenizer.encode_batch(["the"]) == [[1103]]
    table = tokenizer.continuation_table()
    assert table.shape == (28996,) and table.sum() == sum(
        t.startswith("##") for t in tokenizer.tokens
    )


def test_sentencepiece_model_as_vocabulary(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("Aspirin reduces the risk of colitis and gastritis.\n" * 50, encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(text),
        model_prefix=str(tmp_path / "sp"),
        vocab_size=60,
        hard_vocab_limit=False,
        pad_id=0,
        unk_id=1,
        bos_id=-1,
        eos_id=-1,
        pad_piece="[PAD]",
        unk_piece="[UNK]",
        user_defined_symbols="[CLS],[SEP],[MASK]",
        minloglevel=2,
    )
    tokenizer = load_tokenizer(tmp_path / "sp.model")
    assert tokenizer.kind == "sentencepiece" and tokenizer.cased
    text = "Aspirin (gastritis)"
    words = tokenizer.words(text)
    assert [text[w.start : w.end] for w in words] == ["Aspirin", "(", "gastritis", ")"]
    assert all(word.ids for word in words)
    assert not tokenizer.continuation_table()[tokenizer.special.mask]


@pytest.mark.parametrize(
    "tokens, message",
    [
        ([*SPECIAL[:4], "a"], r"has no \[MASK\]"),
        ([*SPECIAL, "a", "a"], "'a' stands twice"),
        ([], r"has no \[PAD\]"),
    ],
)
def test_bad_vocabularies_are_named(tmp_path, tokens, message):
    path = write_vocab(tmp_path / "vocab.txt", tokens)
    with pytest.raises(UserError, match=message) as error:
        load_tokenizer(path)
    assert str(path) in str(error.value)


def test_missing_binary_and_foreign_files(tmp_path):
    with pytest.raises(UserError, match="no such vocabulary"):
        load_tokenizer(tmp_path / "none.txt")
    (tmp_path / "latin.txt").write_bytes(b"[PAD]\n\xe9\n")
    with pytest.raises(UserError, match="not UTF-8 at byte 6"):
        load_tokenizer(tmp_path / "latin.txt")
    (tmp_path / "no.model").write_bytes(b"nothing of the kind")
    with pytest.raises(UserError, match="not a SentencePiece model"):
        load_tokenizer(tmp_path / "no.model")
