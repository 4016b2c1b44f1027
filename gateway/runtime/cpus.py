"""The number of workers that `auto` means: one for each CPU that this process may really use."""

import os
from pathlib import Path
from typing import Final, Literal

MOST_AUTOMATIC: Final = 16  # more only by an explicit number

_ROOT: Final = Path("/")


def worker_count(wanted: int | Literal["auto"]) -> int:
    """Return the number of workers to run. Only control calls this; workers get the number in their start message."""
    return min(usable_cpus(), MOST_AUTOMATIC) if wanted == "auto" else wanted


def usable_cpus(root: Path = _ROOT) -> int:
    """Return the number of CPUs in the affinity mask, or in the control group's quota if that is less; at least 1.

    `root` holds `proc` and `sys`. A quota of 1.5 CPUs counts as 1: control and managed servers use the rest.
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(root)
    return max(1, allowed if quota is None else min(allowed, int(quota)))


def _quota(root: Path) -> float | None:
    """Return the lowest CPU quota of this process's control groups (v2, or v1's cpu controller); None without a limit."""
    found = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        inner = mount / path.lstrip("/")
        folders = [inner, *inner.parents]
        for folder in folders[: folders.index(mount) + 1]:  # the innermost need not have the lowest quota
            quota = _read_v1(folder) if controllers else _read_v2(folder)
            if quota is not None:
                found.append(quota)
    return min(found, default=None)


def _read_v2(folder: Path) -> float | None:
    quota, _, period = _read(folder / "cpu.max").strip().partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None


def _read_v1(folder: Path) -> float | None:
    quota, period = (_read(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() else None  # -1: no limit


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
