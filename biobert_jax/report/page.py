"""The report's page: one self-contained file, with a script only for the read-out of values."""

import time
from collections.abc import Sequence
from statistics import median
from typing import Any

from biobert_jax import html_page
from biobert_jax.errors import UserError
from biobert_jax.html_page import escape
from biobert_jax.report import charts
from biobert_jax.report.panels import sections, swatch
from biobert_jax.report.runs import Run
from biobert_jax.report.scores import main_score, panels
from biobert_jax.report.series import number, share
from biobert_jax.report.style import COLORS, CSS, SCRIPT
from biobert_jax.training.flops import encoder_parameters
from biobert_jax.units import duration, size

# What a run says first: label, metric, as a share.
_HEADLINES = (
    ("Training loss", "loss", False),
    ("Held-out masked LM loss", "heldout_mlm_loss", False),
    ("Held-out masked accuracy", "heldout_mlm_accuracy", True),
    ("Held-out pair accuracy", "heldout_nsp_accuracy", True),
    ("Held-out F1", "eval_f1", True),
)
_TASKS = {"ner": "named entities", "qa": "questions"}


def render_page(runs: Sequence[Run]) -> str:
    """The page's source, to be written as UTF-8; several runs are laid over each other.

    Raises:
      UserError: more runs than there are colours.
    """
    if len(runs) > COLORS:
        raise UserError(f"{len(runs)} workdirs: at most {COLORS} can be told apart on one page")
    several = len(runs) > 1
    title = f"{len(runs)} runs" if several else runs[0].name
    frame = [
        charts.LEFT,
        charts.WIDTH - charts.RIGHT,
        charts.TOP,
        charts.HEIGHT - charts.BOTTOM,
    ]
    if several:
        header = _comparison_header(runs)
        before = _legend(runs) + _table_of_runs(runs) + _differences(runs)
        after = "".join(panels(run, run.name) for run in runs)
    else:
        header, before, after = _header(runs[0]), panels(runs[0]), _checkpoints(runs[0])
    return html_page.page(
        title,
        css=CSS,
        header=header,
        main=f"<main>\n{before}{sections(runs)}{after}{_config(runs)}</main>\n",
        script=SCRIPT.replace("FRAME", str(frame)),
    )


def _header(run: Run) -> str:
    tiles = [("Step", _progress(run))]
    tiles += [
        (name, (share if is_share else number)(value))
        for name, key, is_share in _HEADLINES
        if (value := run.last(key)) is not None
    ]
    if (score := main_score(run)) is not None:
        tiles.append((f"Test {score[0]}", score[1]))
    if (skipped := run.last("skipped_steps")) is not None:
        tiles.append(("Skipped steps", f"{skipped:,.0f}"))
    tiles += [
        (name, shown(value))
        for name, key, shown in (
            ("Tokens a second", "tokens_per_second", number),
            ("FLOPs utilisation", "mfu", share),
            ("Waiting for input", "input_wait", share),
        )
        if (value := _middle(run, key)) is not None
    ]
    if run.model is not None:
        tiles.append(("Parameters", number(encoder_parameters(run.model))))
    cells = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles)
    return (
        f'<p class="subtitle">{escape(_subtitle(run))}</p>\n<dl class="tiles">{cells}</dl>\n'
        f'<p class="note" style="margin-top:.6rem">{_times(run)}Speeds are medians over the run; '
        "parameters are those of the encoder.</p>\n"
    )


def _comparison_header(runs: Sequence[Run]) -> str:
    kinds = {"Fine-tuning" if run.task else "Pre-training" for run in runs}
    return f'<p class="subtitle">{" and ".join(sorted(kinds))}, laid over each other</p>\n'


def _subtitle(run: Run) -> str:
    kind = f"Fine-tuning for {_TASKS.get(run.task, run.task)}" if run.task else "Pre-training"
    parts = [kind]
    if run.model is not None:
        model = run.model
        parts.append(
            f"{model.num_hidden_layers} layers of {model.hidden_size}, vocabulary "
            f"{model.vocab_size:,}"
        )
    batch = _at(run.config, "data.batch_size")
    if batch is not None and not _at(run.config, "data.phases"):
        parts.append(f"{batch} rows a step")
    if name := _at(run.config, "optimizer.name"):
        parts.append(f"{name} at {_at(run.config, 'optimizer.learning_rate')}")
    if data := _at(run.config, "data.dir"):
        parts.append(f"data {data}")
    if init := run.config.get("init"):
        parts.append(f"from {init}")
    return " · ".join(parts)


def _times(run: Run) -> str:
    """From the first line of metrics to the last; breaks between restarts count."""
    if "time" not in run.series:
        return ""
    times = run.series["time"].values
    first, last = float(times.min()), float(times.max())
    if not 0 < first <= last < 1e11:
        return ""
    return (
        f"Metrics from {_moment(first)} to {_moment(last)} UTC, {duration(last - first)}, breaks "
        "included. "
    )


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds))


def _progress(run: Run) -> str:
    return f"{run.last_step:,}" + (f" of {run.num_steps:,}" if run.num_steps else "")


def _middle(run: Run, key: str) -> float | None:
    """The median, of what hardly changes over a run."""
    values = run.series[key].values if key in run.series else []
    finite = [value for value in values if value == value]
    return float(median(finite)) if finite else None


def _legend(runs: Sequence[Run]) -> str:
    keys = "".join(
        f'<span class="key">{swatch(index)}{escape(run.name)}</span>'
        for index, run in enumerate(runs)
    )
    return f'<div class="legend">{keys}</div>\n'


def _table_of_runs(runs: Sequence[Run]) -> str:
    columns = [
        (name, key, share if is_share else number)
        for name, key, is_share in _HEADLINES
        if any(run.last(key) is not None for run in runs)
    ]
    scores = [main_score(run) for run in runs]
    tests = sorted({score[0] for score in scores if score is not None})
    head = ["Run", "Step", "Parameters", *(name for name, *_ in columns)]
    head += [f"Test {name}" for name in tests] + ["Tokens/s"]
    body = []
    for index, run in enumerate(runs):
        cells = [_progress(run), number(encoder_parameters(run.model)) if run.model else "–"]
        for _, key, shown in columns:
            value = run.last(key)
            cells.append("–" if value is None else shown(value))
        score = scores[index]
        cells += [score[1] if score and score[0] == name else "–" for name in tests]
        speed = _middle(run, "tokens_per_second")
        cells.append("–" if speed is None else number(speed))
        numbers = "".join(f'<td class="count">{cell}</td>' for cell in cells)
        body.append(
            f'<tr><td class="run"><span class="key">{swatch(index)}{escape(run.name)}</span>'
            f"</td>{numbers}</tr>\n"
        )
    names = "".join(
        f'<th scope="col"{" class=count" if place else ""}>{name}</th>'
        for place, name in enumerate(head)
    )
    return (
        '<section>\n<h2>Runs</h2>\n<p class="note">The last values of each; speeds are medians.</p>'
        f'\n<div class="scroll"><table>\n<thead><tr>{names}</tr></thead>\n{"".join(body)}</table>'
        "</div>\n</section>\n"
    )


def _differences(runs: Sequence[Run]) -> str:
    rows = [row for row in _config_rows(runs) if len(set(row[1:])) > 1]
    if not rows:
        return '<section>\n<h2>Config</h2>\n<p class="note">The same in all.</p>\n</section>\n'
    return (
        '<section>\n<h2>Where the configs differ</h2>\n<p class="note">All keys are at the end.</p>'
        f"\n{_config_table(rows, runs, mark=False)}</section>\n"
    )


def _config(runs: Sequence[Run]) -> str:
    rows = _config_rows(runs)
    if not rows:
        return ""
    return (
        f"<section>\n<h2>Config</h2>\n<details><summary>All {len(rows)} keys</summary>\n"
        f"{_config_table(rows, runs, mark=True)}</details>\n</section>\n"
    )


def _config_rows(runs: Sequence[Run]) -> list[tuple[str, ...]]:
    """Key and each run's value, for every key that a run has."""
    flat = [dict(_flat(run.config)) for run in runs]
    keys = dict.fromkeys(key for values in flat for key in values)
    return [(key, *(values.get(key, "–") for values in flat)) for key in keys]


def _config_table(rows: Sequence[tuple[str, ...]], runs: Sequence[Run], *, mark: bool) -> str:
    head = ""
    if len(runs) > 1:
        names = "".join(f'<th scope="col">{escape(run.name)}</th>' for run in runs)
        head = f'<thead><tr><th scope="col">Key</th>{names}</tr></thead>\n'
    body = []
    for key, *values in rows:
        differs = ' class="differs"' if mark and len(set(values)) > 1 else ""
        cells = "".join(f"<td>{escape(value)}</td>" for value in values)
        body.append(f'<tr{differs}><th scope="row">{escape(key)}</th>{cells}</tr>\n')
    return f'<div class="scroll"><table>\n{head}{"".join(body)}</table></div>\n'


def _flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict) and value:
        return [
            item
            for key, inner in value.items()
            for item in _flat(inner, f"{prefix}.{key}" if prefix else str(key))
        ]
    if isinstance(value, list) and value and all(isinstance(inner, dict) for inner in value):
        return [item for i, inner in enumerate(value) for item in _flat(inner, f"{prefix}.{i}")]
    if isinstance(value, bool):
        shown = "yes" if value else "no"
    elif isinstance(value, list):
        shown = ", ".join(map(str, value))
    else:
        shown = str(value)
    return [(prefix, shown or "–")] if prefix else []


def _at(config: dict[str, Any], path: str) -> Any:
    node: Any = config
    for key in path.split("."):
        node = node.get(key) if isinstance(node, dict) else None
    return node


def _checkpoints(run: Run) -> str:
    if not run.checkpoints:
        return '<section>\n<h2>Checkpoints</h2>\n<p class="note">None is saved.</p>\n</section>\n'
    body = "".join(
        f'<tr><td class="count">{saved.step:,}</td><td class="count">{size(saved.bytes)}</td>'
        f"<td>{_moment(saved.time)} UTC</td></tr>\n"
        for saved in run.checkpoints
    )
    return (
        '<section>\n<h2>Checkpoints</h2>\n<p class="note">Those that the workdir keeps.</p>\n'
        '<table>\n<thead><tr><th scope="col" class="count">Step</th><th scope="col" class="count">'
        f'Size</th><th scope="col">Saved</th></tr></thead>\n{body}</table>\n</section>\n'
    )
