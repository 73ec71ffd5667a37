"""A run killed at every single one of its writes leaves a project that loads, and that the next run repairs."""

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from incremental.toy import Toy

OLD = (["alpha.", "beta."], 2)
NEW = (["alpha!", "beta!"], 2)


def run_in_child(toy: Toy, count: int) -> tuple[int, int]:
    """Run the toy with another ending in a process of its own, which kills itself at write ``count``.

    Returns:
        The child's exit status, and how many writes it came to.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, str(_run_deadly(toy, count)).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), int(told or 0)


def _run_deadly(toy: Toy, count: int) -> int:
    seen = 0

    def deadly(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == count:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return call

    toy.values["refine"]["ending"] = "!"
    for name in ("fsync", "rename", "replace", "mkdir", "unlink", "rmdir", "link"):
        setattr(os, name, deadly(getattr(os, name)))
    toy.run()
    return seen


def served(toy: Toy) -> tuple[list[str], int]:
    """What the catalog serves."""
    return toy.load("refined"), toy.load("summary")["total"]


def leftovers(toy: Toy) -> list[Path]:
    """Everything hidden among the versions that no seal is."""
    return [path for path in (toy.root / "data/02_made").rglob(".*") if path.name != ".seal.json"]


def test_killed_at_any_write_the_last_good_version_loads_and_the_next_run_repairs(toy: Toy) -> None:
    whole = shutil.copytree(toy.root, toy.root.parent / "whole", copy_function=shutil.copy2)
    status, writes = run_in_child(toy, 10**9)
    assert status == 0
    assert served(toy) == NEW
    assert writes > 20
    for count in range(1, writes + 1):
        shutil.rmtree(toy.root / "data")
        shutil.copytree(whole / "data", toy.root / "data", copy_function=shutil.copy2)
        assert run_in_child(toy, count)[0] == -signal.SIGKILL
        found = served(toy)
        assert found in (OLD, NEW), f"after write {count}: {found}"
        toy.values["refine"]["ending"] = "!"
        toy.run()
        assert served(toy) == NEW, f"after write {count}"
        assert toy.run() == []
        assert not leftovers(toy), f"after write {count}"
        assert not list((toy.root / "data/.ledger/pending").iterdir())
        toy.values["refine"] = {}


@pytest.mark.parametrize("moment", ["before the first rename", "between the renames", "before the record"])
def test_outputs_of_one_node_appear_together_or_not_at_all(toy: Toy, moment: str) -> None:
    """The record of a node that was being published decides, not what happens to be there."""
    from qwen_pipeline.incremental import ledger

    class Killed(BaseException):
        """Stands for the end of the process: nothing that cleans up may run."""

    left = {"before the first rename": 0, "between the renames": 1, "before the record": 2}[moment]
    rename = Path.rename

    def dying(path: Path, target: Path) -> Path:
        nonlocal left
        if path.name.startswith(".staged-"):
            left -= 1
            if left < 0:
                raise Killed
        return rename(path, target)

    def no_cleaning(self: object) -> None:
        """A killed process drops nothing."""

    before = {name: toy.versions(name)[-1] for name in ("refined", "pace")}
    toy.values["refine"]["ending"] = "!"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qwen_pipeline.incremental.publication.Publication.drop", no_cleaning)
        patch.setattr(Path, "rename", dying)
        if moment == "before the record":
            patch.setattr(
                ledger, "flush_folder", lambda folder: (_ for _ in ()).throw(Killed()) if left == 0 else None
            )
        with pytest.raises(Killed):
            toy.run()
    assert {name: toy.catalog()[name].load_version() for name in before} == before
    assert toy.load("refined") == ["alpha.", "beta."]
    assert toy.run() == ["report"]  # the rest is carried forward: every output was whole
    assert toy.load("refined") == ["alpha!", "beta!"]
