"""How well vocabularies fit held-out text: coverage, pieces a word, tokens a megabyte."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from biobert_jax.corpus.text.tokenization import Tokenizer
from biobert_jax.corpus.text.vocabulary import passages
from biobert_jax.corpus.text.vocabulary_trainers import count_words

_BATCH = 1000


@dataclass(frozen=True)
class Fit:
    """A vocabulary's fit to a text; words are BERT's, each punctuation mark one, by occurrence.

    Attributes:
      vocabulary: its file.
      kind: "wordpiece" or "sentencepiece".
      size: its tokens.
      words_covered: share of words without [UNK].
      characters_covered: share of characters that are not [UNK] when they stand alone.
      pieces_per_word: tokens of the running text over words.
      words_whole: share of words that are one piece.
      tokens_per_mb: tokens of the running text over 10^6 bytes of its UTF-8.
    """

    vocabulary: str
    kind: str
    cased: bool
    size: int
    words_covered: float
    characters_covered: float
    pieces_per_word: float
    words_whole: float
    tokens_per_mb: float


def measure_fit(documents: Sequence[bytes], tokenizer: Tokenizer) -> Fit:
    """Measures a vocabulary on documents (UTF-8, a passage a line, not empty)."""
    tokens = 0
    batch: list[str] = []
    for passage in passages(documents):
        batch.append(passage)
        if len(batch) == _BATCH:
            tokens += sum(map(len, tokenizer.encode_batch(batch)))
            batch.clear()
    tokens += sum(map(len, tokenizer.encode_batch(batch)))
    words = count_words(documents)
    characters: Counter[str] = Counter()
    for word, count in words.items():
        for character in word:
            characters[character] += count
    words_covered, words_whole = _shares(words, tokenizer)
    characters_covered, _ = _shares(characters, tokenizer)
    return Fit(
        vocabulary=str(tokenizer.path),
        kind=tokenizer.kind,
        cased=tokenizer.cased,
        size=tokenizer.vocab_size,
        words_covered=words_covered,
        characters_covered=characters_covered,
        pieces_per_word=tokens / words.total(),
        words_whole=words_whole,
        tokens_per_mb=tokens * 1e6 / sum(map(len, documents)),
    )


def _shares(counts: Counter[str], tokenizer: Tokenizer) -> tuple[float, float]:
    """The shares of the counted texts that have no [UNK], and that are one piece."""
    covered = whole = 0
    texts = list(counts)
    # SentencePiece may put its bare word-start mark before a piece that has none; it is no part.
    starts = set(tokenizer.encode_batch(["\u2581"])[0]) if tokenizer.kind != "wordpiece" else set()
    unk = tokenizer.special.unk
    for begin in range(0, len(texts), _BATCH):
        part = texts[begin : begin + _BATCH]
        for text, ids in zip(part, tokenizer.encode_batch(part), strict=True):
            if unk in ids:
                continue
            covered += counts[text]
            if len(ids) == 1 or (len(ids) == 2 and ids[0] in starts):
                whole += counts[text]
    return covered / counts.total(), whole / counts.total()


def format_fits(fits: Sequence[Fit]) -> str:
    """A table for people, a row a vocabulary."""
    header = ("vocabulary", "size", "words without [UNK]", "characters covered")
    header += ("pieces a word", "whole words", "tokens a MB")
    rows = [header] + [
        (
            f"{fit.vocabulary} ({'cased' if fit.cased else 'uncased'})",
            f"{fit.size:,}",
            f"{fit.words_covered:.3%}",
            f"{fit.characters_covered:.4%}",
            f"{fit.pieces_per_word:.3f}",
            f"{fit.words_whole:.2%}",
            f"{fit.tokens_per_mb:,.0f}",
        )
        for fit in fits
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows
    )
    return "\n".join(lines)
