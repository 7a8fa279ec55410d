"""Reads workdirs of `biobert pretrain` and `finetune`; imports neither JAX nor TensorFlow."""

import dataclasses
import json
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from biobert_jax import storage
from biobert_jax.checkpoints import manifest
from biobert_jax.config import ModelConfig
from biobert_jax.errors import UserError
from biobert_jax.json_fields import read_object, read_optional_object
from biobert_jax.report.scores_file import problem
from biobert_jax.storage import anywhere
from biobert_jax.storage.anywhere import AnyPath
from biobert_jax.training.mirror import Mirror


class Series(NamedTuple):
    """A metric over a run: steps, int64 [N], rising, and values, float64 [N], NaN if not finite."""

    steps: np.ndarray
    values: np.ndarray


class SavedStep(NamedTuple):
    """A finished checkpoint: its step, bytes of its files, Unix seconds of its completion."""

    step: int
    bytes: int
    time: float


@dataclass(frozen=True)
class Run:
    """What a workdir holds.

    Attributes:
      name: the folder's.
      config: as in `config.json`, nested.
      series: by the metric's name.
      scores: the content of `scores.json`, {} where there is none.
      checkpoints: by rising step.
      model: where it is known.
    """

    name: str
    config: dict[str, Any]
    series: dict[str, Series]
    scores: dict[str, Any]
    checkpoints: tuple[SavedStep, ...]
    model: ModelConfig | None

    @property
    def task(self) -> str:
        """What it was fine-tuned for; "" of pre-training."""
        return str(self.config.get("task") or self.scores.get("task") or "")

    @property
    def last_step(self) -> int:
        """The last step with a metric; 0 without any."""
        return max((int(series.steps[-1]) for series in self.series.values()), default=0)

    @property
    def num_steps(self) -> int | None:
        """The steps asked for; None where they follow from epochs."""
        train = self.config.get("train")
        return (train.get("num_steps") or None) if isinstance(train, dict) else None

    def last(self, metric: str) -> float | None:
        """The last finite value."""
        values = self.series[metric].values if metric in self.series else np.empty(0)
        finite = values[np.isfinite(values)]
        return float(finite[-1]) if finite.size else None


def read_runs(workdirs: Sequence[str | os.PathLike]) -> list[Run]:
    """Reads workdirs, in order; the same names are told apart by their parents' names.

    Raises:
      UserError: as `read_run`; a folder is given twice.
    """
    paths = [
        storage.path(workdir) if storage.is_remote(workdir) else Path(workdir).resolve()
        for workdir in workdirs
    ]
    for index, path in enumerate(paths):
        if path in paths[:index]:
            raise UserError(f"{workdirs[index]}: given twice: give each workdir once")
    runs = [read_run(workdir) for workdir in workdirs]
    depth = 1
    while len({path.parts[-depth:] for path in paths}) < len(paths):
        depth += 1
    return [
        dataclasses.replace(run, name="/".join(path.parts[-depth:]))
        for run, path in zip(runs, paths, strict=True)
    ]


def read_run(workdir: str | os.PathLike) -> Run:
    """Reads a workdir; the run may be under way.

    Raises:
      UserError: it is none, has no metrics yet, or a file in it is damaged.
    """
    if not storage.is_remote(workdir):
        return _read_run(Path(workdir), Path(workdir).resolve())
    shared = storage.path(workdir)
    with tempfile.TemporaryDirectory(prefix="biobert_jax-") as folder:
        Mirror(shared, Path(folder)).pull()
        return _read_run(Path(folder), shared)


def _read_run(path: Path, shared: AnyPath) -> Run:
    """Reads a workdir whose files are in one folder and whose checkpoints in another."""
    if not path.is_dir():
        raise UserError(f"{path}: no such folder")
    scores = _read_json(path / "scores.json")
    # Several runs, of folds or seeds, have their scores gathered in a folder without curves.
    if not (path / "metrics.jsonl").is_file() and not scores:
        raise UserError(
            f"{shared}: holds no metrics.jsonl: give the --workdir of biobert pretrain or finetune"
        )
    has_curves = (path / "metrics.jsonl").is_file()
    series = read_metrics(path / "metrics.jsonl") if has_curves else {}
    config = _read_json(path / "config.json")
    checkpoints, described = _read_checkpoints(shared)
    # A fine-tuning run's config leaves the sizes to its checkpoints.
    model = _model(described) or _model(config.get("model"))
    if wrong := problem(scores):
        raise UserError(
            f"{path / 'scores.json'}: {wrong}: put it back, or remove it to report without it"
        )
    return Run(shared.name, config, series, scores, checkpoints, model)


def read_metrics(path: Path) -> dict[str, Series]:
    """The metrics of a `metrics.jsonl`, by name; a last line without its end is passed over.

    Raises:
      UserError: a line is damaged; there is none.
    """
    points: dict[str, dict[int, float]] = {}
    text = path.read_text(encoding="utf-8", errors="replace")
    for number, line in enumerate(text.split("\n")[:-1], 1):
        try:
            values = json.loads(line)
            step = values.pop("step")
            if not isinstance(step, int) or isinstance(step, bool) or step < 0:
                raise ValueError
            for name, value in values.items():
                value = math.nan if value is None else float(value)
                points.setdefault(name, {})[step] = value if math.isfinite(value) else math.nan
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            raise UserError(
                f"{path}, line {number}: not a JSON object of numbers with a step: remove the line"
            ) from None
    if not any(name != "time" for name in points):
        raise UserError(f"{path}: holds no metrics yet: the first come after train.log_every steps")
    return {name: _series(values) for name, values in points.items()}


def _series(points: Mapping[int, float]) -> Series:
    steps = np.array(sorted(points), np.int64)
    return Series(steps, np.array([points[step] for step in steps.tolist()], np.float64))


def _read_json(path: Path) -> dict[str, Any]:
    """A JSON object, {} where there is no file."""
    return read_optional_object(path, "put it back, or remove it to report without it") or {}


def _read_checkpoints(workdir: AnyPath) -> tuple[tuple[SavedStep, ...], Any]:
    """The finished checkpoints, and the model as the newest states it."""
    found, model = [], None
    for path in reversed(manifest.checkpoints_of(workdir)):
        # A run under way may delete one while we look.
        try:
            size = sum(anywhere.files_below(path).values())
            model = read_object(path / manifest.NAME).get("model", model)
            saved = SavedStep(int(path.name), size, anywhere.modified(path / manifest.NAME))
        except (OSError, ValueError):
            continue
        found.append(saved)
    return tuple(found), model


def _model(values: Any) -> ModelConfig | None:
    """The model of a stated one; None where its sizes are not stated or make no model."""
    names = {field.name for field in dataclasses.fields(ModelConfig)}
    if not isinstance(values, dict) or not values.get("vocab_size"):
        return None
    try:
        return ModelConfig(**{name: value for name, value in values.items() if name in names})
    except (UserError, TypeError):
        return None
