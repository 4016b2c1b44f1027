"""`auto` counts the CPUs that may be used: the affinity mask, and the quota of the control group."""

import os
from pathlib import Path

import pytest

from gateway.runtime import cpus
from gateway.runtime.cpus import MOST_AUTOMATIC, usable_cpus, worker_count


@pytest.fixture(autouse=True)
def eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_without_control_groups_the_affinity_mask_counts(tmp_path: Path) -> None:
    assert usable_cpus(tmp_path) == 8


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("max 100000", 8),
        ("200000 100000", 2),
        ("150000 100000", 1),
        ("10000 100000", 1),
        ("1600000 100000", 8),
        ("", 8),
    ],
)
def test_the_quota_of_version_2_bounds_them(tmp_path: Path, limit: str, expected: int) -> None:
    root = write(tmp_path, {"proc/self/cgroup": "0::/pod/box\n", "sys/fs/cgroup/pod/box/cpu.max": limit + "\n"})
    assert usable_cpus(root) == expected


def test_the_tightest_group_above_counts(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/pod/box\n",
        "sys/fs/cgroup/pod/box/cpu.max": "max 100000",
        "sys/fs/cgroup/pod/cpu.max": "300000 100000",
        "sys/fs/cgroup/cpu.max": "400000 100000",
    }
    assert usable_cpus(write(tmp_path, files)) == 3


def test_the_quota_of_version_1_bounds_them(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "4:memory:/box\n3:cpu,cpuacct:/box\n",
        "sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": "200000\n",
        "sys/fs/cgroup/cpu/box/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    }
    assert usable_cpus(write(tmp_path, files)) == 2


def test_auto_is_bounded_and_a_number_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpus, "usable_cpus", lambda: 96)
    assert worker_count("auto") == MOST_AUTOMATIC
    assert worker_count(40) == 40
