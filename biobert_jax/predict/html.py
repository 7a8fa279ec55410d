"""Tagged documents as one self-contained HTML page to look at, print or send to a colleague."""

import colorsys
import functools
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from biobert_jax import html_page
from biobert_jax.errors import UserError
from biobert_jax.predict.annotations import AnnotatedDocument, Entity
from biobert_jax.units import plural

LOW_SCORE = 0.7  # Entities scored below this are drawn fainter, with a dotted line.
MAX_MENTIONS = 10  # Rows a type gets in the table of the most frequent mentions.

# (hue in degrees, saturation, change of lightness) of each type's colours, ordered so that the
# first few differ most.
_HUES = (
    (212, 0.90, 0.00), (8, 0.85, 0.00), (128, 0.55, 0.00), (278, 0.75, 0.00),
    (36, 0.95, 0.00), (178, 0.65, 0.00), (326, 0.80, 0.00), (80, 0.70, -0.04),
    (242, 0.80, -0.03), (22, 0.40, -0.04), (52, 0.90, 0.00), (215, 0.14, -0.02),
    (196, 0.75, -0.05), (302, 0.60, -0.06), (152, 0.50, -0.07), (346, 0.65, -0.06),
)  # fmt: skip

# The reader gets the documents' very characters, and offsets into them.
_escape = functools.partial(html_page.escape, exact=True)

_CSS = """
.summary, .note, .none { color: var(--muted); }
.summary { margin: .75rem 0 0; font-variant-numeric: tabular-nums; }
.note { margin: 0; font-size: .8125rem; }
.legend { position: sticky; top: 0; z-index: 1; margin: 1rem 0 1.25rem; padding: .65rem 0;
  background: var(--page); border-bottom: 1px solid var(--line); }
.legend .bar { max-width: 62rem; max-height: 30vh; overflow: auto; margin: 0 auto;
  padding: 0 1.25rem; display: flex; flex-wrap: wrap; gap: .4rem .5rem; align-items: center; }
.chip { display: inline-flex; align-items: center; gap: .4rem; padding: .1rem .6rem;
  border: 1px solid var(--edge); border-radius: 1rem; background: var(--fill);
  color: var(--label); font-size: .875rem; font-weight: 600; overflow-wrap: anywhere; }
.chip b { font-weight: 400; font-variant-numeric: tabular-nums; }
.chip input { display: none; margin: 0; accent-color: var(--label); }
.scripted .chip input { display: inline-block; }
.scripted label.chip { cursor: pointer; }
.card { margin: 0 0 1.1rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .6rem; }
.card h3 { display: flex; justify-content: space-between; gap: 1rem; margin: 0;
  padding: .5rem 1.1rem; border-bottom: 1px solid var(--line); font-size: .875rem;
  overflow-wrap: anywhere; }
.card h3 span { flex: none; font-weight: 400; color: var(--muted);
  font-variant-numeric: tabular-nums; }
.text { padding: .8rem 1.1rem 1rem; line-height: 1.95; white-space: pre-wrap;
  overflow-wrap: anywhere; }
mark { padding: .1em .3em; border-radius: .3em; border-bottom: 2px solid var(--edge);
  background: var(--fill); color: inherit; -webkit-box-decoration-break: clone;
  box-decoration-break: clone; }
mark::after { content: attr(data-type); margin-left: .45em; color: var(--label);
  font-size: .6875em; font-weight: 600; letter-spacing: .01em; }
mark.low { border-bottom-style: dotted; background: var(--faint); }
mark.off { padding: 0; border: 0; background: none; }
mark.off::after { content: none; }
.mentions { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr));
  gap: 1.1rem; align-items: start; margin-top: .9rem; }
table { width: 100%; border-collapse: collapse; background: var(--card); font-size: .875rem;
  border: 1px solid var(--line); break-inside: avoid; }
caption { padding-bottom: .4rem; text-align: left; }
th, td { padding: .25rem .6rem; border-top: 1px solid var(--line); text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
th { color: var(--muted); font-size: .75rem; font-weight: 600; }
.count { width: 1%; text-align: right; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
main { padding-bottom: 2.5rem; }
@media print {
  header { padding-top: 0; }
  .legend { position: static; background: none; }
  .legend .bar { max-height: none; }
  .chip, mark { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
  .scripted .chip input { display: none; }
  .card h3, h2, h2 + .note { break-after: avoid; }
}
"""

# Without scripts the check boxes stay hidden, and all types are shown.
_SCRIPT = """
document.documentElement.classList.add("scripted");
for (const box of document.querySelectorAll(".chip input")) {
  const update = () => document.querySelectorAll("mark." + box.value)
    .forEach(mark => mark.classList.toggle("off", !box.checked));
  box.addEventListener("change", update);
  update();
}
"""


class TypeColors(NamedTuple):
    """A type's colours in one scheme, as `#rrggbb`: two backgrounds, lines, the type's name."""

    fill: str
    faint: str
    edge: str
    label: str


def render_page(documents: Iterable[AnnotatedDocument], *, title: str, subtitle: str = "") -> str:
    """Renders documents with their entities highlighted, a legend and tables of mentions.

    The page refers to nothing outside itself and works without scripts; they only let types be
    switched on and off. An element of class `text` holds a document's exact text once its tags
    are stripped: types are drawn by the style sheet. NUL and lone surrogates become U+FFFD.

    Args:
      documents: All are held in memory. Types get their colours by their alphabetical order.
      title: The page's heading.
      subtitle: A line below it, left out if empty.

    Returns:
      The page's source, to be written as UTF-8.

    Raises:
      UserError: A document's entities overlap, are out of order or out of its text, or quote
        another text than their offsets give.
    """
    documents = list(documents)
    for document in documents:
        _check(document)
    counts = Counter(entity.type for document in documents for entity in document.entities)
    classes = {type_: f"t{i}" for i, type_ in enumerate(sorted(counts))}
    # The most frequent types first, in the legend and in the tables.
    types = sorted(counts, key=lambda type_: (-counts[type_], type_))

    summary = " · ".join(
        plural(n, noun)
        for n, noun in (
            (len(documents), "document"), (counts.total(), "entity"), (len(counts), "type"),
        )
    )  # fmt: skip
    subtitle = f'<p class="subtitle">{_escape(subtitle)}</p>\n' if subtitle else ""
    cards = "".join(_card(document, classes) for document in documents)
    return html_page.page(
        title,
        css=_CSS + _type_css(len(classes)),
        header=f'{subtitle}<p class="summary">{summary}</p>\n{_note(documents)}',
        main=(_legend(types, counts, classes) if types else "")
        + "<main>\n"
        + (cards or '<p class="none">There are no documents.</p>\n')
        + (_mentions(documents, types, classes) if types else "")
        + "</main>\n",
        script=_SCRIPT,
    )


def type_colors(index: int, *, dark: bool) -> TypeColors:
    """The colours of the `index`th type, counted from 0.

    The first 16 differ in hue; later ones repeat those hues at other lightnesses, and the 49th is
    the first again. The label has a contrast of 4.5 or more on both backgrounds (WCAG 2.2,
    criterion 1.4.3).
    """
    tier, which = divmod(index, len(_HUES))
    hue, saturation, change = _HUES[which]
    step = 0.05 * (tier % 3) - change  # Away from the page: darker when light, lighter when dark.

    def color(lightness: float, strength: float = 1.0) -> str:
        rgb = colorsys.hls_to_rgb(hue / 360, lightness, saturation * strength)
        return "#" + "".join(f"{round(255 * value):02x}" for value in rgb)

    if dark:
        return TypeColors(color(0.2 + step / 2, 0.7), color(0.15, 0.45), color(0.5), color(0.84))
    return TypeColors(color(0.89 - step), color(0.965), color(0.55), color(0.22, 0.9))


def _type_css(num_types: int) -> str:
    def rules(dark: bool) -> str:
        return "".join(
            f".t{i} {{ --fill: {c.fill}; --faint: {c.faint}; --edge: {c.edge}; "
            f"--label: {c.label}; }}\n"
            for i, c in ((i, type_colors(i, dark=dark)) for i in range(num_types))
        )

    return f"{rules(False)}@media screen and (prefers-color-scheme: dark) {{\n{rules(True)}}}\n"


def _check(document: AnnotatedDocument) -> None:
    end = 0
    for entity in document.entities:
        where = f"document {document.id!r}, entity {entity.start}-{entity.end}"
        if not end <= entity.start < entity.end <= len(document.text):
            raise UserError(
                f"{where}: empty, out of the text of length {len(document.text)}, out of order or "
                "overlapping the entity before; sort and disjoin the entities"
            )
        if document.text[entity.start : entity.end] != entity.text:
            raise UserError(
                f"{where}: its text is {entity.text!r} but the document has "
                f"{document.text[entity.start : entity.end]!r} there; count code points, not bytes"
            )
        end = entity.end


def _name(type_: str) -> str:
    return _escape(type_ or "entity")


def _legend(types: Sequence[str], counts: Counter[str], classes: dict[str, str]) -> str:
    chips = "\n".join(
        f'<label class="chip {classes[type_]}"><input type="checkbox" value="{classes[type_]}" '
        f'autocomplete="off" checked>{_name(type_)} <b>{counts[type_]:,}</b></label>'
        for type_ in types
    )
    return (
        '<div class="legend" role="group" aria-label="Types"><div class="bar">\n'
        f"{chips}\n</div></div>\n"
    )


def _card(document: AnnotatedDocument, classes: dict[str, str]) -> str:
    pieces = []
    end = 0
    for entity in document.entities:
        pieces += [_escape(document.text[end : entity.start]), _mark(entity, classes[entity.type])]
        end = entity.end
    pieces.append(_escape(document.text[end:]))
    return (
        f'<article class="card">\n<h3>{_escape(document.id)}'
        f"<span>{plural(len(document.entities), 'entity')}</span></h3>\n"
        f'<div class="text" dir="auto">{"".join(pieces)}</div>\n</article>\n'
    )


def _mark(entity: Entity, class_: str) -> str:
    low = " low" if entity.score < LOW_SCORE else ""
    name = _name(entity.type)
    return (
        f'<mark class="{class_}{low}" data-type="{name}" title="{name} · {entity.start}–'
        f'{entity.end} · score {entity.score:.2f}">{_escape(entity.text)}</mark>'
    )


def _mentions(
    documents: Sequence[AnnotatedDocument], types: Sequence[str], classes: dict[str, str]
) -> str:
    # Letter case stays: "CAT" may be a gene where "cat" is an animal.
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    num_documents: dict[str, Counter[str]] = defaultdict(Counter)
    for document in documents:
        mentions = [(e.type, " ".join(e.text.split()) or e.text) for e in document.entities]
        for type_, mention in mentions:
            counts[type_][mention] += 1
        for type_, mention in set(mentions):
            num_documents[type_][mention] += 1

    tables = []
    for type_ in types:
        ranked = sorted(counts[type_].items(), key=lambda item: (-item[1], item[0]))
        rows = "".join(
            f'<tr><td dir="auto">{_escape(mention)}</td><td class="count">{n:,}</td>'
            f'<td class="count">{num_documents[type_][mention]:,}</td></tr>\n'
            for mention, n in ranked[:MAX_MENTIONS]
        )
        tables.append(
            f'<table>\n<caption><span class="chip {classes[type_]}">{_name(type_)}</span>'
            f' <span class="note">{len(ranked):,} distinct</span></caption>\n'
            '<tr><th scope="col">Mention</th><th scope="col" class="count">Count</th>'
            f'<th scope="col" class="count">Documents</th></tr>\n{rows}</table>\n'
        )
    return (
        "<section>\n<h2>Most frequent mentions</h2>\n"
        f'<p class="note">At most {MAX_MENTIONS} a type, spelled as in the text.</p>\n'
        f'<div class="mentions">\n{"".join(tables)}</div>\n</section>\n'
    )


def _note(documents: Sequence[AnnotatedDocument]) -> str:
    scores = [entity.score for document in documents for entity in document.entities]
    if not scores:
        return ""
    low = f" Faint and dotted: score below {LOW_SCORE:g}." if min(scores) < LOW_SCORE else ""
    return (
        '<p class="note">Point at an entity for its offsets, in characters, and its score.'
        f"{low}</p>\n"
    )
