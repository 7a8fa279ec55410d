"""The examination of all hosts, in the order in which they must do things together.

Until JAX is joined the hosts speak by roll calls, since with other versions it could not be joined.
"""

import functools
import socket
import tempfile
import time
from typing import Any, NamedTuple

from biobert_jax import storage
from biobert_jax.config import DataConfig, PretrainConfig
from biobert_jax.config_finetuning import FinetuneConfig
from biobert_jax.doctor import compare, host
from biobert_jax.doctor.findings import Finding, found
from biobert_jax.training.joining import Meeting, join
from biobert_jax.training.roll_call import roll_call


class Questions(NamedTuple):
    """What a run would use; None, "" and () are not asked for.

    Attributes:
      data: folders that it reads.
      topology, slices: that the devices should be.
    """

    config: PretrainConfig | FinetuneConfig | None = None
    workdir: str = ""
    data: tuple[str, ...] = ()
    topology: str | None = None
    slices: int = 1


class Host(NamedTuple):
    """What was found on one host."""

    process: int
    name: str
    findings: list[Finding]


def examine(meeting: Meeting | None, questions: Questions, *, timeout: int) -> list[Host]:
    """Looks this host over, and hears from the others; the same on every process.

    Raises:
      UserError: some processes did not come.
    """

    def tell(value: Any) -> list[Any]:
        return [value] if meeting is None else roll_call(*meeting[:3], value, timeout=timeout)

    versions = tell(host.versions())
    findings, ahead = _look_without_jax(questions)
    several = meeting is not None and questions.workdir
    is_first = meeting is None or meeting.process_id == 0
    mark, *_ = tell(host.leave_mark(questions.workdir) if several and is_first else "")
    # All have come by now, and say at once what time it is.
    own = {"name": socket.gethostname(), "time": time.time(), "ahead": ahead, "findings": findings}
    if mark and not is_first:
        findings.append(found("shared workdir", lambda: host.see_mark(mark)))
    everyone = tell(own)
    if mark and is_first:
        host.remove_mark(mark)
    lines = [
        [versions_line, clock, *(Finding(*each) for each in theirs["findings"])]
        for versions_line, clock, theirs in zip(
            compare.versions(versions),
            compare.clocks([x["time"] for x in everyone], [x["ahead"] for x in everyone]),
            everyone,
            strict=True,
        )
    ]
    if all(theirs[name] == versions[0][name] for theirs in versions for name in ("jax", "jaxlib")):
        if meeting is not None:
            join(meeting, timeout=timeout)
        for theirs, more in zip(lines, _look_with_jax(questions), strict=True):
            theirs[:0] = more
    else:
        for theirs in lines:
            theirs[:0] = [Finding("devices", False, "not looked at: the versions of JAX differ")]
    return [
        Host(index, theirs["name"], own_lines)
        for index, (theirs, own_lines) in enumerate(zip(everyone, lines, strict=True))
    ]


def _look_without_jax(questions: Questions) -> tuple[list[Finding], float | None]:
    """Folders and buckets; and how far ahead a bucket's clock is."""
    findings, ahead = [], None
    if questions.workdir:

        def workdir() -> str:
            nonlocal ahead
            text, ahead = host.try_workdir(questions.workdir)
            return text

        findings.append(found("workdir", workdir))
    for folder in questions.data:
        findings.append(found("data", functools.partial(host.try_data, folder)))
    return findings, ahead


def _disks(questions: Questions, checkpoints: int) -> list[Finding]:
    """The disk of a local workdir, and that of shards which are staged from a bucket."""
    findings = []
    if not storage.is_remote(questions.workdir):
        place = questions.workdir or "."
        findings.append(found("disk", lambda: host.disk(place, checkpoints)))
    if any(map(storage.is_remote, questions.data)):
        data = getattr(questions.config, "data", None)
        staged = int(1e9 * getattr(data, "staging_gb", DataConfig.staging_gb))
        findings.append(found("staging disk", lambda: host.disk(tempfile.gettempdir(), staged)))
    return findings


def _look_with_jax(questions: Questions) -> list[list[Finding]]:
    """Devices, kernels, and what they and the disk hold against the need; of every host."""
    from biobert_jax.doctor import devices
    from biobert_jax.training.distributed import gather

    expected = devices.expected(questions.topology, questions.slices)
    needs, findings = devices.Needs(), []
    if isinstance(questions.config, PretrainConfig):

        def fits() -> str:
            nonlocal needs
            needs = devices.needs(questions.config)
            return "mesh and batch fit the devices"

        findings.append(found("config", fits))
    findings += [
        found("kernels", lambda: devices.kernels(questions.config)),
        found("device memory", lambda: devices.device_memory(needs.device)),
        found("memory", lambda: host.memory(needs.host)),
        *_disks(questions, needs.disk),
    ]
    everyone = gather({"facts": devices.facts(), "findings": findings})
    shown = compare.devices([theirs["facts"] for theirs in everyone], expected)
    return [
        [line, *(Finding(*each) for each in theirs["findings"])]
        for line, theirs in zip(shown, everyone, strict=True)
    ]
