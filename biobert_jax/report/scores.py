"""What a run scored, from `scores.json` alone: tables, confusion, calibration, mistakes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from biobert_jax.html_page import escape
from biobert_jax.report.runs import Run
from biobert_jax.report.scores_file import is_number, numbers_of
from biobert_jax.report.series import number, share
from biobert_jax.scoring.similarity import NO_SHARES
from biobert_jax.units import plural

# Groups of scores, a row each, and what a row is called.
_GROUPS = {"by_type": "Type", "by_label": "Label", "by_fold": "Fold"}
_NAMES = {
    "f1": "F1",
    "mrr": "MRR",
    "num_gold": "Gold",
    "num_predicted": "Predicted",
    "num_correct": "Correct",
    "num_tokens": "Tokens",
    "ece_before": "ECE before",
    "ece_after": "ECE after",
}
# Of entities, as the issue of boundaries against types is told.
_ERRORS = {
    "correct": "Right words and type",
    "boundary": "Right type, other boundary",
    "type": "Right words, other type",
    "both": "Overlap, other type",
    "missed": "Missed",
    "spurious": "Nothing there",
}
# Ratios that may be below 0, or are no ratios.
_PLAIN = (*NO_SHARES, "temperature", "threshold")


def panels(run: Run, name: str = "") -> str:
    """The sections of a run's scores; "" where it has none.

    Args:
      name: of the run, where there are several.
    """
    test = test_scores(run)
    of = f" of {escape(name)}" if name else ""
    calibration = test.get("calibration") or run.scores.get("calibration")
    return "".join(
        (
            _table(run, test, of) if test else "",
            _runs(run.scores, of) if run.scores.get("runs") else "",
            _errors(test["errors"], of) if test.get("errors") else "",
            _confusion(run, test["confusion"], of) if test.get("confusion") else "",
            _calibration(calibration, of) if calibration else "",
            _mistakes(test["mistakes"], of) if test.get("mistakes") else "",
        )
    )


def test_scores(run: Run) -> Mapping[str, Any]:
    """The scores of the test file, {} where there are none."""
    return run.scores.get("test") or {}


def main_score(run: Run) -> tuple[str, str] | None:
    """The score that the run is compared by: its name, and its value as it is shown; of several
    runs the mean.
    """
    name = run.scores.get("main_score", "f1")
    found = test_scores(run).get(name, (run.scores.get("mean") or {}).get(name))
    return None if found is None else (title(name), shown(name, float(found)))


def title(name: str) -> str:
    """A score's name for readers: `strict_accuracy` is "Strict accuracy"."""
    return _NAMES.get(name, name.replace("_", " ").capitalize())


def shown(name: str, value: Any) -> str:
    """A score as it is printed: counts as they are, ratios in percent."""
    if isinstance(value, int):
        return f"{value:,}"
    return number(value) if name in _PLAIN or abs(value) > 1 else share(value)


def _table(run: Run, test: Mapping[str, Any], of: str) -> str:
    """All scores that are numbers, and those of groups in the same columns."""
    columns = list(numbers_of(test))
    rows = [("all", numbers_of(test))]
    group = next((name for name in _GROUPS if test.get(name)), None)
    head = _GROUPS.get(group, "")
    if group:
        groups = test[group]
        if len(groups) > 1:  # one alone is everything
            rows += [(name or "entity", numbers_of(values)) for name, values in groups.items()]
    body = (
        f'<tr><th scope="row">{escape(str(name))}</th>'
        + "".join(
            f'<td class="count">{shown(key, values[key]) if key in values else "–"}</td>'
            for key in columns
        )
        + _bar(values.get(run.scores.get("main_score", "f1")))
        + "</tr>\n"
        for name, values in rows
    )
    where = escape(str(run.scores.get("file", "the test file")))
    count, unit = run.scores.get("examples"), run.scores.get("unit", "example")
    examples = f"{plural(count, escape(str(unit)))} of " if isinstance(count, int) else ""
    how = "Entities matched exactly, as conlleval counts, on" if run.task == "ner" else "On"
    return _section(
        f"Scores{of}",
        f"{how} {examples}{where}.",
        _grid([head, *map(title, columns), title(run.scores.get("main_score", "f1"))], body),
    )


def _bar(value: Any) -> str:
    width = 100 * min(1.0, max(0.0, value)) if is_number(value) else 0.0
    return f'<td class="bar"><i style="width:{width:.1f}%"></i></td>'


def _runs(scores: Mapping[str, Any], of: str) -> str:
    """Each run of several, then mean and standard deviation."""
    runs = scores["runs"]
    mean, sd = scores.get("mean") or {}, scores.get("sd") or {}
    columns = list(mean) or list(numbers_of(runs[0].get("test") or {}))
    rows: list[tuple[str, list[str]]] = []
    for run in runs:
        values = numbers_of(run.get("test") or {})
        cells = [shown(key, values[key]) if key in values else "–" for key in columns]
        rows.append((str(run.get("name", "")), cells))
    for label, values in (("mean", mean), ("sd", sd)):
        cells = [shown(key, values[key]) if is_number(values.get(key)) else "–" for key in columns]
        rows.append((label, cells))
    body = (
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f'<td class="count">{cell}</td>' for cell in cells)
        + "</tr>\n"
        for name, cells in rows
    )
    return _section(
        f"Runs{of}",
        f"Test scores of {plural(len(runs), 'run')}; standard deviations are over runs.",
        _grid(["Run", *map(title, columns)], body),
    )


def _errors(errors: Mapping[str, Any], of: str) -> str:
    total = sum(value for value in errors.values() if is_number(value)) or 1
    body = (
        f'<tr><th scope="row">{escape(_ERRORS.get(name, title(name)))}</th>'
        f'<td class="count">{count:,}</td><td class="count">{share(count / total)}</td>'
        f"{_bar(count / total)}</tr>\n"
        for name, count in errors.items()
    )
    return _section(
        f"Kinds of errors{of}",
        "Gold and predicted entities, each counted once: an overlap that is not exact is an error "
        "of boundary, of type, or of both.",
        _grid(["", "Entities", "Share", ""], body),
    )


def _confusion(run: Run, confusion: Mapping[str, Any], of: str) -> str:
    labels, counts = confusion["labels"], confusion["counts"]
    if len(labels) < 2:  # there is nothing to be confused with
        return ""
    body = []
    for label, row in zip(labels, counts, strict=True):
        total = sum(row) or 1
        cells = "".join(
            f'<td class="count" style="background:color-mix(in srgb, var(--c0) '
            f'{60 * count / total:.0f}%, transparent)">{count:,}</td>'
            for count in row
        )
        body.append(f'<tr><th scope="row">{escape(str(label or "entity"))}</th>{cells}</tr>\n')
    where = "Of entities whose words were found exactly: a" if run.task == "ner" else "A"
    return _section(
        f"Confusion{of}",
        f"{where} row is what is annotated, a column what was predicted; the colour is the share "
        "of the row.",
        _grid(["", *(escape(str(label or "entity")) for label in labels)], body),
    )


def _calibration(calibration: Mapping[str, Any], of: str) -> str:
    facts = [
        f"{title(name)} {number(value)}" for name, value in calibration.items() if is_number(value)
    ]
    body = "".join(
        "<tr>"
        + f'<td class="count">{share(b["probability"])}</td>'
        + f'<td class="count">{share(b["accuracy"])}</td>'
        + f'<td class="count">{b["count"]:,}</td>{_bar(b["accuracy"])}</tr>\n'
        for b in calibration.get("bins") or []
        if b["count"]
    )
    grid = _grid(["Mean probability", "Right", "Entities", ""], body) if body else ""
    return _section(f"Calibration{of}", f"{' · '.join(facts)}.", grid)


def _mistakes(mistakes: Sequence[Mapping[str, Any]], of: str) -> str:
    sure = [m.get("probability") for m in mistakes]
    body = (
        f'<tr><td class="count">{share(p) if is_number(p) else ""}'
        f"</td><td>{_words(m.get('gold'))}</td><td>{_words(m.get('predicted'))}</td>"
        f"<td>{_context(m)}<br><small>{escape(str(m.get('id', '')))}</small></td></tr>\n"
        for m, p in zip(mistakes, sure, strict=True)
    )
    return _section(
        f"Most confident mistakes{of}",
        "What is wrong and was most certain first: often the annotation is worth a look.",
        _grid(["Probability", "Annotated", "Predicted", "Text"], body),
    )


def _words(value: Any) -> str:
    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value))
    return escape("–" if value in (None, "") else str(value))


def _context(mistake: Mapping[str, Any]) -> str:
    """The text, the part in question marked where `start` and `end` say which it is."""
    text, start, end = str(mistake.get("text", "")), mistake.get("start"), mistake.get("end")
    if not (isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(text)):
        return escape(text)
    return f"{escape(text[:start])}<mark>{escape(text[start:end])}</mark>{escape(text[end:])}"


def _section(heading: str, note: str, content: str) -> str:
    return f'<section>\n<h2>{heading}</h2>\n<p class="note">{note}</p>\n{content}</section>\n'


def _grid(head: Sequence[str], body: Iterator[str] | Sequence[str] | str) -> str:
    """A table; all columns but the first hold numbers, as far as their heading says."""
    names = "".join(
        f'<th scope="col"{" class=count" if place and name else ""}>{name}</th>'
        for place, name in enumerate(head)
    )
    return (
        f'<div class="scroll"><table>\n<thead><tr>{names}</tr></thead>\n{"".join(body)}</table>'
        "</div>\n"
    )
