"""What a run is watched and written down with, opened and closed as one."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax

from biobert_jax.checkpoints.orbax import CheckpointWriter
from biobert_jax.config import ModelConfig, TrainConfig
from biobert_jax.config_finetuning import FinetuneTrainConfig
from biobert_jax.training import distributed
from biobert_jax.training.flops import chip_of, num_chips, training_flops
from biobert_jax.training.metrics import MetricsWriter, Progress, Throughput
from biobert_jax.training.profile import Profiler
from biobert_jax.training.watchdog import Watchdog
from biobert_jax.training.workdir import Workdir


@contextlib.contextmanager
def instruments(
    workdir: Workdir,
    train: TrainConfig | FinetuneTrainConfig,
    model: ModelConfig,
    *,
    start_step: int,
    num_steps: int,
    prediction_rate: float,
    profile: bool,
    say: Any,
    staged: Callable[[], float] | None = None,
) -> Iterator[tuple[CheckpointWriter, dict[str, Any]]]:
    """The writer of checkpoints, and the arguments of `loop.run` that report and watch.

    Only process 0 reports. On the way out, the last save is waited for.

    Args:
      prediction_rate: predictions of the vocabulary a token, for the FLOPs of MFU; 0: none.
      profile: trace five steps.
      staged: see `Throughput`.
    """
    first = jax.process_index() == 0
    devices = jax.devices()
    chip = chip_of(devices[0].device_kind)
    with contextlib.ExitStack() as closing:
        watchdog = closing.enter_context(
            Watchdog(train.watchdog_minutes, workdir.local, publish=workdir.publish)
        )
        writer = CheckpointWriter(
            workdir.shared, train.keep_checkpoints, before_manifest=workdir.publish
        )
        closing.callback(writer.close)
        distributed.decide(writer.clear)
        metrics = MetricsWriter(workdir.local, start_step, active=first)
        closing.callback(metrics.close)
        progress = Progress(start_step, num_steps, active=first)
        closing.callback(progress.close)
        profiler = Profiler(workdir.local, start_step, say, enabled=profile)
        closing.callback(profiler.close)
        throughput = Throughput(
            flops=lambda counts: training_flops(
                model,
                tokens=counts.tokens,
                squared_lengths=counts.squared_lengths,
                predictions=prediction_rate * counts.tokens,
            ),
            peak_flops=chip.peak_flops * num_chips(devices) if chip else None,
            num_hosts=jax.process_count(),
            staged=staged,
        )
        yield (
            writer,
            {
                "metrics": metrics,
                "progress": progress,
                "throughput": throughput,
                "profiler": profiler,
                "watchdog": watchdog,
            },
        )
