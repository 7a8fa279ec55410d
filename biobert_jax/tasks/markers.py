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
# What files mark mentions with.
_MARKED = re.compile(r"@[\w-]+\$|<< .*? >>|\[\[ .*? \]\]")
# A mark that was cut off.
LOST = -1


class Marked(NamedTuple):
    """A text's pieces, and where its mentions stand among them.

    Attributes:
      marks: of the two mentions, in their order, the first piece with its mark; (): there are none.
      ends: behind the last one.
    """

    ids: list[int]
    marks: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()


def mark_texts(
    tokenizer: Tokenizer, examples: Sequence[TextExample], how: str, *, find: bool
) -> list[Marked]:
    """The pieces of each example's text, with its mentions marked.

    Args:
      how: none, anonymize or tags.
      find: whether two mentions must be there.

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
        ends: list[int] = []
        for _, mention in parts:
            own = list(next(pieces))
            if mention is not None:
                marks.append(len(ids))
                if tags:
                    own = [tags[2 * mention], *own, tags[2 * mention + 1]]
            ids += own
            if mention is not None:
                ends.append(len(ids))
        # Mentions in the order of the file, which need not be that of the text.
        order = sorted(range(len(marks)), key=[m for _, m in parts if m is not None].__getitem__)
        marked.append(Marked(ids, *(tuple(side[i] for i in order) for side in (marks, ends))))
    return marked


def tag_ids(tokenizer: Tokenizer) -> tuple[int, int, int, int]:
    """Ids of the marks before and after the first, before and after the second mention."""
    known = {token: number for number, token in enumerate(tokenizer.tokens)}
    names = _TAGS if all(name in known for name in _TAGS) else _PLAIN_TAGS
    return tuple(known.get(name, tokenizer.special.unk) for name in names)


def cut_text(text: Marked, capacity: int) -> Marked:
    """The part of a text that a sequence holds: its beginning, or the window around its mentions.

    Where they are too far apart, the window begins with the first one, and the mark of the other
    is `LOST`.
    """
    if len(text.ids) <= capacity:
        return text
    start = 0
    if text.marks and max(text.ends) > capacity:
        first, last = min(text.marks), max(text.ends)
        # With room on both sides.
        start = max(0, min(first, (first + last - capacity) // 2))
        start = min(start, len(text.ids) - capacity)
    inside = [
        start <= mark and end <= start + capacity
        for mark, end in zip(text.marks, text.ends, strict=True)
    ]
    marks, ends = (
        tuple(x - start if kept else LOST for x, kept in zip(side, inside, strict=True))
        for side in (text.marks, text.ends)
    )
    return Marked(text.ids[start : start + capacity], marks, ends)


def _segments(example: TextExample, how: str, find: bool) -> list[tuple[str, int | None]]:
    """The text in stretches, each with the number of the mention it is, or None."""
    text = example.text
    if how == "none":
        found = list(_MARKED.finditer(text))
        if len(found) == 2:
            (a, b), (c, d) = found[0].span(), found[1].span()
            parts = ((text[:a], None), (text[a:b], 0), (text[b:c], None), (text[c:d], 1))
            return [*parts, (text[d:], None)]
        if find:
            raise UserError(
                f"{_where(example)}: {len(found)} marked mention(s), where pooling by markers "
                "needs two, as in @GENE$ … @DISEASE$: use data.pooling=cls, or give mentions"
            )
        return [(text, None)]
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
