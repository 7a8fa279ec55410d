"""The two mentions that a relation is asked of, shown to the model; and cutting long texts.

- anonymize: each mention becomes `@TYPE$`, as in BioBERT's GAD, EU-ADR and ChemProt files.
- tags: marks around the first and the second mention. [unused1] to [unused4] of the vocabulary
  where it has them, which pre-training never saw; else `@ … @` and `# … #`.
- none: the text as it is; mentions that the file itself has marked are found for
  `pooling=markers`: `@GENE$`, or SciBERT's `<< … >>` and `[[ … ]]`.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from biobert_jax.corpus.text.tokenization import Tokenizer
from biobert_jax.errors import UserError
from biobert_jax.tasks.files.examples import Span, TextExample

_TAGS = ("[unused1]", "[unused2]", "[unused3]", "[unused4]")
_PLAIN_TAGS = ("@", "@", "#", "#")
# What files mark mentions with: where one begins.
_MARKED = re.compile(r"@[\w-]+\$|<< |\[\[ ")


class Marked(NamedTuple):
    """A text's pieces, and where its two mentions' marks stand among them (none: no marks)."""

    ids: list[int]
    marks: tuple[int, ...] = ()


def mark_texts(
    tokenizer: Tokenizer, examples: Sequence[TextExample], how: str, *, find: bool
) -> list[Marked]:
    """The pieces of each example's text, with its mentions marked.

    Args:
      how: none, anonymize or tags.
      find: whether the two marks' places are needed.

    Raises:
      UserError: an example has not two mentions where they are needed.
    """
    tags = tag_ids(tokenizer) if how == "tags" else ()
    cut = [_segments(example, how, find) for example in examples]
    pieces = iter(tokenizer.encode_batch([text for parts in cut for text, _ in parts]))
    marked = []
    for parts in cut:
        ids: list[int] = []
        marks: list[int] = []
        for _, mention in parts:
            own = list(next(pieces))
            if mention is not None:
                marks.append(len(ids))
                if tags:
                    own = [tags[2 * mention], *own, tags[2 * mention + 1]]
            ids += own
        # Mentions in the order of the file, which need not be that of the text.
        order = sorted(range(len(marks)), key=[m for _, m in parts if m is not None].__getitem__)
        marked.append(Marked(ids, tuple(marks[i] for i in order)))
    return marked


def tag_ids(tokenizer: Tokenizer) -> tuple[int, int, int, int]:
    """Ids of the marks before and after the first, before and after the second mention."""
    known = {token: number for number, token in enumerate(tokenizer.tokens)}
    names = _TAGS if all(name in known for name in _TAGS) else _PLAIN_TAGS
    return tuple(known.get(name, tokenizer.special.unk) for name in names)


def cut_text(text: Marked, capacity: int) -> Marked:
    """The part of a text that a sequence holds: its beginning, or the window around its marks."""
    if len(text.ids) <= capacity:
        return text
    start = 0
    if text.marks and max(text.marks) >= capacity:
        # With room on both sides; where the marks are too far apart, from the first on.
        first, last = min(text.marks), max(text.marks)
        start = max(0, min(first, (first + last - capacity) // 2 + 1))
        start = min(start, len(text.ids) - capacity)
    marks = tuple(min(max(mark - start, 0), capacity - 1) for mark in text.marks)
    return Marked(text.ids[start : start + capacity], marks)


def _segments(example: TextExample, how: str, find: bool) -> list[tuple[str, int | None]]:
    """The text in stretches, each with the number of the mention it is, or None."""
    text = example.text
    if how == "none":
        if not find:
            return [(text, None)]
        starts = [found.start() for found in _MARKED.finditer(text)]
        if len(starts) != 2:
            raise UserError(
                f"{_where(example)}: {len(starts)} marked mention(s), where pooling by markers "
                "needs two, as in @GENE$ … @DISEASE$: use data.pooling=cls, or give mentions"
            )
        borders = [0, *starts, len(text)]
        parts = [text[a:b] for a, b in zip(borders, borders[1:], strict=False)]
        return [(parts[0], None), (parts[1], 0), (parts[2], 1)]
    if len(example.spans) != 2:
        raise UserError(
            f"{_where(example)}: {len(example.spans)} mention(s) given, where data.markers={how} "
            "needs two: give them as `entities`, or use data.markers=none"
        )
    numbered = sorted(enumerate(example.spans), key=lambda item: item[1].start)
    parts, end = [], 0
    for number, span in numbered:
        if span.start < end:
            raise UserError(f"{_where(example)}: the two mentions overlap: leave the example out")
        parts += [(text[end : span.start], None), (_shown(text, span, how), number)]
        end = span.end
    return [*parts, (text[end:], None)]


def _shown(text: str, span: Span, how: str) -> str:
    return f"@{span.type.upper()}$" if how == "anonymize" else text[span.start : span.end]


def _where(example: TextExample) -> str:
    return example.where or f"example {example.id}"
