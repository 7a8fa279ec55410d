"""Tags raw text with a fine-tuned checkpoint."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from biobert_jax.checkpoints.labels import UNTYPED
from biobert_jax.corpus.text.sentences import split_sentences
from biobert_jax.corpus.text.tokenization import Word
from biobert_jax.errors import UserError
from biobert_jax.predict.annotations import AnnotatedDocument, Entity, RawDocument, as_documents
from biobert_jax.tasks.entities import find_entities, threshold_of
from biobert_jax.tasks.fitted import FittedModel
from biobert_jax.tasks.words import encode_words, pack_sentences

_SURROGATES = re.compile("[\ud800-\udfff]")
# Most sentences are short.
_ROW_LENGTHS = (128,)
# Text of the documents that are tagged together, in characters: bounds memory where they are long.
_BLOCK_CHARACTERS = 1 << 20


class EntityTagger:
    """A fine-tuned NER checkpoint, ready for raw text.

    >>> tagger = EntityTagger("runs/ner")
    >>> [document] = tagger.tag(["Aspirin eases arthritis."])

    Give `tag` all texts at once: they share rows, which is several times as fast as one by one.
    """

    def __init__(
        self,
        checkpoint: str | os.PathLike,
        *,
        batch_size: int = 32,
        min_score: float = 0.0,
        target_precision: float | None = None,
    ):
        """Loads a checkpoint (a workdir, one of its checkpoints, a Hugging Face folder).

        Args:
          batch_size: packed rows run at a time, at most.
          min_score: entities with a smaller probability are left out.
          target_precision: instead, the `min_score` from which on entities of the held-out file
            were that precise.

        Raises:
          UserError: there is none, or it is not of a tagger; it was not calibrated, or never as
            precise.
        """
        self._model = FittedModel(checkpoint, task="ner", batch_size=batch_size)
        self.labels = self._model.setting.labels
        self.max_seq_length = self._model.setting.max_seq_length
        self._tokenizer = self._model.setting.tokenizer
        self.min_score = min_score
        if target_precision is not None:
            self.min_score = self._threshold(target_precision)

    def _threshold(self, precision: float) -> float:
        curve = self._model.setting.options.get("precision_curve")
        if not curve:
            raise UserError(
                f"{self._model.checkpoint.path}: not calibrated: fine-tune with data.eval, a file "
                "that it is not trained on, or give --min_score"
            )
        found = threshold_of(curve, precision)
        if found is None:
            best = max(share for _, share in curve)
            raise UserError(
                f"{self._model.checkpoint.path}: on its held-out file entities were at most "
                f"{best:.3f} precise: ask for less than {precision}"
            )
        return found

    def tag(
        self, documents: Iterable[RawDocument | str], *, at_a_time: int = 64
    ) -> Iterator[AnnotatedDocument]:
        """Yields each document with its entities, in order.

        Documents are taken `at_a_time`, fewer where they are long, so that rows are packed full;
        memory is bounded by these.

        Args:
          documents: texts, or texts with ids; the id of a text alone is its place, from "0" on.

        Raises:
          UserError: one of them is no text (a missing value of a table, say), or `documents` is
            a single one.
        """
        return self._tag_blocks(as_documents(documents), at_a_time)

    def _tag_blocks(
        self, documents: Iterator[RawDocument], at_a_time: int
    ) -> Iterator[AnnotatedDocument]:
        block: list[RawDocument] = []
        characters = 0
        for document in documents:
            block.append(document)
            characters += len(document.text)
            if len(block) == at_a_time or characters >= _BLOCK_CHARACTERS:
                yield from self._tag_block(block)
                block, characters = [], 0
        if block:
            yield from self._tag_block(block)

    def label_words(
        self,
        sentences: Sequence[Sequence[str]],
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[list[str]]:
        """The labels of sentences that come as words, as in a tagged file.

        Args:
          progress: told how many packed rows are done, and of how many.
        """
        pieces = encode_words(self._tokenizer, sentences)
        best = [found.argmax(-1) for found in self._logits(pieces, progress)]
        return [[self.labels[index] for index in sentence] for sentence in best]

    def _tag_block(self, documents: Sequence[RawDocument]) -> Iterator[AnnotatedDocument]:
        sentences: list[list[Word]] = []  # with offsets into their document
        owners: list[int] = []
        for number, document in enumerate(documents):
            # The tokenizer takes no lone surrogates; the copy is as long as the text.
            text = _SURROGATES.sub("\ufffd", document.text)
            for start, end in split_sentences(text):
                words = [
                    Word(word.start + start, word.end + start, word.ids)
                    for word in self._tokenizer.words(text[start:end])
                ]
                if words:
                    sentences.append(words)
                    owners.append(number)
        logits = self._logits([[word.ids for word in words] for words in sentences])
        entities: list[list[Entity]] = [[] for _ in documents]
        for owner, words, found in zip(owners, sentences, logits, strict=True):
            entities[owner] += self._entities(documents[owner].text, words, found)
        for document, found in zip(documents, entities, strict=True):
            yield AnnotatedDocument(document.id, document.text, tuple(found))

    def _logits(
        self,
        sentences: Sequence[Sequence[Sequence[int]]],
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[np.ndarray]:
        """Logits [words, labels] of each sentence, given the pieces of its words."""
        packed = pack_sentences(
            sentences, self.max_seq_length, self._tokenizer.special, row_lengths=_ROW_LENGTHS
        )
        logits = self._model.run(packed.rows.inputs(), progress)
        return packed.by_sentence(logits)

    def _entities(self, text: str, words: Sequence[Word], logits: np.ndarray) -> Iterator[Entity]:
        temperature = self._model.setting.options.get("temperature", 1.0)
        for chunk, probability, _ in find_entities(logits, self.labels, temperature):
            if probability < self.min_score:
                continue
            start, end = words[chunk.start].start, words[chunk.end - 1].end
            yield Entity(start, end, chunk.type or UNTYPED, text[start:end], round(probability, 4))
