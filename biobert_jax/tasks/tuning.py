"""Settings chosen on held-out examples: every point of a grid, or a search between its bounds."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from biobert_jax.config_finetuning import FinetuneConfig, GridConfig
from biobert_jax.config_parsing import apply_overrides, resolve
from biobert_jax.errors import UserError
from biobert_jax.training import distributed


class Run(NamedTuple):
    """A run of several: the name of its folder, what it differs in, its config."""

    name: str
    differs: dict[str, Any]
    config: FinetuneConfig


def choose(
    config: FinetuneConfig,
    main: str,
    run_point: Callable[[Run], Mapping[str, Any]],
    *,
    search: int = 0,
    prefix: str = "",
) -> dict[str, Any]:
    """The settings with the best `main` score on `data.eval`; no test file is looked at.

    Args:
      run_point: trains a run, or finds it done, and returns the content of its `scores.json`.
      search: number of trials between the bounds of `config.grid`; 0: all points of it.
      prefix: of the names of the runs' folders: a fold.

    Raises:
      UserError: nothing varies; a run has no such score on data.eval.
    """
    prefix = f"fold-{prefix}-" if prefix else ""
    best: tuple[float, dict[str, Any]] | None = None
    points = _trials(config, search) if search else _points(config)
    changes = next(points)
    while True:
        word = "search" if search else "grid"
        name = f"{prefix}{word}-" + "-".join(
            f"{key.rpartition('.')[2]}-{value}" for key, value in changes.items()
        )
        own = untested(plain(changed(config, changes)))
        content = run_point(Run(name, changes, own))
        # Process 0's, since a search suggests by its last digit, which machines may tell apart.
        value = distributed.decide(functools.partial(_score, content, main))
        if value is None:
            raise UserError(f"{name}: it has no {main} on data.eval {config.data.eval}")
        # One that is not a number is worse than all.
        value = -math.inf if math.isnan(value) else value
        if best is None or value > best[0]:
            best = value, changes
        try:
            changes = points.send(value)
        except StopIteration:
            return best[1]


def _score(content: Mapping[str, Any], main: str) -> float | None:
    return content.get("eval", {}).get(main)


def changed(config: FinetuneConfig, changes: Mapping[str, Any]) -> FinetuneConfig:
    """The config with some keys set to other values, as by the command line."""
    overrides = [f"{key}={value}" for key, value in changes.items()]
    return resolve(
        FinetuneConfig, apply_overrides(FinetuneConfig, dataclasses.asdict(config), overrides)
    )


def plain(config: FinetuneConfig) -> FinetuneConfig:
    """Without the keys that only several runs together have."""
    return dataclasses.replace(config, grid=GridConfig(), retrain=False, paper="")


def untested(config: FinetuneConfig) -> FinetuneConfig:
    """Without a test file."""
    return dataclasses.replace(config, data=dataclasses.replace(config.data, test=""))


def _points(config: FinetuneConfig) -> Iterator[dict[str, Any]]:
    """Every combination of the grid's values."""
    varied = _varied(config, "--grid")
    for values in itertools.product(*varied.values()):
        yield dict(zip(varied, values, strict=True))


def _trials(config: FinetuneConfig, number: int) -> Iterator[dict[str, Any]]:
    """Points that optuna's TPE suggests (Bergstra et al. 2011); takes each one's score.

    A learning rate lies between the lowest and the highest of the grid's, evenly in its logarithm;
    of other keys one of the values is taken. The suggestions follow from `config.seed` and the
    scores, so that a search that was stopped suggests the same again.
    """
    try:
        import optuna
    except ImportError as error:
        raise UserError("--search needs optuna: pip install 'biobert-jax[search]'") from error

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    varied = _varied(config, "--search")
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=config.seed)
    )
    for _ in range(number):
        trial = study.ask()
        point: dict[str, Any] = {}
        for key, values in varied.items():
            if key == _RATE:
                rates = sorted(map(float, values))
                point[key] = f"{trial.suggest_float(key, rates[0], rates[-1], log=True):.3g}"
            else:
                point[key] = trial.suggest_categorical(key, list(values))
        score = yield point
        study.tell(trial, score if math.isfinite(score) else 0.0)


_RATE = "optimizer.learning_rate"


def _varied(config: FinetuneConfig, option: str) -> dict[str, tuple[str, ...]]:
    keys = {
        _RATE: config.grid.learning_rate,
        "data.batch_size": config.grid.batch_size,
        "train.num_epochs": config.grid.num_epochs,
    }
    varied = {key: values for key, values in keys.items() if values}
    if not varied:
        raise UserError(
            f"{option}: set config.grid.learning_rate, batch_size or num_epochs to what is tried"
        )
    return varied
