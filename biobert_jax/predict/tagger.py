"""Tags raw text with a fine-tuned checkpoint."""

import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np

from biobert_jax.checkpoints.load import fit_params, load_checkpoint
from biobert_jax.corpus.text.sentences import split_sentences
from biobert_jax.corpus.text.tokenization import Word, load_tokenizer
from biobert_jax.errors import UserError
from biobert_jax.predict.annotations import AnnotatedDocument, Entity
from biobert_jax.scoring.conlleval import chunks
from biobert_jax.tasks.ner_features import encode_words, pack_sentences
from biobert_jax.tasks.ner_model import split_by_sentence, tagger_of, word_probabilities

_SURROGATES = re.compile("[\ud800-\udfff]")


class RawDocument(NamedTuple):
    """A text to be tagged, exactly as it was given, and its id."""

    id: str
    text: str


class EntityTagger:
    """A fine-tuned NER checkpoint, ready for raw text.

    >>> tagger = EntityTagger("runs/ner")
    >>> [document] = tagger.tag([RawDocument("1", "Aspirin eases arthritis.")])
    """

    def __init__(self, checkpoint: str | os.PathLike, *, batch_size: int = 32):
        """Loads a checkpoint (a workdir, one of its checkpoints, a Hugging Face folder).

        Args:
          batch_size: packed rows run at a time.

        Raises:
          UserError: there is none, or it is not of a tagger.
        """
        loaded = load_checkpoint(checkpoint)
        if loaded.kind != "ner":
            raise UserError(
                f"{checkpoint}: a {loaded.kind} checkpoint cannot tag text: fine-tune it first "
                "with `biobert finetune`"
            )
        self.labels = loaded.labels
        self.max_seq_length = loaded.max_seq_length
        self._tokenizer = load_tokenizer(loaded.vocab)
        self._graph, create_params = tagger_of(loaded.model, len(self.labels), seed=0)
        params, _ = fit_params(loaded, jax.eval_shape(create_params))
        self._params = jax.device_put(params)
        self._batch_size = batch_size

    def tag(
        self, documents: Iterable[RawDocument], *, at_a_time: int = 64
    ) -> Iterator[AnnotatedDocument]:
        """Yields each document with its entities, in order.

        Documents are taken `at_a_time` so that rows are packed full; memory is bounded by these.
        """
        documents = iter(documents)
        while block := list(itertools.islice(documents, at_a_time)):
            yield from self._tag_block(block)

    def label_words(self, sentences: Sequence[Sequence[str]]) -> list[list[str]]:
        """The labels of sentences that come as words, as in a tagged file."""
        pieces = encode_words(self._tokenizer, sentences)
        rows = pack_sentences(pieces, self.max_seq_length, self._tokenizer.special)
        found = word_probabilities(self._graph, self._params, rows, self._batch_size)
        best = split_by_sentence(found.argmax(-1), rows)
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
        rows = pack_sentences(
            [[word.ids for word in words] for words in sentences],
            self.max_seq_length,
            self._tokenizer.special,
        )
        probabilities = word_probabilities(self._graph, self._params, rows, self._batch_size)
        entities: list[list[Entity]] = [[] for _ in documents]
        for owner, words, found in zip(
            owners, sentences, split_by_sentence(probabilities, rows), strict=True
        ):
            entities[owner] += self._entities(documents[owner].text, words, found)
        for document, found in zip(documents, entities, strict=True):
            yield AnnotatedDocument(document.id, document.text, tuple(found))

    def _entities(
        self, text: str, words: Sequence[Word], probabilities: np.ndarray
    ) -> Iterator[Entity]:
        best = probabilities.argmax(-1)
        scores = probabilities.max(-1)
        for chunk in chunks([self.labels[index] for index in best]):
            start, end = words[chunk.start].start, words[chunk.end - 1].end
            score = float(scores[chunk.start : chunk.end].mean())
            yield Entity(start, end, chunk.type or "entity", text[start:end], round(score, 4))
