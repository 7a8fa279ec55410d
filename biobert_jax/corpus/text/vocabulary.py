"""Training a vocabulary from a corpus."""

from collections.abc import Iterator, Sequence

from biobert_jax.corpus.readers import open_documents
from biobert_jax.corpus.text.tokenization import SPECIAL_NAMES
from biobert_jax.errors import UserError


def train_wordpiece(
    inputs: Sequence[str], format: str, size: int, *, lowercase: bool = False
) -> list[str]:
    """The tokens of a WordPiece vocabulary, special ones first, in the order of their ids.

    Args:
      inputs: files of `format`, all read.
      size: tokens at most; a small corpus gives fewer.

    Raises:
      UserError: `size` too small; no text.
      CorpusFileError: a bad file.
    """
    import tokenizers

    if size < 100:
        raise UserError(f"--size {size}: a vocabulary needs 100 tokens")
    wordpiece = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    wordpiece.normalizer = tokenizers.normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=True, strip_accents=lowercase, lowercase=lowercase
    )
    wordpiece.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=size,
        special_tokens=list(SPECIAL_NAMES),
        show_progress=False,
        continuing_subword_prefix="##",
    )

    def passages() -> Iterator[str]:
        for path in inputs:
            for document in open_documents(path, format):
                yield from document.passages

    wordpiece.train_from_iterator(passages(), trainer)
    ids = wordpiece.get_vocab()
    if len(ids) <= len(SPECIAL_NAMES):
        raise UserError("--input holds no text to train a vocabulary on")
    return sorted(ids, key=ids.__getitem__)
