"""Annotated documents as sentences of words with labels: PubTator for a tagger.

Passages are split into sentences, and these into words, as `predict` splits raw text, so that a
tagger is trained on what it will meet, and no text is lost. Labels are B-TYPE and I-TYPE. A word
has one label: of mentions that share a word the longest is taken, of equals the first.
"""

import os
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from biobert_jax.checkpoints.labels import renamed
from biobert_jax.corpus.text.sentences import split_sentences
from biobert_jax.corpus.text.wordpiece import basic_words
from biobert_jax.formats.documents import Document, Passage
from biobert_jax.formats.faults import Fault, ignore, left_out, refuse
from biobert_jax.formats.pubtator import read_pubtator
from biobert_jax.scoring.conlleval import chunks
from biobert_jax.tasks.files.examples import Sentence

# Mentions that are not labelled as they are annotated, and what is done about them.
_SAID = {
    "overlapping": "share words with a longer one: left out",
    "in pieces": "are in several pieces: left out",
    "empty": "hold no word: left out",
    "widened": "begin or end inside of a word: taken with all of it",
    "across": "go on where a sentence seems to end: it is not split there",
}


def read_annotated(
    path: str | os.PathLike[str],
    *,
    types: Mapping[str, str] | None = None,
    fault: Fault = refuse,
    note: Fault = ignore,
) -> list[Sentence]:
    """Reads the sentences of a PubTator file; see `sentences_of`.

    Raises:
      UserError: As `read_pubtator`.
    """
    documents = read_pubtator(path, fault=fault, note=note)
    return sentences_of(documents, path, types, note)


def sentences_of(
    documents: Sequence[Document],
    path: str | os.PathLike[str],
    types: Mapping[str, str] | None = None,
    note: Fault = ignore,
) -> list[Sentence]:
    """The sentences of a file's documents, without labels where it has not a single mention.

    Notes count the mentions that are not labelled as they are annotated: those of other types, in
    pieces, or that share words with a longer one; those that begin or end inside of a word; and
    those that go on where a sentence seems to end.

    Args:
      types: the types that are taken, and what each is called; None: all as they are.
    """
    labelled = any(document.annotations for document in documents)
    counts: Counter[str] = Counter()
    others: Counter[str] = Counter()
    sentences = []
    for document in documents:
        for passage in document.passages:
            words, labels, ends = _words_and_labels(passage, types, counts, others)
            for start, end in zip([0, *ends], ends, strict=False):
                own = tuple(labels[start:end]) if labelled else ()
                words_ = tuple(words[start:end])
                sentences.append(Sentence(words_, own, document.id, document.where))
    if others:
        note(f"{path}", f"{left_out(others.elements(), 'mention')} by data.types")
    total = sum(len(document.annotations) for document in documents)
    for kind, said in _SAID.items():
        if counts[kind]:
            note(f"{path}", f"mentions that {said} ({counts[kind]:,} of {total:,})")
    return sentences


def _words_and_labels(
    passage: Passage,
    types: Mapping[str, str] | None,
    counts: Counter[str],
    others: Counter[str],
) -> tuple[list[str], list[str], list[int]]:
    """Words, a label each, and the number of words up to the end of each sentence."""
    spans: list[tuple[int, int]] = []
    sentence_ends = []
    for start, end in split_sentences(passage.text):
        words = basic_words(passage.text[start:end])
        spans += [(start + first, start + last) for first, last in words]
        if words:
            sentence_ends.append(len(spans))
    labels = ["O"] * len(spans)
    starts, ends = [start for start, _ in spans], [end for _, end in spans]
    for mention in sorted(passage.annotations, key=lambda own: own.start - own.end):
        if types is not None and mention.type not in types:
            others[mention.type] += 1
            continue
        start, end = mention.start - passage.offset, mention.end - passage.offset
        first, after = bisect_right(ends, start), bisect_left(starts, end)
        if len(mention.spans) > 1:
            counts["in pieces"] += 1
        elif first >= after:
            counts["empty"] += 1
        elif any(label != "O" for label in labels[first:after]):
            counts["overlapping"] += 1
        else:
            counts["widened"] += starts[first] < start or ends[after - 1] > end
            inside = [place for place in sentence_ends if first < place < after]
            counts["across"] += bool(inside)
            sentence_ends = [place for place in sentence_ends if place not in inside]
            name = types[mention.type] if types else mention.type
            labels[first:after] = [f"B-{name}", *[f"I-{name}"] * (after - first - 1)]
    return [passage.text[start:end] for start, end in spans], labels, sentence_ends


def chosen_types(words: Sequence[str]) -> dict[str, str] | None:
    """The types that `data.types` takes, and what each is called; None: all as they are.

    `Gene` is taken as it is, `FamilyName=Gene` is called Gene; what has that name already is too.
    """
    pairs = [word.partition("=")[::2] for word in words]
    names = {old: new or old for old, new in pairs}
    return {**{new: new for new in names.values()}, **names} or None


def of_types(
    sentences: Sequence[Sentence],
    types: Mapping[str, str],
    path: str | os.PathLike[str],
    note: Fault = ignore,
) -> list[Sentence]:
    """Tagged sentences with the labels of some types alone; others are counted in a note.

    Labels without a type stay.
    """
    others = Counter(
        chunk.type
        for sentence in sentences
        for chunk in chunks(sentence.labels)
        if chunk.type and chunk.type not in types
    )
    names = {**dict.fromkeys(others, ""), **types}
    if others:
        note(f"{path}", f"{left_out(others.elements(), 'mention')} by data.types")
    return [replace(sentence, labels=renamed(sentence.labels, names)) for sentence in sentences]
