"""Several runs as one: folds, seeds, a grid chosen on held-out data, and what they come to.

Each run is a workdir of its own below `<workdir>/runs/`. One that is finished is not run again, one
that was stopped goes on; so the same command goes on with all of them. No test file is looked at
before the settings are chosen.
"""

import dataclasses
import functools
import itertools
import json
import os
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from biobert_jax.checkpoints import manifest
from biobert_jax.config_finetuning import FinetuneConfig
from biobert_jax.config_parsing import resolve
from biobert_jax.errors import UserError
from biobert_jax.files import write_text_atomically
from biobert_jax.json_fields import read_optional_object
from biobert_jax.scoring.similarity import NO_SHARES
from biobert_jax.storage import anywhere
from biobert_jax.storage.copies import bring_once
from biobert_jax.tasks import tuning
from biobert_jax.tasks.files.prepared import folds_in, is_empty, is_there
from biobert_jax.tasks.finetune import finetune
from biobert_jax.tasks.results import MODEL_CARD, SCORES, config_sha256
from biobert_jax.tasks.task import options_of, task_of
from biobert_jax.tasks.tuning import Run, changed, plain, untested
from biobert_jax.training import distributed
from biobert_jax.training.workdir import Workdir, open_workdir

# (config, workdir, options kept from an earlier run) to the content of `scores.json`.
RunOne = Callable[[FinetuneConfig, Workdir, Mapping[str, Any]], dict[str, Any]]


def finetune_all(
    config: FinetuneConfig,
    workdir: str | os.PathLike,
    *,
    folds: Sequence[str] = (),
    seeds: int = 1,
    grid: bool = False,
    search: int = 0,
    run_one: RunOne | None = None,
) -> dict[str, Any]:
    """Runs what is asked for, and gathers it in `<workdir>/scores.json` and `README.md`.

    With `grid`, every point of `config.grid` is trained with the first seed, with `search`, so many
    points between its bounds; the one with the best main score on `data.eval` is taken, for each
    fold its own. With `config.retrain`, a run is trained on data.train alone, for what is fitted on
    data.eval, and then anew on both together, as BioBERT's were.

    Returns:
      The content of `scores.json`: runs, and the mean and standard deviation of each score.

    Raises:
      UserError: as `finetune`; no such folds, a fold without a file, or a grid without data.eval.
    """
    if anywhere.is_folder(manifest.folder_of(workdir)):
        raise UserError(
            f"--workdir {workdir} holds a single run: choose another folder for several ones"
        )
    task = task_of(config.task)
    main = task.main_score(options_of(task, config.data))
    if (grid or search or config.retrain) and not config.data.eval:
        raise UserError(
            "data.eval is not set: it is what --grid and --search choose by, and retrain adds"
        )
    _check_files(config, folds, chooses=bool(grid or search or config.train.best_by))
    with open_workdir(workdir, _say) as opened:
        return _run_all(config, opened, main, folds, seeds, grid or bool(search), search, run_one)


def _run_all(
    config: FinetuneConfig,
    workdir: Workdir,
    main: str,
    folds: Sequence[str],
    seeds: int,
    tunes: bool,
    search: int,
    run_one: RunOne | None,
) -> dict[str, Any]:
    """`finetune_all` in a folder that is held."""
    run_one = run_one or _run_one
    chosen: dict[str, dict[str, Any]] = {}  # by fold
    for fold in (folds or [""]) if tunes else ():
        own = _of_fold(config, fold)
        run_point = functools.partial(_go, workdir=workdir, run_one=run_one, kept={})
        chosen[fold] = tuning.choose(own, main, run_point, search=search, prefix=fold)
    results = []
    for run in runs_of(config, folds, seeds, chosen):
        kept: dict[str, Any] = {}
        if config.retrain and _is_empty(run.config):
            _say(f"{run.name}: data.eval has 0 bytes: trained once")
        elif config.retrain:
            alone = run._replace(name=f"{run.name}-train-alone", config=untested(run.config))
            _go(alone, workdir, run_one, {})
            kept = _fitted(workdir.child(f"runs/{alone.name}"))
            run = run._replace(config=_with_held_out(run.config))
        content = _go(run, workdir, run_one, kept)
        results.append({"name": run.name, **run.differs, **_numbers_of(content)})
    gathered = gather(results, config, main, chosen.get("", chosen))
    if distributed.is_first():
        write_text_atomically(workdir.local / SCORES, json.dumps(gathered, indent=2) + "\n")
        write_text_atomically(workdir.local / MODEL_CARD, table(gathered))
    return gathered


def folds_of(config: FinetuneConfig, wanted: str) -> list[str]:
    """The folders of `data.dir` that are folds: all that are called by numbers, or those named.

    Raises:
      UserError: there is none, or one that is named is not there.
    """
    there = config.data.dir
    numbered = folds_in(str(bring_once(there)))
    folds = numbered if wanted == "all" else [name for name in wanted.split(",") if name]
    missing = [name for name in folds if name not in numbered]
    if missing or not folds:
        raise UserError(
            f"--folds {wanted}: {there} has no folder {missing[0] if missing else '1, 2, …'}: "
            f"{'it has ' + ', '.join(numbered) if numbered else 'folds are folders of data.dir'}"
        )
    return folds


def runs_of(
    config: FinetuneConfig, folds: Sequence[str], seeds: int, chosen: Mapping[str, Mapping]
) -> list[Run]:
    """The runs of all folds and seeds, with the settings chosen for each fold."""
    runs = []
    for fold, number in itertools.product(folds or [""], range(seeds)):
        differs = {**({"fold": fold} if fold else {}), "seed": config.seed + number}
        own = changed(_of_fold(config, fold), chosen.get(fold, {}))
        own = dataclasses.replace(own, seed=config.seed + number)
        name = "-".join(f"{key}-{value}" for key, value in differs.items())
        runs.append(Run(name, differs, plain(own)))
    return runs


def gather(
    results: Sequence[Mapping[str, Any]], config: FinetuneConfig, main: str, chosen: Mapping
) -> dict[str, Any]:
    """Mean and sample standard deviation of each test score over the runs."""
    tested = [run.get("test") or {} for run in results]
    names = [n for n, x in tested[0].items() if isinstance(x, float)]
    names = [name for name in names if all(name in test for test in tested)]
    values = {name: [run["test"][name] for run in results] for name in names}
    mean = {name: statistics.fmean(own) for name, own in values.items()}
    spread = {n: statistics.stdev(own) if len(own) > 1 else 0.0 for n, own in values.items()}
    return {
        "task": config.task,
        "main_score": main,
        **({"chosen": dict(chosen)} if chosen else {}),
        "runs": list(results),
        "mean": mean,
        "sd": spread,
        **({"paper": config.paper} if config.paper else {}),
    }


def table(gathered: Mapping[str, Any]) -> str:
    """The runs as a Markdown table, with what was chosen and the paper's figure."""
    names = list(gathered["mean"])
    lines = [
        f"# {gathered['task']}: {len(gathered['runs'])} runs",
        "",
        f"| run | {' | '.join(names)} |",
        "|---|" + "---|" * len(names),
    ]
    for run in gathered["runs"]:
        cells = [_shown(name, run["test"][name]) for name in names]
        lines.append(f"| {run['name']} | {' | '.join(cells)} |")
    cells = [
        " ± ".join(_shown(name, gathered[of][name]) for of in ("mean", "sd")) for name in names
    ]
    lines.append(f"| mean ± sd | {' | '.join(cells)} |")
    for name, settings in _chosen_by_fold(gathered.get("chosen") or {}).items():
        shown = ", ".join(f"`{key}` {value}" for key, value in settings.items())
        of = f" of fold {name}" if name else ""
        lines += ["", f"Chosen on the held-out file{of}: {shown}."]
    if gathered.get("paper"):
        lines += ["", f"Published: {gathered['paper']}."]
    return "\n".join(lines) + "\n"


def _shown(name: str, value: float) -> str:
    return f"{value:.4f}" if name in NO_SHARES else f"{100 * value:.2f}"


def _chosen_by_fold(chosen: Mapping[str, Any]) -> Mapping[str, Any]:
    return chosen if all(isinstance(value, dict) for value in chosen.values()) else {"": chosen}


def _run_one(config: FinetuneConfig, workdir: Workdir, kept: Mapping[str, Any]) -> dict[str, Any]:
    return finetune(config, workdir, kept_options=kept)


def _go(run: Run, workdir: Workdir, run_one: RunOne, kept: Mapping[str, Any]) -> dict[str, Any]:
    """The content of the run's `scores.json`: of the finished one with this config, or anew."""
    own = workdir.child(f"runs/{run.name}")
    done = distributed.decide(lambda: read_optional_object(own.local / SCORES))
    if done is None:
        return run_one(run.config, own, kept)
    if done.get("config_sha256") != config_sha256(run.config):
        raise UserError(
            f"{own.name}: a finished run with another config: choose another --workdir, or remove "
            "it"
        )
    return done


def _check_files(config: FinetuneConfig, folds: Sequence[str], *, chooses: bool) -> None:
    """Refuses a fold that lacks a file before the first one has run for hours; and an empty
    held-out file where it is what is chosen by.
    """
    for fold in (folds or [""]) if chooses else ():
        if _is_empty(_of_fold(config, fold)):
            path = bring_once(config.data.dir) / fold / config.data.eval
            raise UserError(f"{path}: 0 bytes, and there is nothing else to choose by: give others")
    names = [*config.data.train, *filter(None, (config.data.eval, config.data.test))]
    for fold in folds:
        for name in names:
            path = bring_once(config.data.dir) / fold / name
            if not is_there(path):
                raise UserError(f"{path}: no such file, as each of the --folds must have")


def _of_fold(config: FinetuneConfig, fold: str = "") -> FinetuneConfig:
    there = f"{config.data.dir.rstrip('/')}/{fold}" if fold else config.data.dir
    return dataclasses.replace(config, data=dataclasses.replace(config.data, dir=there))


def _is_empty(config: FinetuneConfig) -> bool:
    """Whether the held-out file is there without a byte, as in BioBERT's folds."""
    return is_empty(bring_once(config.data.dir) / config.data.eval)


def _with_held_out(config: FinetuneConfig) -> FinetuneConfig:
    train = (*config.data.train, config.data.eval)
    return dataclasses.replace(config, data=dataclasses.replace(config.data, train=train, eval=""))


def _fitted(workdir: Workdir) -> dict[str, Any]:
    """What a run has fitted on its held-out file."""
    saved = manifest.read_metadata(manifest.chosen_checkpoint(workdir.shared))
    values = distributed.decide(lambda: read_optional_object(workdir.local / "config.json") or {})
    fresh = options_of(task_of(saved.kind), resolve(FinetuneConfig, values).data)
    return {key: value for key, value in saved.options.items() if key not in fresh}


def _numbers_of(content: Mapping[str, Any]) -> dict[str, Any]:
    """The scores that are numbers; by type, confusions and mistakes are in the run's own file."""
    return {
        part: {n: x for n, x in content[part].items() if isinstance(x, int | float)}
        for part in ("test", "eval")
        if isinstance(content.get(part), dict)
    }


def _say(line: str) -> None:
    if distributed.is_first():
        print(line, file=sys.stderr, flush=True)
