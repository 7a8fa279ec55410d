"""WordPiece by Hugging Face `tokenizers` and SentencePiece, in the layouts that BERT wants.

Both are functions of their documents: the same ones give the same vocabulary, byte for byte.
"""

import io
from collections import Counter
from collections.abc import Iterator, Sequence

from biobert_jax.corpus.text.tokenization import SPECIAL_NAMES
from biobert_jax.corpus.text.vocabulary import passages
from biobert_jax.errors import UserError

MIN_SIZE = 100
# Single characters a WordPiece vocabulary has at most, the most frequent ones: each may take two
# tokens, so of a small vocabulary they get half. The rest are [UNK].
MAX_ALPHABET = 1000
# Longer words are [UNK] to BERT's tokenizer.
_MAX_WORD = 200


def train_wordpiece(documents: Sequence[bytes], size: int, *, lowercase: bool = False) -> list[str]:
    """The tokens of a WordPiece vocabulary in the order of their ids: the special ones, single
    characters, `##` and single characters, then pieces in the order in which they were merged.

    Args:
      documents: UTF-8, a passage a line.
      size: tokens at most; a small sample gives fewer.

    Raises:
      UserError: `size` too small; no text.
    """
    import tokenizers

    check_size(size)
    words = count_words(documents, lowercase=lowercase)
    frequencies: Counter[str] = Counter()
    for word, count in words.items():
        for character in word:
            frequencies[character] += count
    # An upper-case letter that has no lower case would make the vocabulary a cased one.
    allowed = [c for c in frequencies if not lowercase or c == c.lower()]
    allowed.sort(key=lambda c: (-frequencies[c], c))
    alphabet = set(allowed[: min(MAX_ALPHABET, max(size // 4, MIN_SIZE // 4))])
    words = {w: n for w, n in words.items() if len(w) <= _MAX_WORD and alphabet.issuperset(w)}
    if not words:
        raise UserError("--input holds no text to train a vocabulary on")
    inside = {"##" + character for word in words for character in word[1:]}
    # The trainer numbers the characters in the order of a hash map, which differs from process to
    # process, and breaks ties between merges by those numbers. As "special" tokens they come in
    # our order (huggingface/tokenizers issue 1794).
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=size,
        special_tokens=[*SPECIAL_NAMES, *sorted(alphabet), *sorted(inside)],
        show_progress=False,
        continuing_subword_prefix="##",
    )
    wordpiece = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    wordpiece.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    wordpiece.train_from_iterator(_repeated(words), trainer)
    ids = wordpiece.get_vocab()
    return sorted(ids, key=ids.__getitem__)


def train_sentencepiece(documents: Sequence[bytes], size: int, *, lowercase: bool = False) -> bytes:
    """A serialized SentencePiece model (unigram) in which [PAD] is 0 and [UNK] is 1.

    [CLS], [SEP] and [MASK] are control symbols: text that spells them does not become them. The
    trainer builds a suffix array of the whole text: some 25 bytes of memory a character.

    Args:
      documents: UTF-8, a passage a line.
      size: pieces at most; a small sample gives fewer.

    Raises:
      UserError: `size` too small for the text's characters; no text.
    """
    import sentencepiece

    check_size(size)
    pad, unk, *others = SPECIAL_NAMES
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=passages(documents),
            model_writer=model,
            model_type="unigram",
            vocab_size=size,
            hard_vocab_limit=False,
            normalization_rule_name="nmt_nfkc_cf" if lowercase else "nmt_nfkc",
            pad_id=0,
            unk_id=1,
            # Rarer characters are [UNK]; the default leaves out ten times as many.
            character_coverage=0.99995,
            bos_id=-1,
            eos_id=-1,
            pad_piece=pad,
            unk_piece=unk,
            control_symbols=others,
            max_sentence_length=1 << 30,
            # Sums are made in the order of the threads: their number belongs to the result.
            num_threads=2,
            minloglevel=2,
        )
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise UserError(f"--size {size}: SentencePiece says: {reason}") from error
    return model.getvalue()


def count_words(documents: Sequence[bytes], *, lowercase: bool = False) -> Counter[str]:
    """BERT's words of documents (each punctuation mark and CJK character its own), counted.

    Args:
      documents: UTF-8, a passage a line.
      lowercase: whether case and accents are folded.
    """
    import tokenizers

    normalizer = tokenizers.normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=lowercase, lowercase=lowercase
    )
    splitter = tokenizers.pre_tokenizers.BertPreTokenizer()
    # Nothing of BERT's clean-up reaches across white space, so each spelling is split once.
    spellings: Counter[str] = Counter()
    for document in documents:
        spellings.update(document.decode("utf-8").split())
    words: Counter[str] = Counter()
    for spelling, count in spellings.items():
        if spelling.isascii() and spelling.isalnum():
            words[spelling.lower() if lowercase else spelling] += count
            continue
        for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(spelling)):
            words[word] += count
    return words


def _repeated(words: dict[str, int]) -> Iterator[str]:
    """Text in which each word stands as often as it was counted: the trainer takes no counts."""
    lines: list[str] = []
    length = 0
    for word, count in words.items():
        while count:
            part = min(count, 10_000)
            lines.append((word + " ") * part)
            length += part
            count -= part
            if length >= 10_000:
                yield "".join(lines)
                lines, length = [], 0
    yield "".join(lines)


def check_size(size: int) -> None:
    """Raises UserError for a size that no vocabulary of ours can have."""
    if size < MIN_SIZE:
        raise UserError(f"--size {size}: a vocabulary needs {MIN_SIZE} tokens")
