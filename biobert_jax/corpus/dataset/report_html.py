"""The report's page: one self-contained file without scripts, in the style of `predict.html`."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from biobert_jax.corpus.dataset.manifest import Manifest
from biobert_jax.corpus.dataset.report_plots import histogram_svg, quantile
from biobert_jax.corpus.dataset.report_samples import Sample, Token
from biobert_jax.html_page import escape, page
from biobert_jax.units import plural, size

# A page with more of them is of no use; corpus.json and the manifest name all.
MAX_LISTED = 200
MAX_TOKENS = 2048

REASONS = {
    "superseded": "an older version of an article",
    "deleted": "deleted by the source",
    "duplicate": "its text has come before",
    "near_duplicate": "nearly the text of an earlier one",
    "empty": "no text",
    "short": "fewer words than --min_words",
    "language": "not in --languages",
    "publication_type": "by its publication type",
    "year": "not of --years",
    "license": "not under --licenses",
}

_CSS = """
:root { --bar: #3b7dd8; --odd: #e7f0fb; --even: #fbf0dc; --special: #7a4fb5;
  --unknown: #c2261c; --mark: #ffe28a; }
main { padding-bottom: 2.5rem; }
.note { margin: 0 0 .9rem; font-size: .8125rem; color: var(--muted); }
.tiles { display: grid; grid-template-columns: repeat(2, 1fr); gap: .8rem;
  margin: 1.25rem 0 0; padding: 0; }
@media (min-width: 40rem) { .tiles { grid-template-columns: repeat(4, 1fr); } }
.tiles div { padding: .6rem .9rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .6rem; }
.tiles dt { font-size: .75rem; font-weight: 600; color: var(--muted); }
.tiles dd { margin: 0; font-size: 1.3rem; font-variant-numeric: tabular-nums; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr));
  gap: 1.1rem; align-items: start; }
.card { margin: 0 0 1.1rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .6rem; }
.columns .card { margin: 0; }
.card h3 { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem; margin: 0;
  padding: .5rem 1.1rem; border-bottom: 1px solid var(--line); font-size: .875rem;
  overflow-wrap: anywhere; }
.card h3 span { font-weight: 400; color: var(--muted); font-variant-numeric: tabular-nums; }
figure { padding-bottom: .7rem; }
figure svg { display: block; width: 100%; max-width: 36rem; height: auto; padding: .4rem .5rem 0; }
figcaption { padding: .3rem 1.1rem 0; font-size: .8125rem; color: var(--muted);
  font-variant-numeric: tabular-nums; }
svg text { font-size: 11px; fill: var(--muted); font-variant-numeric: tabular-nums; }
svg .name { font-weight: 600; }
svg rect { fill: var(--bar); }
svg .grid { stroke: var(--line); fill: none; }
svg .axis { stroke: var(--muted); fill: none; }
table { width: 100%; border-collapse: collapse; background: var(--card); font-size: .875rem;
  border: 1px solid var(--line); }
th, td { padding: .3rem .6rem; border-top: 1px solid var(--line); text-align: left;
  vertical-align: top; overflow-wrap: anywhere; }
th { width: 1%; font-weight: 600; white-space: nowrap; }
thead th { color: var(--muted); font-size: .75rem; width: auto; }
td small { color: var(--muted); }
.count { width: 1%; text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.bars td:last-child { width: 38%; vertical-align: middle; }
.bars i { display: block; min-width: 2px; height: .7rem; border-radius: .15rem;
  background: var(--bar); }
.text { padding: .8rem 1.1rem 1rem; line-height: 1.95; white-space: pre-wrap;
  overflow-wrap: anywhere; }
.seq { padding: .2em .15em; border-radius: .3em; background: var(--odd);
  -webkit-box-decoration-break: clone; box-decoration-break: clone; }
.seq.even { background: var(--even); }
.seq em { font-style: italic; }
.seq b { font-size: .75em; font-weight: 600; color: var(--special); }
.seq b.unknown { color: var(--unknown); }
.seq u { text-decoration: none; border-left: 1px dotted var(--muted); }
.nsp { padding: .1em .5em; border: 1px solid var(--line); border-radius: 1em;
  background: var(--card); color: var(--muted); font-size: .75em; font-weight: 600; }
mark { padding: .05em .2em; border-radius: .25em; background: var(--mark); color: inherit; }
mark::after { content: attr(data-input); margin-left: .4em; color: var(--special);
  font-size: .6875em; font-weight: 600; }
@media screen and (prefers-color-scheme: dark) {
  :root { --bar: #5c9bf0; --odd: #1d2d42; --even: #3a2f1b; --special: #c3a2f2;
    --unknown: #ff8a80; --mark: #5e4b0c; }
}
@media print {
  .card, tr { break-inside: avoid; }
  .seq, mark, svg rect, .bars i { -webkit-print-color-adjust: exact; print-color-adjust: exact; }
}
"""


def render_page(
    summary: Mapping[str, Any], manifest: Manifest, samples: Sequence[Sample], *, title: str
) -> str:
    """The page's source, to be written as UTF-8.

    Args:
      summary: of `report.summarize`.
      samples: of `report_samples.read_samples`.
      title: the data set's name.
    """
    sections = (
        _failed(manifest.failed),
        _plots(summary, manifest),
        f'<div class="columns">\n{_totals(summary, manifest)}{_dropped(summary)}</div>\n',
        _samples(samples, manifest),
        _arguments(manifest),
    )
    return page(
        title,
        css=_CSS,
        header=f'<p class="subtitle">{_subtitle(manifest)}</p>\n{_tiles(summary)}',
        main=f"<main>\n{''.join(sections)}</main>\n",
    )


def _subtitle(manifest: Manifest) -> str:
    kind = {
        ("packed", "mlm"): "packed rows",
        ("packed", "mlm_nsp"): "packed rows of sentence pairs",
        ("bert", "mlm_nsp"): "masked sentence pairs in google’s format",
    }[manifest.record_format, manifest.objective]
    return f"Prepared by biobert: {kind}, {manifest.max_seq_length:,} positions each"


def _tiles(summary: Mapping[str, Any]) -> str:
    tiles = [
        ("Documents", f"{summary['documents']:,}"),
        ("Left out", f"{sum(summary['dropped'].values()):,}"),
        ("Tokens", f"{summary['tokens']:,}"),
        ("Pieces a word", f"{summary['pieces_per_word']:.2f}"),
        ("[UNK]", f"{summary['unknown_share']:.3%}"),
        ("Rows", f"{summary['rows']:,}"),
        ("Fill", f"{summary['fill']:.2%}"),
        ("Size", size(sum(split["bytes"] for split in summary["splits"].values()))),
    ]
    cells = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles)
    return f'<dl class="tiles">{cells}</dl>\n'


def _plots(summary: Mapping[str, Any], manifest: Manifest) -> str:
    histograms = summary["histograms"]
    plots = [
        ("document_tokens", "Length of documents", "tokens", "documents"),
        ("sentence_tokens", "Length of sentences", "tokens", "sentences"),
        ("row_positions", "Positions used in a row", "positions", "rows"),
        ("row_sequences", "Sequences in a row", "sequences", "rows"),
    ]
    if manifest.record_format == "bert":
        del plots[-1]  # It is one.
    means = {
        "document_tokens": _ratio(summary["tokens"], summary["documents"]),
        "sentence_tokens": _ratio(summary["tokens"], summary["sentences"]),
        "row_positions": summary["fill"] * summary["max_seq_length"],
        "row_sequences": _ratio(summary["sequences"], summary["rows"]),
    }
    figures = []
    for name, heading, unit, counted in plots:
        buckets = histograms[name]
        if not buckets:
            continue
        middle, most = quantile(buckets, 0.5), quantile(buckets, 0.95)
        figures.append(
            f'<figure class="card"><h3>{heading}<span>{counted}</span></h3>\n'
            f"{histogram_svg(buckets, x_label=unit, y_label=counted)}\n"
            f"<figcaption>mean {_mean(means[name])} · half have at most {middle:,} · 95 % at most "
            f"{most:,}</figcaption></figure>\n"
        )
    if not figures:
        return ""
    return (
        '<section>\n<h2>Lengths</h2>\n<p class="note">The axes of numbers beyond 16 are '
        "logarithmic. Shares are estimates, read off the bars; point at one for its count.</p>\n"
        f'<div class="columns">\n{"".join(figures)}</div>\n</section>\n'
    )


def _mean(number: float) -> str:
    return f"{number:,.1f}" if number >= 10 else f"{number:.2f}"


def _ratio(part: float, whole: float | None) -> float:
    return part / whole if whole else 0.0


def _totals(summary: Mapping[str, Any], manifest: Manifest) -> str:
    held_out = summary["held_out_documents"]
    splits = summary["splits"]
    rows = [
        ("Documents", f"{summary['documents']:,}", "kept"),
        ("Held out", f"{held_out:,}", f"documents, {_ratio(held_out, summary['documents']):.2%}"),
        ("Near twins", f"{summary['held_out_near_twins']:,}", "of these, with one in training"),
        ("Words", f"{summary['words']:,}", "between white space"),
        ("Sentences", f"{summary['sentences'] or 0:,}", ""),
        ("Tokens", f"{summary['tokens']:,}", f"{summary['pieces_per_word']:.3f} a word"),
        ("[UNK]", f"{summary['unknown_tokens']:,}", f"{summary['unknown_share']:.4%} of tokens"),
        ("Sequences", f"{summary['sequences']:,}", ""),
        *(
            (
                f"{heading} rows",
                f"{splits[name]['rows']:,}",
                f"{plural(splits[name]['shards'], 'shard')}, {size(splits[name]['bytes'])}",
            )
            for name, heading in (("train", "Training"), ("heldout", "Held-out"))
        ),
        ("Fill", f"{summary['fill']:.2%}", "of all positions"),
        ("Text read", size(summary["bytes_of_text_read"]), "unpacked"),
        ("Vocabulary", f"{manifest.tokenizer['vocab_size']:,}", _tokenizer(manifest)),
    ]
    if not summary["sentences"]:
        rows = [row for row in rows if row[0] != "Sentences"]
    body = "".join(
        f'<tr><th scope="row">{name}</th><td class="count">{value}</td>'
        f"<td><small>{note}</small></td></tr>\n"
        for name, value, note in rows
    )
    return (
        '<section>\n<h2>Totals</h2>\n<p class="note">Tokens without [CLS] and [SEP].</p>\n'
        f"<table>\n{body}</table>\n</section>\n"
    )


def _tokenizer(manifest: Manifest) -> str:
    tokenizer = manifest.tokenizer
    return escape(f"{tokenizer['kind']}, {'cased' if tokenizer['cased'] else 'uncased'}")


def _dropped(summary: Mapping[str, Any]) -> str:
    dropped = summary["dropped"]
    if not dropped:
        return '<section>\n<h2>Left out</h2>\n<p class="note">No document.</p>\n</section>\n'
    seen = summary["documents"] + sum(dropped.values())
    most = max(dropped.values())
    body = "".join(
        f"<tr><td>{escape(reason.replace('_', ' '))}<br><small>{REASONS.get(reason, '')}</small>"
        f'</td><td class="count">{count:,}<br><small>{count / seen:.2%}</small></td>'
        f'<td><i style="width:{100 * count / most:.1f}%"></i></td></tr>\n'
        for reason, count in sorted(dropped.items(), key=lambda item: (-item[1], item[0]))
    )
    return (
        f'<section>\n<h2>Left out</h2>\n<p class="note">Of {seen:,} documents.</p>\n'
        f'<table class="bars">\n{body}</table>\n</section>\n'
    )


def _failed(failed: Mapping[str, str]) -> str:
    if not failed:
        return ""
    shown = list(failed.items())[:MAX_LISTED]
    body = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(reason.removeprefix(name).lstrip(': '))}</td>"
        "</tr>\n"
        for name, reason in shown
    )
    more = f" The first {MAX_LISTED}; corpus.json has all." if len(failed) > MAX_LISTED else ""
    return (
        f'<section>\n<h2>Files that could not be read</h2>\n<p class="note">{len(failed):,} files '
        f"or members of archives are not in the data set, or only up to a fault.{more}</p>\n"
        "<table>\n<thead><tr><th>File</th><th>Reason</th></tr></thead>\n"
        f"{body}</table>\n</section>\n"
    )


def _samples(samples: Sequence[Sample], manifest: Manifest) -> str:
    if not samples:
        return ""
    legend = ["Spaces beside punctuation are guessed; a dotted line divides the pieces of a word."]
    if manifest.record_format == "bert":
        legend.append(
            "Shaded words are to be predicted: the true one is shown, and small what the model "
            "sees there."
        )
    else:
        legend.append("The sequences of a row are shaded by turns; none sees the others.")
    if manifest.objective == "mlm_nsp":
        legend.append("Italic: B of a pair (token type 1), after its label.")
    cards = "".join(_sample(sample, manifest.max_seq_length) for sample in samples)
    return (
        f'<section>\n<h2>Random rows</h2>\n<p class="note">{" ".join(legend)}</p>\n{cards}'
        "</section>\n"
    )


def _sample(sample: Sample, length: int) -> str:
    room = MAX_TOKENS
    parts = []
    for number, tokens in enumerate(sample.sequences):
        label = sample.is_random_next[number]
        chip = ""
        if label is not None:
            chip = f'<span class="nsp">{"B is random" if label else "B follows A"}</span> '
        parity = "" if number % 2 == 0 else " even"
        shown = "".join(_runs(tokens[:room]))
        parts.append(f'<span class="seq{parity}">{chip}{shown}</span>')
        room -= len(tokens)
        if room <= 0:
            parts.append(" …")
            break
    count = len(sample.sequences)
    return (
        f'<article class="card">\n<h3>{escape(sample.shard)}, row {sample.row:,}'
        f"<span>{plural(count, 'sequence')} · {sample.positions:,} of "
        f'{length:,} positions</span></h3>\n<div class="text" dir="auto">{" ".join(parts)}</div>\n'
        "</article>\n"
    )


def _runs(tokens: Iterable[Token]) -> Iterable[str]:
    """The tokens' HTML, those of type 1 within one <em>."""
    current = 0
    for token in tokens:
        if token.token_type != current:
            yield "<em>" if token.token_type else "</em>"
            current = token.token_type
        # The space before a token stays out of its element.
        space = " " if token.text.startswith(" ") else ""
        text = escape(token.text[len(space) :])
        if token.kind == "masked":
            text = f'<mark data-input="{escape(token.replaced_by)}">{text}</mark>'
        elif token.kind in ("special", "unknown"):
            text = f'<b class="{token.kind}">{text}</b>'
        elif token.kind == "continuation":
            text = f"<u>{text}</u>"
        yield space + text
    if current:
        yield "</em>"


def _arguments(manifest: Manifest) -> str:
    arguments = dict(manifest.arguments)
    inputs = _below_common_folder(list(arguments.pop("inputs", [])))
    options = arguments.pop("options", {})
    files = "".join(f"{escape(str(path))}<br>" for path in inputs[:MAX_LISTED])
    more = "…" if len(inputs) > MAX_LISTED else ""
    cells = {
        "inputs": f"<details><summary>{len(inputs):,} files</summary>{files}{more}</details>"
        if len(inputs) > 3
        else files,
        **{name: _value(value) for name, value in {**arguments, **options}.items()},
        "fingerprint": escape(manifest.fingerprint),
    }
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{value}</td></tr>\n'
        for name, value in cells.items()
    )
    return f"<section>\n<h2>Arguments</h2>\n<table>\n{body}</table>\n</section>\n"


def _below_common_folder(paths: list[str]) -> list[str]:
    """Paths without what they have in common: the page says what was read, not where."""
    local = [path for path in paths if os.path.isabs(path)]
    common = os.path.commonpath([os.path.dirname(path) for path in local]) if local else ""
    return [os.path.relpath(path, common) if os.path.isabs(path) else path for path in paths]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return escape(", ".join(map(str, value))) or "–"
    return escape(str(value)) or "–"
