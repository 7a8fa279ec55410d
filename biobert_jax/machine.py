"""What of this machine the process may use."""

import math
import os
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")


def usable_cpus() -> int:
    """How many CPUs' worth of work this process may do at a time: at least 1.

    That is by its affinity (`taskset`, a batch system's share), and by the quota of its control
    groups (a container's `--cpus`), rounded up; not by what the machine has.
    """
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        count = os.cpu_count() or 1
    return max(1, min(count, math.ceil(min(_quotas(_OWN_CGROUPS, _CGROUPS), default=count))))


def _quotas(own: Path, root: Path) -> list[float]:
    """The CPUs that each control group around the process grants; none where there is no limit.

    Source: Linux, Documentation/admin-guide/cgroup-v2.rst (cpu.max) and scheduler/sched-bwc.rst.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return []
    quotas = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, read = root, _version_2
        elif "cpu" in controllers.split(","):
            top, read = root / controllers, _version_1
            top = top if top.is_dir() else root / "cpu"
        else:
            continue
        # In a container the path may be that of the host; its own group is at the top then.
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):
            if not folder.is_relative_to(top):
                break
            try:
                quotas += read(folder)
            except (OSError, ValueError):
                continue
    return quotas


def _version_2(folder: Path) -> list[float]:
    quota, period = (folder / "cpu.max").read_text().split()
    return [] if quota == "max" else [int(quota) / int(period)]


def _version_1(folder: Path) -> list[float]:
    quota = int((folder / "cpu.cfs_quota_us").read_text())
    period = int((folder / "cpu.cfs_period_us").read_text())
    return [] if quota < 0 else [quota / period]
