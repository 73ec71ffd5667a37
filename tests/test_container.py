"""What a control group allows is what there is, whichever version of control groups it is."""

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from qwen_pipeline import container
from qwen_pipeline.container import available_memory_bytes, total_memory_bytes, usable_cores

GIB = 2**30
UNLIMITED_V1 = "9223372036854771712"


class Machine:
    """64 GiB, 48 of them available, 16 cores; its control groups are files below a folder."""

    def __init__(self, folder: Path) -> None:
        self.membership, self.groups = folder / "cgroup", folder / "sys"
        self.enter("0::/")

    def enter(self, *lines: str) -> None:
        """Put this process into groups."""
        self.membership.write_text("".join(f"{line}\n" for line in lines))

    def write(self, path: str, text: str) -> None:
        """One of the kernel's files."""
        file = self.groups / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(tmp_path)
    monkeypatch.setattr(container, "MEMBERSHIP", machine.membership)
    monkeypatch.setattr(container, "GROUPS", machine.groups)
    memory = SimpleNamespace(total=64 * GIB, available=48 * GIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(16)), raising=False)
    return machine


def limit_v2(machine: Machine, group: str, limit: str, used: int = 0, cached: int = 0) -> None:
    machine.write(f"{group}memory.max", limit)
    machine.write(f"{group}memory.current", str(used))
    machine.write(
        f"{group}memory.stat",
        f"anon {used - cached}\ninactive_file {cached}\nslab_reclaimable 7\nactive_file 0",
    )


def test_without_limits_it_is_the_machine(machine: Machine) -> None:
    assert (available_memory_bytes(), total_memory_bytes(), usable_cores()) == (48 * GIB, 64 * GIB, 16)
    machine.membership.unlink()  # no Linux
    assert (available_memory_bytes(), total_memory_bytes(), usable_cores()) == (48 * GIB, 64 * GIB, 16)


def test_a_container_has_what_its_limit_leaves_and_cached_files_are_no_use_of_it(machine: Machine) -> None:
    limit_v2(machine, "", str(4 * GIB), used=3 * GIB, cached=2 * GIB)
    assert (available_memory_bytes(), total_memory_bytes()) == (3 * GIB, 4 * GIB)


def test_max_is_no_limit_and_a_limit_above_the_machine_is_none_either(machine: Machine) -> None:
    limit_v2(machine, "", "max", used=GIB)
    assert (available_memory_bytes(), total_memory_bytes()) == (48 * GIB, 64 * GIB)
    limit_v2(machine, "", str(512 * GIB), used=GIB)
    assert (available_memory_bytes(), total_memory_bytes()) == (48 * GIB, 64 * GIB)


def test_the_tightest_of_the_groups_around_counts(machine: Machine) -> None:
    machine.enter("0::/batch/job/step")
    limit_v2(machine, "batch/job/step/", "max", used=GIB)
    limit_v2(machine, "batch/job/", str(8 * GIB), used=3 * GIB)
    limit_v2(machine, "batch/", str(6 * GIB), used=2 * GIB)
    assert (available_memory_bytes(), total_memory_bytes()) == (4 * GIB, 6 * GIB)


@pytest.mark.parametrize("path", ["/docker/0123abcd", "/../../outside"])
def test_a_path_of_the_world_outside_ends_at_the_containers_own_group(machine: Machine, path: str) -> None:
    machine.enter(f"0::{path}")
    limit_v2(machine, "", str(2 * GIB), used=GIB)
    assert available_memory_bytes() == GIB


def test_more_use_than_allowed_leaves_nothing(machine: Machine) -> None:
    limit_v2(machine, "", str(GIB), used=2 * GIB)
    assert available_memory_bytes() == 0


def test_the_first_version_of_control_groups_is_read_as_well(machine: Machine) -> None:
    machine.enter("5:cpu,cpuacct:/", "4:memory:/job", "1:name=systemd:/", "0::/")
    machine.write("memory/memory.limit_in_bytes", UNLIMITED_V1)
    machine.write("memory/memory.usage_in_bytes", str(9 * GIB))
    machine.write("memory/job/memory.limit_in_bytes", str(4 * GIB))
    machine.write("memory/job/memory.usage_in_bytes", str(3 * GIB))
    machine.write(
        "memory/job/memory.stat", f"active_file 1\ntotal_active_file {GIB}\ntotal_inactive_file {GIB}"
    )
    machine.write("cpu/cpu.cfs_quota_us", "250000")
    machine.write("cpu/cpu.cfs_period_us", "100000")
    assert (available_memory_bytes(), total_memory_bytes(), usable_cores()) == (3 * GIB, 4 * GIB, 3)
    machine.write("cpu/cpu.cfs_quota_us", "-1")
    assert usable_cores() == 16


@pytest.mark.parametrize(
    ("share", "cores"),
    [("max 100000", 16), ("200000 100000", 2), ("50000 100000", 1), ("6400000 100000", 16)],
)
def test_no_more_cores_are_kept_busy_than_the_group_has_time_for(
    machine: Machine, share: str, cores: int
) -> None:
    machine.write("cpu.max", share)
    assert usable_cores() == cores
