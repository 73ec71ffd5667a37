"""What this process may use of the machine: in a container, or under a batch system, less memory and fewer cores than there are.

The kernel ends a process that takes more memory than its control group may have, without a word; more threads or processes than
it may have cores only wait for each other. Source: Linux, "Control Group v2" (memory.max, cpu.max) and "cgroup-v1/memory".
"""

import math
import os
from collections.abc import Iterator
from pathlib import Path

MEMBERSHIP = Path("/proc/self/cgroup")
GROUPS = Path("/sys/fs/cgroup")


def available_memory_bytes() -> int:
    """Memory that can still be taken without swapping: of the machine, and of each control group this process is in."""
    import psutil

    rooms = [limit - used for limit, used in _memory_limits()]
    return max(0, min([int(psutil.virtual_memory().available), *rooms]))


def total_memory_bytes() -> int:
    """The machine's memory, or what the control groups allow of it."""
    import psutil

    return min([int(psutil.virtual_memory().total), *(limit for limit, _ in _memory_limits())])


def usable_cores() -> int:
    """Cores that this process may keep busy: those it may run on, or the time of fewer that its control groups give it."""
    may_run_on = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([may_run_on, *(math.ceil(share) for share in _core_limits())]))


def _memory_limits() -> Iterator[tuple[int, int]]:
    """For each group with a limit: bytes that it may have, and those in use that the kernel cannot take back."""
    for folder, version in _groups("memory"):
        limit = _number(folder / ("memory.max" if version == 2 else "memory.limit_in_bytes"))
        used = _number(folder / ("memory.current" if version == 2 else "memory.usage_in_bytes"))
        if limit is not None and used is not None:
            yield limit, used - _cached_bytes(folder / "memory.stat", "" if version == 2 else "total_")


def _cached_bytes(statistics: Path, prefix: str) -> int:
    """Pages of files, which are read again where they are needed."""
    names = {f"{prefix}active_file", f"{prefix}inactive_file"}
    pairs = (line.split() for line in _text(statistics).splitlines())
    return sum(int(value) for name, value in pairs if name in names)


def _core_limits() -> Iterator[float]:
    """Cores' worth of time that each group with a limit has."""
    for folder, version in _groups("cpu"):
        if version == 2:
            quota, _, period = _text(folder / "cpu.max").partition(" ")
        else:
            quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
        if quota.strip().isdigit() and period.strip().isdigit():  # neither "max" nor -1
            yield int(quota) / int(period)


def _groups(controller: str) -> Iterator[tuple[Path, int]]:
    """The folders of this process's groups that ``controller`` may limit, the innermost first, each with its version.

    Inside a container the path may be the one outside; what is there of it then ends at the container's own group, the root.
    """
    for line in _text(MEMBERSHIP).splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0":
            root, version = GROUPS, 2
        elif controller in controllers.split(","):
            root, version = GROUPS / controller, 1
        else:
            continue
        inner = Path(path.lstrip("/"))
        yield from ((root / part, version) for part in (inner, *inner.parents) if ".." not in part.parts)


def _number(file: Path) -> int | None:
    """What a file of the kernel says; None where there is no such file, or no limit."""
    text = _text(file).strip()
    return int(text) if text.isdigit() else None


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""
