"""Tags raw text with a fine-tuned checkpoint."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence

import jax
import numpy as np

from biobert_jax.checkpoints.labels import UNTYPED
from biobert_jax.checkpoints.load import check_task, fit_params, load_checkpoint
from biobert_jax.corpus.text.sentences import split_sentences
from biobert_jax.corpus.text.tokenization import Word
from biobert_jax.predict.annotations import AnnotatedDocument, Entity, RawDocument, as_documents
from biobert_jax.scoring.conlleval import chunks
from biobert_jax.tasks.forward import model_of, outputs_of, run_rows
from biobert_jax.tasks.ner import TASK, probabilities
from biobert_jax.tasks.task import Setting
from biobert_jax.tasks.words import encode_words, pack_sentences

_SURROGATES = re.compile("[\ud800-\udfff]")
# Compiled when they are first needed: a single note is one row, and most sentences are short.
_BATCH_SIZES = (1, 8)
_ROW_LENGTHS = (128,)
# Text of the documents that are tagged together, in characters: bounds memory where they are long.
_BLOCK_CHARACTERS = 1 << 20


class EntityTagger:
    """A fine-tuned NER checkpoint, ready for raw text.

    >>> tagger = EntityTagger("runs/ner")
    >>> [document] = tagger.tag(["Aspirin eases arthritis."])

    Give `tag` all texts at once: they share rows, which is several times as fast as one by one.
    """

    def __init__(self, checkpoint: str | os.PathLike, *, batch_size: int = 32):
        """Loads a checkpoint (a workdir, one of its checkpoints, a Hugging Face folder).

        Args:
          batch_size: packed rows run at a time, at most.

        Raises:
          UserError: there is none, or it is not of a tagger.
        """
        loaded = load_checkpoint(checkpoint)
        check_task(loaded, "ner")
        self.labels = loaded.labels
        self.max_seq_length = loaded.max_seq_length
        self._tokenizer = loaded.tokenizer
        setting = Setting(loaded.labels, {}, loaded.tokenizer, loaded.max_seq_length)
        graph, create_params = model_of(TASK, loaded.model, setting, seed=0)
        self._outputs = outputs_of(TASK, graph)
        params, _ = fit_params(loaded, jax.eval_shape(create_params))
        self._params = jax.device_put(params)
        self._batch_sizes = (*(size for size in _BATCH_SIZES if size < batch_size), batch_size)

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
        best = [found.argmax(-1) for found in self._probabilities(pieces, progress)]
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
        probabilities = self._probabilities([[word.ids for word in words] for words in sentences])
        entities: list[list[Entity]] = [[] for _ in documents]
        for owner, words, found in zip(owners, sentences, probabilities, strict=True):
            entities[owner] += self._entities(documents[owner].text, words, found)
        for document, found in zip(documents, entities, strict=True):
            yield AnnotatedDocument(document.id, document.text, tuple(found))

    def _probabilities(
        self,
        sentences: Sequence[Sequence[Sequence[int]]],
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[np.ndarray]:
        """Label probabilities [words, labels] of each sentence, given the pieces of its words."""
        packed = pack_sentences(
            sentences, self.max_seq_length, self._tokenizer.special, row_lengths=_ROW_LENGTHS
        )
        logits = run_rows(
            self._outputs,
            self._params,
            packed.rows.inputs(),
            self._batch_sizes,
            progress=progress,
        )
        return [probabilities(found) for found in packed.by_sentence(logits)]

    def _entities(
        self, text: str, words: Sequence[Word], probabilities: np.ndarray
    ) -> Iterator[Entity]:
        best = probabilities.argmax(-1)
        scores = probabilities.max(-1)
        for chunk in chunks([self.labels[index] for index in best]):
            start, end = words[chunk.start].start, words[chunk.end - 1].end
            score = float(scores[chunk.start : chunk.end].mean())
            yield Entity(start, end, chunk.type or UNTYPED, text[start:end], round(score, 4))
