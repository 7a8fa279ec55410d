import os

import pytest

from biobert_jax import machine

CPUS = 64


@pytest.mark.parametrize(
    "groups, files, expected",
    [
        ("0::/", {"cpu.max": "max 100000"}, CPUS),
        ("0::/", {"cpu.max": "150000 100000"}, 2),
        ("0::/", {"cpu.max": "10000 100000"}, 1),
        # The tightest of the groups around the process counts.
        ("0::/pod/c", {"pod/cpu.max": "400000 100000", "pod/c/cpu.max": "max 100000"}, 4),
        # The host's path, which is not to be seen in the container.
        ("0::/kubepods/x", {"cpu.max": "300000 100000"}, 3),
        (
            "5:memory:/a\n4:cpu,cpuacct:/a\n0::/",
            {
                "cpu,cpuacct/a/cpu.cfs_quota_us": "200000",
                "cpu,cpuacct/a/cpu.cfs_period_us": "100000",
            },
            2,
        ),
        ("4:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, CPUS),
        ("0::/", {"cpu.max": "nonsense"}, CPUS),
        ("0::/", {}, CPUS),
        (None, {}, CPUS),
    ],
)
def test_cpus_by_quota(tmp_path, monkeypatch, groups, files, expected):
    if groups is not None:
        (tmp_path / "own").write_text(groups + "\n")
    for name, text in files.items():
        (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fs" / name).write_text(text + "\n")
    monkeypatch.setattr(machine, "_OWN_CGROUPS", tmp_path / "own")
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path / "fs")
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(CPUS)))
    assert machine.usable_cpus() == expected


def test_cpus_by_affinity(monkeypatch):
    monkeypatch.setattr(machine, "_quotas", lambda *_: [])
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5})
    assert machine.usable_cpus() == 2
