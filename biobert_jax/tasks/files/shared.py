"""What the examples of two files have in common: texts, and documents by their ids."""

from collections.abc import Iterable, Sequence
from typing import Any

from biobert_jax.tasks.files.examples import Question, Sentence
from biobert_jax.units import plural


class Seen:
    """The texts of examples, whatever their labels, and the documents that they are from."""

    def __init__(self, examples: Iterable[Any] = ()):
        self._texts: set[Any] = set()
        self._documents: set[str] = set()
        for example in examples:
            self._texts.add(text_of(example))
            if example.document:
                self._documents.add(example.document)

    def __bool__(self) -> bool:
        return bool(self._texts)

    def has_text(self, example: Any) -> bool:
        """Whether an example has the text of one of these."""
        return text_of(example) in self._texts

    def has_document(self, example: Any) -> bool:
        """Whether an example is from a document that one of these is from."""
        return example.document in self._documents

    def has(self, example: Any) -> bool:
        """Whether an example is shared either way."""
        return self.has_text(example) or self.has_document(example)

    def documents(self, examples: Iterable[Any]) -> set[str]:
        """The ids of the documents that examples share with these."""
        return {example.document for example in examples if self.has_document(example)}

    def count(self, examples: Sequence[Any], unit: str) -> tuple[int, str]:
        """How many of a file's examples are shared, and that in words.

        Args:
          unit: what an example is called.
        """
        shared = sum(map(self.has, examples))
        words = f"shared with the training files: {shared:,} of {plural(len(examples), unit)}"
        if documents := {example.document for example in examples} - {""}:
            own = plural(len(documents), "document")
            words += f", {len(self.documents(examples)):,} of {own} by id"
        return shared, words


def text_of(example: Any) -> Any:
    """What makes two examples the same, whatever their labels."""
    if isinstance(example, Sentence):
        return example.words
    if isinstance(example, Question):
        return example.question, example.context
    return example.text, example.pair
