"""A run's rows, phase by phase: each stretch of steps has a data set and a batch size of its own.

Upstream trains nine steps of ten on rows of 128 and the rest on 512. The schedule is a function
of the step alone, so that a phase's beginning is no jump in it; the program for batches of another
shape is compiled ahead of them (`ahead`).
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from biobert_jax.config import DataConfig
from biobert_jax.data.bert_files import BertFiles
from biobert_jax.data.folders import open_prepared
from biobert_jax.data.source import TrainingData
from biobert_jax.errors import UserError


class Phase(NamedTuple):
    """Steps from `start_step` on, of batches of `batch_size` rows of `data`."""

    data: TrainingData
    batch_size: int
    start_step: int


def open_phases(config: DataConfig, vocab: Path | None = None) -> tuple[Phase, ...]:
    """The rows that a config names; a run without phases is one.

    Args:
      vocab: a checkpoint's, which google's records are taken to be made with where `data.vocab`
        names none.

    Raises:
      UserError: no data set there; phases of different vocabularies or objectives.
    """
    if config.files:
        vocab = config.vocab or vocab
        if not vocab:
            raise UserError(
                "data.files needs data.vocab: give the vocab.txt that the records were made with"
            )
        data = BertFiles(config.files, config.heldout_files, vocab=vocab)
        return (Phase(data, config.batch_size, 0),)
    if not config.phases:
        return (
            Phase(open_prepared(config.dir, staging_gb=config.staging_gb), config.batch_size, 0),
        )
    for number, phase in enumerate(config.phases):
        if not phase.dir:
            raise UserError(
                f"data.phases.{number}.dir is not set: give the folder that `biobert prepare` or "
                "`biobert export` wrote"
            )
    phases = tuple(
        Phase(open_prepared(p.dir, staging_gb=config.staging_gb), p.batch_size, p.start_step)
        for p in config.phases
    )
    first = phases[0].data
    for phase in phases[1:]:
        if phase.data.vocab_sha256 != first.vocab_sha256:
            raise UserError(
                f"{phase.data.name} was made with another vocabulary than {first.name}: phases "
                "need one"
            )
        if phase.data.format.objective != first.format.objective:
            raise UserError(
                f"{phase.data.name} is of objective {phase.data.format.objective}, {first.name} "
                f"of {first.format.objective}: phases need one"
            )
    return phases


def data_sha256(phases: Sequence[Phase]) -> str:
    """A hash of all rows of a run."""
    if len(phases) == 1:
        return phases[0].data.sha256
    return hashlib.sha256("".join(phase.data.sha256 for phase in phases).encode()).hexdigest()


def staging_wait(phases: Sequence[Phase]) -> Callable[[], float] | None:
    """What says how many seconds a run has waited for shards from a bucket; None: it has none."""
    if not any(phase.data.staging for phase in phases):
        return None
    return lambda: sum(phase.data.waited_for_staging() for phase in phases)


def train_batches(
    phases: Sequence[Phase],
    start_step: int,
    *,
    seed: int,
    num_streams: int = 0,
    host: int = 0,
    num_hosts: int = 1,
) -> Iterator[dict[str, np.ndarray]]:
    """This host's part of each global batch from `start_step` on, without end.

    See `TrainingData.train_batches`; a phase's order starts at its first step.
    """
    ends = [phase.start_step for phase in phases[1:]] + [None]
    for phase, end in zip(phases, ends, strict=True):
        if end is not None and start_step >= end:
            continue
        batches = phase.data.train_batches(
            phase.batch_size,
            seed=seed,
            start_step=start_step - phase.start_step,
            num_streams=num_streams,
            host=host,
            num_hosts=num_hosts,
        )
        if end is None:
            yield from batches
        else:
            for _ in range(end - start_step):
                yield next(batches)
            batches.close()
            start_step = end
