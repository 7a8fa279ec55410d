"""Text to token ids: WordPiece or SentencePiece, from one file.

A WordPiece vocabulary with upper-case pieces is cased: its text is neither lower-cased nor
stripped of accents.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from biobert_jax.corpus.text.wordpiece import WordPiece
from biobert_jax.errors import UserError


class SpecialTokens(NamedTuple):
    """Ids of BERT's special tokens."""

    pad: int
    unk: int
    cls: int
    sep: int
    mask: int


class Word(NamedTuple):
    """A word of a text: `text[start:end]` in code points, and its pieces (never none)."""

    start: int
    end: int
    ids: list[int]


class Tokenizer(Protocol):
    """What the rest of the package needs of a tokenizer."""

    kind: str
    path: Path
    cased: bool
    vocab_size: int
    special: SpecialTokens

    def encode(self, text: str) -> np.ndarray:
        """Ids of a text, int32 [n], without special tokens."""

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, as lists."""

    def words(self, text: str) -> list[Word]:
        """The text's words (each punctuation mark its own) with offsets and pieces."""

    def continuation_table(self) -> np.ndarray:
        """bool [vocab_size]: pieces that do not start a word."""


SPECIAL_NAMES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


class WordPieceTokenizer:
    """BERT's tokenizer over a `vocab.txt`."""

    kind = "wordpiece"

    def __init__(self, path: Path):
        self.path = path
        self.tokens = read_vocab(path)
        ids = {token: index for index, token in enumerate(self.tokens)}
        self.special = SpecialTokens(*(_special_id(ids, name, path) for name in SPECIAL_NAMES))
        self.vocab_size = len(self.tokens)
        self.cased = any(
            t != t.lower() for t in self.tokens if not (t.startswith("[") and t.endswith("]"))
        )
        self._wordpiece = WordPiece(ids, self.special.unk, lowercase=not self.cased)

    def encode(self, text: str) -> np.ndarray:
        return self._wordpiece.encode(text)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return [self.encode(text).tolist() for text in texts]

    def words(self, text: str) -> list[Word]:
        return [Word(*piece) for piece in self._wordpiece.pieces(text)]

    def save_json(self, path: Path) -> None:
        """Writes Hugging Face's `tokenizer.json`, which adds [CLS] and [SEP] as BERT does."""
        import tokenizers

        lower = not self.cased
        ids = {token: index for index, token in enumerate(self.tokens)}
        copy = tokenizers.Tokenizer(
            tokenizers.models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=200)
        )
        copy.normalizer = tokenizers.normalizers.BertNormalizer(
            clean_text=True, handle_chinese_chars=True, strip_accents=lower, lowercase=lower
        )
        copy.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
        copy.decoder = tokenizers.decoders.WordPiece()
        copy.add_special_tokens(list(SPECIAL_NAMES))
        copy.post_processor = tokenizers.processors.BertProcessing(
            ("[SEP]", self.special.sep), ("[CLS]", self.special.cls)
        )
        copy.save(str(path))

    def continuation_table(self) -> np.ndarray:
        return np.array([token.startswith("##") for token in self.tokens])


class SentencePieceTokenizer:
    """A SentencePiece `.model`; it must hold [CLS], [SEP] and [MASK] as symbols."""

    kind = "sentencepiece"
    # As BERT's words: runs of letters and digits, and each other visible character alone.
    _WORD = re.compile(r"[^\W_]+|[^\s]")

    def __init__(self, path: Path):
        import sentencepiece

        self.path = path
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
        except (OSError, RuntimeError) as error:
            raise UserError(f"{path}: not a SentencePiece model ({error})") from error
        self.vocab_size = self._processor.get_piece_size()
        pieces = [self._processor.id_to_piece(i) for i in range(self.vocab_size)]
        ids = {piece: index for index, piece in enumerate(pieces)}
        ids.setdefault("[PAD]", self._processor.pad_id())
        ids.setdefault("[UNK]", self._processor.unk_id())
        self.special = SpecialTokens(*(_special_id(ids, name, path) for name in SPECIAL_NAMES))
        controls = set(self.special)
        self.cased = any(p != p.lower() for i, p in enumerate(pieces) if i not in controls)
        self._continuation = np.array(
            [not p.startswith("\u2581") and i not in controls for i, p in enumerate(pieces)]
        )

    def encode(self, text: str) -> np.ndarray:
        return np.array(self._processor.encode(self._fold(text)), np.int32)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return self._processor.encode([self._fold(text) for text in texts])

    def words(self, text: str) -> list[Word]:
        spans = [match.span() for match in self._WORD.finditer(text)]
        pieces = self.encode_batch([text[start:end] for start, end in spans])
        unknown = [self.special.unk]
        return [Word(*span, ids or unknown) for span, ids in zip(spans, pieces, strict=True)]

    def continuation_table(self) -> np.ndarray:
        return self._continuation

    def _fold(self, text: str) -> str:
        return text if self.cased else text.lower()


def load_tokenizer(path: str | os.PathLike) -> Tokenizer:
    """Opens a vocabulary: a SentencePiece `.model`, else one token a line.

    Raises:
      UserError: no such file; not UTF-8; a token twice; a special token missing.
    """
    path = Path(path)
    if path.is_dir():
        path = path / "vocab.txt"
    if not path.is_file():
        raise UserError(f"{path}: no such vocabulary file")
    return SentencePieceTokenizer(path) if path.suffix == ".model" else WordPieceTokenizer(path)


def read_vocab(path: Path) -> list[str]:
    """The tokens of a `vocab.txt`, in the order of their ids."""
    try:
        lines = path.read_bytes().decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 at byte {error.start}: convert the file") from error
    tokens = [line.rstrip("\r") for line in lines]
    while tokens and not tokens[-1]:
        tokens.pop()
    if len(set(tokens)) < len(tokens):
        seen: set[str] = set()
        for number, token in enumerate(tokens, 1):
            if token in seen:
                raise UserError(f"{path}:{number}: token {token!r} stands twice")
            seen.add(token)
    return tokens


def _special_id(ids: dict[str, int], name: str, path: Path) -> int:
    index = ids.get(name, -1)
    if index < 0:
        raise UserError(
            f"{path}: the vocabulary has no {name}: BERT needs {' '.join(SPECIAL_NAMES)}"
        )
    return index
