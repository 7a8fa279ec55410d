"""Text to token ids: WordPiece or SentencePiece, from one file and what stands beside it.

Whether text is lower-cased and stripped of accents is what the vocabulary's own files say (see
`tokenizer_files`), else whether its pieces have capitals.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from biobert_jax.corpus.text.tokenizer_files import (
    FAST,
    MOST_CAPITALS_UNCASED,
    SPECIAL_NAMES,
    AddedToken,
    TokenizerOptions,
    capitals,
    kept_options,
    read_tokenizer_files,
)
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
    file_name: str  # that the vocabulary has in folders of ours
    tokens: list[str]
    options: TokenizerOptions
    cased: bool
    vocab_size: int
    special: SpecialTokens

    def vocab_bytes(self) -> bytes:
        """The vocabulary as its file in folders of ours holds it."""

    def vocab_sha256(self) -> str:
        """Of `vocab_bytes`, in hexadecimal."""

    def encode(self, text: str) -> np.ndarray:
        """Ids of a text, int32 [n], without special tokens."""

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text, as lists."""

    def words(self, text: str) -> list[Word]:
        """The text's words (each punctuation mark its own) with offsets and pieces."""

    def continuation_table(self) -> np.ndarray:
        """bool [vocab_size]: pieces that do not start a word."""


class WordPieceTokenizer:
    """BERT's tokenizer over a `vocab.txt` or a `tokenizer.json`."""

    kind = "wordpiece"
    file_name = "vocab.txt"

    def __init__(self, path: Path, do_lower_case: bool | None = None):
        self.path = path
        lines = None if path.name == FAST else read_vocab(path)
        self.tokens, self.options = read_tokenizer_files(path, lines, do_lower_case)
        # Kept, since what is saved hours later must not hang on a file that may be gone by then.
        self._bytes = "".join(f"{token}\n" for token in self.tokens).encode("utf-8")
        if lines is not None and len(lines) == len(self.tokens):
            self._bytes = path.read_bytes()
        ids = {token: index for index, token in enumerate(self.tokens)}
        self.special = SpecialTokens(*(_special_id(ids, name, path) for name in SPECIAL_NAMES))
        self.vocab_size = len(self.tokens)
        self.cased = not self.options.do_lower_case
        self._wordpiece = WordPiece(
            ids,
            self.special.unk,
            lowercase=self.options.do_lower_case,
            strip_accents=self.options.strip_accents,
            split_cjk=self.options.tokenize_chinese_chars,
        )
        lost = [t.content for t in self.options.added_tokens if t.content not in ids]
        if lost:
            raise UserError(f"{path}: the added token {lost[0]!r} is not in this vocabulary")
        self._ids = ids
        # Of added tokens that begin alike the longest is found, as transformers does.
        self._added_tokens = sorted(self.options.added_tokens, key=lambda t: -len(t.content))
        self._added = _added_pattern(self._added_tokens, self.options.do_lower_case)

    def encode(self, text: str) -> np.ndarray:
        if self._added is None or not self._added.search(text):
            return self._wordpiece.encode(text)
        parts = [
            self._wordpiece.encode(text[start:end]) if index is None else [index]
            for start, end, index in self._segments(text)
        ]
        return np.concatenate(parts).astype(np.intc)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        return [self.encode(text).tolist() for text in texts]

    def words(self, text: str) -> list[Word]:
        if self._added is None:
            return [Word(*piece) for piece in self._wordpiece.pieces(text)]
        words = []
        for start, end, index in self._segments(text):
            if index is not None:
                words.append(Word(start, end, [index]))
                continue
            for piece in self._wordpiece.pieces(text[start:end]):
                words.append(Word(piece.start + start, piece.end + start, piece.ids))
        return words

    def _segments(self, text: str) -> Iterator[tuple[int, int, int | None]]:
        """Cuts a text at added tokens: (start, end, the token's id or None)."""
        place = 0
        for match in self._added.finditer(text):
            if match.start() > place:
                yield place, match.start(), None
            token = self._added_tokens[match.lastindex - 1]
            yield *match.span(), self._ids[token.content]
            place = match.end()
        if place < len(text):
            yield place, len(text), None

    def vocab_bytes(self) -> bytes:
        return self._bytes

    def vocab_sha256(self) -> str:
        return hashlib.sha256(self.vocab_bytes()).hexdigest()

    def save_json(self, path: Path) -> None:
        """Writes Hugging Face's `tokenizer.json`, which adds [CLS] and [SEP] as BERT does."""
        import tokenizers

        options = self.options
        ids = {token: index for index, token in enumerate(self.tokens)}
        copy = tokenizers.Tokenizer(
            tokenizers.models.WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=200)
        )
        copy.normalizer = tokenizers.normalizers.BertNormalizer(
            clean_text=True,
            handle_chinese_chars=options.tokenize_chinese_chars,
            strip_accents=options.strip_accents,
            lowercase=options.do_lower_case,
        )
        copy.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
        copy.decoder = tokenizers.decoders.WordPiece()
        copy.add_special_tokens(list(SPECIAL_NAMES))
        for token in options.added_tokens:
            copy.add_tokens(
                [
                    tokenizers.AddedToken(
                        token.content,
                        normalized=token.normalized,
                        single_word=token.single_word,
                        special=token.special,
                    )
                ]
            )
        copy.post_processor = tokenizers.processors.BertProcessing(
            ("[SEP]", self.special.sep), ("[CLS]", self.special.cls)
        )
        copy.save(str(path))

    def continuation_table(self) -> np.ndarray:
        return np.array([token.startswith("##") for token in self.tokens])


class SentencePieceTokenizer:
    """A SentencePiece `.model`; it must hold [CLS], [SEP] and [MASK] as symbols."""

    kind = "sentencepiece"
    file_name = "vocab.model"
    # As BERT's words: runs of letters and digits, and each other visible character alone.
    _WORD = re.compile(r"[^\W_]+|[^\s]")

    def __init__(self, path: Path, do_lower_case: bool | None = None):
        import sentencepiece

        self.path = path
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
        except (OSError, RuntimeError) as error:
            raise UserError(f"{path}: not a SentencePiece model ({error})") from error
        self.vocab_size = self._processor.get_piece_size()
        self.tokens = pieces = [self._processor.id_to_piece(i) for i in range(self.vocab_size)]
        ids = {piece: index for index, piece in enumerate(pieces)}
        ids.setdefault("[PAD]", self._processor.pad_id())
        ids.setdefault("[UNK]", self._processor.unk_id())
        self.special = SpecialTokens(*(_special_id(ids, name, path) for name in SPECIAL_NAMES))
        controls = set(self.special)
        kept = kept_options(path) if do_lower_case is None else None
        if kept is None:
            # A model normalises text itself; what is left to find out is whether it expects text
            # that was lower-cased before.
            upper, letters = capitals(pieces)
            lower = upper <= MOST_CAPITALS_UNCASED * letters
            kept = TokenizerOptions(lower if do_lower_case is None else do_lower_case, False)
        self.options = kept
        self.cased = not kept.do_lower_case
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

    def vocab_bytes(self) -> bytes:
        return self._processor.serialized_model_proto()

    def vocab_sha256(self) -> str:
        return hashlib.sha256(self.vocab_bytes()).hexdigest()

    def _fold(self, text: str) -> str:
        return text if self.cased else text.lower()


def load_tokenizer(path: str | os.PathLike, *, do_lower_case: bool | None = None) -> Tokenizer:
    """Opens a vocabulary: a SentencePiece `.model`, a `tokenizer.json`, else one token a line.

    Args:
      path: the file, or a folder that holds one.
      do_lower_case: what the user says; None: what the files beside it say, else its pieces.

    Raises:
      UserError: no such file; not UTF-8; a token twice; a special token missing; files that
        contradict each other (see `read_tokenizer_files`).
    """
    path = Path(path)
    if path.is_dir():
        names = ("vocab.txt", "vocab.model", FAST)
        found = [path / name for name in names if (path / name).is_file()]
        if not found:
            raise UserError(f"{path}: no such vocabulary file: {', '.join(names)}")
        path = found[0]
    if not path.is_file():
        raise UserError(f"{path}: no such vocabulary file")
    kind = SentencePieceTokenizer if path.suffix == ".model" else WordPieceTokenizer
    return kind(path, do_lower_case)


def read_vocab(path: Path) -> list[str]:
    """The tokens of a `vocab.txt`, in the order of their ids."""
    content = path.read_bytes()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UserError(f"{path}: this is UTF-16: convert it: iconv -f UTF-16 -t UTF-8")
    try:
        lines = content.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 at byte {error.start}: convert the file") from error
    tokens = [line.rstrip("\r") for line in lines]
    while tokens and not tokens[-1]:
        tokens.pop()
    if "[PAD]" not in tokens:
        _refuse_columns(path, tokens)
    if len(set(tokens)) < len(tokens):
        seen: set[str] = set()
        for number, token in enumerate(tokens, 1):
            if token in seen:
                raise UserError(f"{path}:{number}: token {token!r} stands twice")
            seen.add(token)
    return tokens


def _refuse_columns(path: Path, lines: Sequence[str]) -> None:
    """Names what other programs write beside the tokens: counts, ids or scores."""
    for number, line in enumerate(lines, 1):
        fields = line.split()
        if len(fields) > 1 and fields[0] in SPECIAL_NAMES:
            raise UserError(
                f"{path}:{number}: a second column ({fields[1]!r}): a vocabulary has one token a "
                "line and nothing else: keep the first column (cut -f1)"
            )


def _added_pattern(tokens: Sequence[AddedToken], lower: bool) -> re.Pattern[str] | None:
    """A group for each added token; of those that begin at one place the first is found."""
    groups = []
    for token in tokens:
        literal = re.escape(token.content)
        if token.normalized and lower:
            literal = f"(?i:{literal})"
        if token.single_word:
            literal = rf"(?<!\w){literal}(?!\w)"
        groups.append(f"({literal})")
    return re.compile("|".join(groups)) if groups else None


def _special_id(ids: dict[str, int], name: str, path: Path) -> int:
    index = ids.get(name, -1)
    if index < 0:
        raise UserError(
            f"{path}: the vocabulary has no {name}: BERT needs {' '.join(SPECIAL_NAMES)}"
        )
    return index
