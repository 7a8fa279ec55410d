"""Token ids back to text that people can read; WordPiece does not keep the spaces of a text."""

from collections.abc import Sequence

from biobert_jax.corpus.text.tokenization import Tokenizer

_OPENING = frozenset("([{/-")
_CLOSING = frozenset(".,;:!?)]}%/-'")


def piece_texts(tokenizer: Tokenizer) -> list[str]:
    """The text of every id, after a space where it starts a word."""
    if tokenizer.kind == "wordpiece":
        return [t[2:] if t.startswith("##") and len(t) > 2 else f" {t}" for t in tokenizer.tokens]
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer.path))
    texts = [processor.id_to_piece(i).replace("\u2581", " ") for i in range(len(processor))]
    for index in tokenizer.special:
        texts[index] = f" {texts[index]}"
    return texts


def decode_pieces(ids: Sequence[int], texts: Sequence[str]) -> list[str]:
    """What each token adds to a text that can be read, so that joined they are that text.

    A token that starts a word begins with a space, but not before closing punctuation, nor after
    opening punctuation or a hyphen: where WordPiece's text had spaces there is a guess.

    Args:
      ids: token ids.
      texts: of `piece_texts`.
    """
    shown: list[str] = []
    for index in ids:
        text = texts[index]
        word = text[1:]
        if text.startswith(" ") and shown:
            before = shown[-1].strip()
            is_decimal = before == "." and word[:1].isdigit() and shown[-2:][0][-1:].isdigit()
            if word in _CLOSING or before in _OPENING or is_decimal:
                text = word
        shown.append(text)
    if shown:
        shown[0] = shown[0].removeprefix(" ")
    return shown
