"""BERT's WordPiece, id for id as upstream's `tokenization.py`, at some forty times its speed.

Source: google-research/bert, `tokenization.py`: BasicTokenizer, then greedy longest match. What
that algorithm makes of a text is what it makes of each stretch between two spaces, put together;
and a corpus repeats its stretches. So each is worked out once, remembered as bytes, and a text
costs a split, a look-up for each stretch and one join, all in C.
"""

import unicodedata
from array import array
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

# As upstream's `max_input_chars_per_word`: a longer word is unknown.
MAX_WORD_CHARACTERS = 200
# Stretches remembered, and words of such. They are forgotten all at once when they become more: 30
# MB at most for usual text, and the frequent ones are back within a second. Twice as many would be
# some 5 % faster, and a worker would grow for as long as its first 100 MB of text.
MEMO_SIZE = 1 << 17
WORDS_SIZE = 1 << 16
# A longer stretch (a sequence, a URL) is not remembered.
MEMO_CHARACTERS = 64


class Piece(NamedTuple):
    """A basic token: `text[start:end]` gave it, and the ids of its word pieces (never none)."""

    start: int
    end: int
    ids: list[int]


class _Memo(dict):
    """Stretches of text to their ids as the bytes of an int32 array, made when first asked for."""

    def __init__(self, encode):
        super().__init__()
        self._encode = encode

    def __missing__(self, stretch: str) -> bytes:
        encoded = array("i", self._encode(stretch)).tobytes()
        if len(stretch) <= MEMO_CHARACTERS:
            if len(self) >= MEMO_SIZE:
                self.clear()
            self[stretch] = encoded
        return encoded


class WordPiece:
    """Turns text into ids by a vocabulary.

    Upstream strips accents where it lower-cases, and only there, and sets every CJK character
    apart; `strip_accents` and `split_cjk` are for models made otherwise.
    """

    def __init__(
        self,
        ids: Mapping[str, int],
        unknown: int,
        *,
        lowercase: bool,
        strip_accents: bool | None = None,
        split_cjk: bool = True,
    ):
        self._ids = ids
        self._unknown = unknown
        self._lowercase = lowercase
        self._strip_accents = lowercase if strip_accents is None else strip_accents
        self._split_cjk = split_cjk
        self._cleaned, self._spaced = _TABLES[split_cjk]
        # The longest entry bounds the greedy search.
        self._longest = max(map(len, ids))
        self._memo = _Memo(self._stretch_ids)
        self._words: dict[str, list[int]] = {}

    def encode(self, text: str) -> np.ndarray:
        """The ids of a text, int32 [n], read-only."""
        # Not by white space at large: upstream drops some of what Python counts as such.
        return np.frombuffer(b"".join(map(self._memo.__getitem__, text.split(" "))), np.intc)

    def pieces(self, text: str) -> list[Piece]:
        """The text's basic tokens with their offsets (code points) and ids."""
        return [Piece(*span, self._word_ids(token)) for token, span in self._placed_tokens(text)]

    def _stretch_ids(self, stretch: str) -> list[int]:
        ids: list[int] = []
        for token in self._basic_tokens(stretch):
            ids += self._word_ids(token)
        return ids

    def _basic_tokens(self, text: str) -> list[str]:
        if not self._lowercase and not self._strip_accents:
            return text.translate(self._spaced).split()
        tokens = []
        for word in text.translate(self._cleaned).split():
            folded = word.lower() if self._lowercase else word
            if self._strip_accents:
                folded = unicodedata.normalize("NFD", folded).translate(_UNACCENTED)
            tokens += folded.translate(self._spaced).split()
        return tokens

    def _word_ids(self, word: str) -> list[int]:
        found = self._words.get(word)
        if found is None:
            found = self._split(word)
            if len(self._words) >= WORDS_SIZE:
                self._words.clear()
            self._words[word] = found
        return found

    def _split(self, word: str) -> list[int]:
        """Greedy longest match first; all of the word is unknown if any of it is."""
        if len(word) > MAX_WORD_CHARACTERS:
            return [self._unknown]
        find = self._ids.get
        ids = []
        start, prefix = 0, ""
        while start < len(word):
            for end in range(min(len(word), start + self._longest), start, -1):
                piece = find(prefix + word[start:end])
                if piece is not None:
                    break
            else:
                return [self._unknown]
            ids.append(piece)
            start, prefix = end, "##"
        return ids

    def _placed_tokens(self, text: str) -> Iterator[tuple[str, tuple[int, int]]]:
        """As `_basic_tokens`, and where in the text each token is from."""
        for characters, places in _words(text, self._split_cjk):
            if self._lowercase:
                characters, places = _lower(characters, places)
            if self._strip_accents:
                characters, places = _unaccented(characters, places)
            yield from _split_punctuation(characters, places)


def basic_words(text: str) -> list[tuple[int, int]]:
    """The words of a text where case is kept, as spans of code points, whatever the vocabulary.

    Runs between white space, every punctuation mark and every CJK character by itself; what
    upstream cleans away is in none, unless it stands inside of one.
    """
    return [
        span
        for characters, places in _words(text, split_cjk=True)
        for _, span in _split_punctuation(characters, places)
    ]


class _CharacterTable(dict):
    """What `str.translate` makes of each code point, found out when the first one comes."""

    def __init__(self, replace: Callable[[str], str]):
        super().__init__()
        self._replace = replace

    def __missing__(self, point: int) -> str:
        self[point] = replacement = self._replace(chr(point))
        return replacement


def _tables(split_cjk: bool) -> tuple[_CharacterTable, _CharacterTable]:
    def clean(character: str) -> str:
        if _is_space(character):
            return " "
        if _is_dropped(character):
            return ""
        return f" {character} " if split_cjk and _is_cjk(ord(character)) else character

    # The second does both steps of upstream's BasicTokenizer at once, where case stays: cleaning
    # does not hang on punctuation, and no punctuation mark is cleaned away.
    return (
        _CharacterTable(clean),
        _CharacterTable(lambda c: f" {c} " if _is_punctuation(c) else clean(c)),
    )


_TABLES = {split_cjk: _tables(split_cjk) for split_cjk in (True, False)}
_UNACCENTED = _CharacterTable(lambda c: "" if unicodedata.category(c) == "Mn" else c)


def _words(text: str, split_cjk: bool) -> Iterator[tuple[str, list[int]]]:
    """Runs between white space, CJK characters alone, without what upstream cleans away.

    Yields (characters, their places in `text`).
    """
    characters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        is_alone = split_cjk and _is_cjk(ord(character))
        if characters and (is_alone or _is_space(character)):
            yield "".join(characters), places
            characters, places = [], []
        if is_alone:
            yield character, [place]
        elif not _is_space(character) and not _is_dropped(character):
            characters.append(character)
            places.append(place)
    if characters:
        yield "".join(characters), places


def _lower(word: str, places: list[int]) -> tuple[str, list[int]]:
    """Lower case. It may change the number of characters, not their order."""
    # A character gives as many lower-case ones by itself as in its word (only a final sigma
    # depends on what is around it).
    return word.lower(), [p for c, p in zip(word, places, strict=True) for _ in c.lower()]


def _unaccented(word: str, places: list[int]) -> tuple[str, list[int]]:
    """Without accents. A character gives as many decomposed ones by itself as in its word."""
    decomposed = unicodedata.normalize("NFD", word)
    places = [p for c, p in zip(word, places, strict=True) for _ in unicodedata.normalize("NFD", c)]
    kept = [
        (c, p) for c, p in zip(decomposed, places, strict=True) if unicodedata.category(c) != "Mn"
    ]
    return "".join(c for c, _ in kept), [p for _, p in kept]


def _split_punctuation(word: str, places: list[int]) -> Iterator[tuple[str, tuple[int, int]]]:
    start = 0
    for index, character in enumerate(word):
        if _is_punctuation(character):
            if index > start:
                yield word[start:index], (places[start], places[index - 1] + 1)
            yield character, (places[index], places[index] + 1)
            start = index + 1
    if start < len(word):
        yield word[start:], (places[start], places[-1] + 1)


def _is_space(character: str) -> bool:
    # Upstream turns Zs, tab and line ends into spaces, then splits by Python's `str.split`. What
    # that splits at besides (U+0085, form feeds, …) is a control character, which has been
    # dropped by then; the separators of lines and paragraphs are not.
    return character in " \t\n\r\u2028\u2029" or unicodedata.category(character) == "Zs"


def _is_dropped(character: str) -> bool:
    return character in "\x00\ufffd" or unicodedata.category(character) in ("Cc", "Cf")


def _is_punctuation(character: str) -> bool:
    point = ord(character)
    if point < 128:
        return 33 <= point <= 47 or 58 <= point <= 64 or 91 <= point <= 96 or 123 <= point <= 126
    return unicodedata.category(character).startswith("P")


def _is_cjk(point: int) -> bool:
    """The CJK Unified Ideographs blocks that upstream sets apart; kana and Hangul are words."""
    return point >= 0x3400 and (
        0x4E00 <= point <= 0x9FFF
        or point <= 0x4DBF
        or 0xF900 <= point <= 0xFAFF
        or 0x20000 <= point <= 0x2A6DF
        or 0x2A700 <= point <= 0x2B73F
        or 0x2B740 <= point <= 0x2B81F
        or 0x2B820 <= point <= 0x2CEAF
        or 0x2F800 <= point <= 0x2FA1F
    )
