"""Tokenizers: cased or not by the vocabulary, offsets into the raw text, errors."""

import json

import pytest
import sentencepiece
import tokenizers
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
        ([f"{token}\t{n}" for n, token in enumerate(SPECIAL)], r":1: a second column \('0'\)"),
        ([f"{token} 9" for token in ["the", *SPECIAL]], r":2: a second column"),
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


def vocabulary(share: float) -> list[str]:
    """Pieces of which such a share have a capital."""
    count = round(200 * share)
    names = [f"{a}{b}" for a in LETTERS for b in LETTERS][:200]
    return [*SPECIAL, *(name.title() for name in names[:count]), *names[count:]]


@pytest.fixture
def folder(tmp_path):
    """Makes a model's folder: a vocabulary, and what its tokenizer files say."""

    def make(tokens, config=None, fast=None, *, vocab=True):
        if vocab:
            write_vocab(tmp_path / "vocab.txt", tokens)
        if config is not None:
            (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
        if fast is not None:
            (tmp_path / "tokenizer.json").write_text(json.dumps(fast))
        return tmp_path

    return make


def fast_tokenizer(tokens, *, added=(), **normalizer):
    """A `tokenizer.json` as transformers writes it."""
    ids = {token: index for index, token in enumerate(tokens)}
    special = [{"id": ids[name], "content": name, "special": True} for name in SPECIAL]
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
    return {
        "added_tokens": [flags | token for token in (*special, *added)],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
            **normalizer,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": ids,
        },
    }


@pytest.mark.parametrize("share, cased", [(0, False), (0.005, False), (0.07, True), (0.3, True)])
def test_a_share_of_capitals_decides_and_not_one(folder, share, cased):
    assert load_tokenizer(folder(vocabulary(share))).cased is cased


def test_where_the_pieces_do_not_show_it_somebody_must_say_it(folder):
    path = folder(vocabulary(0.02)) / "vocab.txt"
    with pytest.raises(UserError, match=r"cased or not\? 4 of 200 .* --do_lower_case"):
        load_tokenizer(path)
    assert load_tokenizer(path, do_lower_case=False).cased
    folder(vocabulary(0.02), {"do_lower_case": True})
    assert not load_tokenizer(path).cased
    assert load_tokenizer(path, do_lower_case=False).cased  # who calls knows better


def test_an_uncased_model_with_a_token_in_capitals_stays_uncased(folder):
    tokens = [*vocabulary(0), "COVID"]
    tokenizer = load_tokenizer(folder(tokens, {"do_lower_case": True}))
    assert not tokenizer.cased and tokenizer.encode_batch(["AA"]) == [[5]]


@pytest.mark.parametrize(
    "share, config, fast, message",
    [
        (0, {"do_lower_case": False}, None, "do_lower_case is false, but vocab.txt is uncased"),
        (0.2, {"do_lower_case": True}, None, r"config.json: .* cased \(40 of 200 pieces"),
        (0.2, {"do_lower_case": False}, {}, "is false, tokenizer.json beside it says true"),
        (0, {"do_lower_case": True, "strip_accents": False}, {"strip_accents": True}, "accents"),
        (0.2, None, {}, "tokenizer.json: do_lower_case is true, but"),
        (0, {"do_lower_case": "yes"}, None, "do_lower_case is 'yes': true or false"),
        (0, {"tokenizer_class": "BertJapaneseTokenizer"}, None, "Japanese"),
        (0, [], None, "tokenizer_config.json: not a JSON object but a list: it is damaged"),
        (0, {"added_tokens_decoder": {"7": {"content": "x"}}}, None, "'x' has the id 7, which is"),
        (0, None, {"type": "NFC"}, "normalizer is 'NFC', not 'BertNormalizer'"),
    ],
)
def test_tokenizer_files_that_contradict_each_other(folder, share, config, fast, message):
    tokens = vocabulary(share)
    fast = None if fast is None else fast_tokenizer(tokens, **fast)
    with pytest.raises(UserError, match=message):
        load_tokenizer(folder(tokens, config, fast))


def test_damaged_and_foreign_tokenizer_files(folder):
    path = folder(vocabulary(0), fast=fast_tokenizer([*vocabulary(0)[:-1], "other"]))
    with pytest.raises(UserError, match="id 204 is 'hr' and 'other'.: remove"):
        load_tokenizer(path)
    for content, message in [
        ("{", "not JSON"),
        ("{}", "not a tokenizer of transformers"),
        (json.dumps({"model": {"type": "Unigram"}}), "model is 'Unigram', not 'WordPiece'"),
        (
            json.dumps(fast_tokenizer(SPECIAL)).replace('"[MASK]": 4', '"[MASK]": 9'),
            "ids of its vocabulary are not 0 to 4",
        ),
        *(
            (
                json.dumps(fast_tokenizer(SPECIAL) | {"added_tokens": [token]}),
                "not a tokenizer of transformers",
            )
            for token in ({"id": None, "content": "x"}, {"id": 5, "content": 5}, {"id": 5}, 5)
        ),
    ]:
        (path / "tokenizer.json").write_text(content)
        with pytest.raises(UserError, match=message):
            load_tokenizer(path)


def test_a_folder_of_transformers_5_has_its_vocabulary_in_tokenizer_json(folder):
    tokens = vocabulary(0.2)
    path = folder(tokens, fast=fast_tokenizer(tokens, lowercase=False), vocab=False)
    tokenizer = load_tokenizer(path)
    assert tokenizer.cased and tokenizer.tokens == tokens
    assert tokenizer.vocab_bytes().decode().splitlines() == tokens


def test_added_tokens_are_found_before_words_are(folder):
    added = [
        {"id": 205, "content": "ab-1", "normalized": True},
        {"id": 206, "content": "@GENE$", "normalized": False, "special": True},
    ]
    fast = fast_tokenizer(vocabulary(0), added=added)
    tokenizer = load_tokenizer(folder(None, fast=fast, vocab=False))
    text = "ac AB-1ad @GENE$, @gene$"
    words = tokenizer.words(text)
    assert [text[w.start : w.end] for w in words[:4]] == ["ac", "AB-1", "ad", "@GENE$"]
    assert [w.ids for w in words[1:4:2]] == [[205], [206]]
    ids = [i for word in words for i in word.ids]
    assert tokenizer.encode_batch([text]) == [ids] and ids.count(206) == 1


@pytest.mark.parametrize("strip", [False, True])
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("cjk", [False, True])
def test_flags_give_transformers_ids_and_offsets(folder, lower, strip, cjk):
    capitals = () if lower else ("É", "E", "X")
    tokens = ["é", "e", "中", "文", "中文", "x", "y", ",", *capitals]
    tokens = [*SPECIAL, *tokens, *("##" + token for token in tokens)]
    flags = {"lowercase": lower, "strip_accents": strip, "handle_chinese_chars": cjk}
    path = folder(None, fast=fast_tokenizer(tokens, **flags), vocab=False)
    text = "ÉX e\u0301 中文x, éE文 Y"
    theirs = tokenizers.Tokenizer.from_file(str(path / "tokenizer.json")).encode(text)
    tokenizer = load_tokenizer(path)
    words = tokenizer.words(text)
    assert [i for word in words for i in word.ids] == theirs.ids
    assert tokenizer.encode_batch([text]) == [theirs.ids]
    spans = [theirs.word_to_chars(number) for number in sorted(set(theirs.word_ids))]
    assert [(word.start, word.end) for word in words] == spans


@pytest.mark.parametrize("name", ["manifest.json", "arrays.json"])
def test_what_a_data_set_says_of_its_vocabulary_counts(folder, name):
    path = folder(vocabulary(0.02))
    options = load_tokenizer(path / "vocab.txt", do_lower_case=True).options
    section = {"file": "vocab.txt", **options.to_dict()}
    (path / name).write_text(json.dumps({"tokenizer": section}))
    assert load_tokenizer(path / "vocab.txt").options == options
    (path / name).write_text(json.dumps({"tokenizer": {"file": "vocab.txt", "cased": True}}))
    assert load_tokenizer(path / "vocab.txt").cased
