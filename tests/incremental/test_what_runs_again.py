"""The table of cases: what changed, what runs again, and what is said about it."""

import os
import time
from pathlib import Path

import pytest

from incremental import toy as toy_project
from incremental.toy import Toy
from qwen_pipeline.errors import ParameterError


def age(path: Path) -> None:
    """Make a file look older than the clock's tick."""
    old = time.time() - 60
    os.utime(path, (old, old))


# raw data


def test_nothing_changed_nothing_runs(toy: Toy) -> None:
    assert toy.run() == []
    assert toy.states() == {"read": "current", "refine": "current", "report": "current"}


def test_a_touched_raw_file_runs_nothing(toy: Toy) -> None:
    (toy.root / "data/01_raw/a.txt").touch()
    assert toy.run() == []


def test_a_changed_raw_file_runs_what_follows_from_it(toy: Toy) -> None:
    toy.write("raw a.txt", "Gamma ")
    assert toy.status()["read"].reason == "`data/01_raw/a.txt` changed"
    assert toy.run() == ["read", "refine", "report"]
    assert toy.load("refined") == ["gamma.", "beta."]


def test_a_changed_raw_file_of_the_same_size_and_time_is_noticed(toy: Toy) -> None:
    path = toy.root / "data/01_raw/a.txt"
    before = path.stat()
    path.write_text("Alpho ")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert toy.run() == ["read", "refine", "report"]


def test_a_raw_file_that_changed_while_it_was_read_is_read_again_even_if_the_change_is_undone(
    toy: Toy,
) -> None:
    changing = f'(__import__("pathlib").Path({str(toy.root / "data/01_raw/a.txt")!r}).write_text("Gamma "), data.decode())[1]'
    toy.edit("formats/text.py", "data.decode()", changing)
    toy.write("raw a.txt", "Alpha, longer ")
    toy.run()
    toy.write("raw a.txt", "Alpha, longer ")
    assert toy.status()["read"].reason == "`data/01_raw/a.txt` changed"


def test_an_added_raw_file_runs_all_that_reads_it(toy: Toy) -> None:
    toy.write("raw c.txt", "Gamma")
    assert toy.status()["read"].reason == "`data/01_raw/c.txt` is new"
    assert toy.run() == ["read", "refine", "report"]
    assert toy.load("summary")["total"] == 3


def test_a_removed_raw_file_runs_all_that_read_it(toy: Toy) -> None:
    (toy.root / "data/01_raw/b.txt").unlink()
    assert "`data/01_raw/b.txt` is gone" in toy.status()["read"].reason
    assert toy.run() == ["read", "refine", "report"]


def test_a_change_that_changes_no_output_stops_the_wave(toy: Toy) -> None:
    toy.write("raw a.txt", "ALPHA ")
    assert toy.run() == ["read", "refine"]


# code


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("deeper.py", "def lower(text):", "# why\n\n\ndef lower(  text ):  # a comment"),
        ("deeper.py", "def lower(text):\n", 'def lower(text):\n    """Say what."""\n'),
        (
            "nodes.py",
            '    calls.append("refine")\n',
            '    calls.append("refine")\n    logger.info("hello")\n',
        ),
        ("unrelated.py", "return 1", "return 2"),
        ("settings.py", "ge=1, description", "ge=0, description"),
    ],
    ids=["comment and formatting", "docstring", "logging", "unrelated module", "a parameter's limit"],
)
def test_what_cannot_change_a_result_runs_nothing(toy: Toy, name: str, old: str, new: str) -> None:
    toy.edit(name, old, new)
    assert toy.run() == []


@pytest.mark.parametrize(
    ("name", "old", "new", "calls"),
    [
        ("nodes.py", "refine_text(text) +", "refine_text(text) * 2 +", ["refine"]),
        ("helper.py", ".strip()", ".rstrip()", ["refine"]),
        ("deeper.py", "text.lower()", "text.upper()", ["refine"]),
        ("nodes.py", "return {\"total\": len(refined)", "return {\"total\": -len(refined)", ["report"]),
    ],
    ids=["in the node", "in a helper", "in a helper's helper", "in one node of a shared module"],
)  # fmt: skip
def test_changed_code_runs_the_node_that_uses_it(
    toy: Toy, name: str, old: str, new: str, calls: list[str]
) -> None:
    toy.edit(name, old, new)
    stage = calls[0]
    assert toy.status()[stage].reason == f"code of `{name}` changed"
    assert toy.run()[: len(calls)] == calls


def test_a_refactoring_with_equal_outputs_stops_the_wave(toy: Toy) -> None:
    toy.edit("deeper.py", "return text.lower()", "lowered = text.lower()\n    return lowered")
    assert toy.states() == {"read": "current", "refine": "run", "report": "may run"}
    assert toy.run() == ["refine"]


def test_a_new_format_adapter_runs_what_searches_its_folder(toy: Toy) -> None:
    toy.code("formats/csv.py", "def read(data):\n    return data\n")
    assert toy.status()["read"].reason == "code of `formats/csv.py` is new"
    assert toy.run() == ["read"]


def test_changed_package_data_runs_what_uses_its_folder(toy: Toy) -> None:
    (toy.source / "formats/words.txt").write_text("one")
    assert toy.run() == ["read"]
    (toy.source / "formats/words.txt").write_text("two")
    assert toy.status()["read"].reason == "code of `formats/words.txt` changed"
    assert toy.run() == ["read"]


def test_code_that_is_edited_while_a_run_works_is_noticed_by_the_next(toy: Toy) -> None:
    toy.values["read"]["longest"] = 2
    edit = f"(__import__('pathlib').Path({str(toy.source / 'deeper.py')!r})).write_text('def lower(text):\\n    return 1')"
    toy.edit("nodes.py", 'calls.append("read")', f'calls.append("read"); {edit}')
    toy.run()
    assert toy.status()["refine"].reason == "code of `deeper.py` changed"


# parameters


def test_a_parameter_runs_its_stage_and_says_both_values(toy: Toy) -> None:
    toy.values["refine"]["ending"] = "!"
    status = toy.status()
    assert status["read"].action == "current"
    assert status["refine"].reason == "`refine.ending` . → !"
    assert toy.run() == ["refine", "report"]


def test_a_parameter_of_a_later_stage_runs_nothing_before_it(toy: Toy) -> None:
    toy.values["report"]["title"] = "other"
    assert toy.run() == ["report"]


def test_an_added_parameter_of_a_later_stage_leaves_the_earlier_ones(toy: Toy) -> None:
    toy.values["report"]["colour"] = "red"
    assert toy.status()["report"].reason == "`report.colour` is new: red"
    assert toy.run() == ["report"]


def test_a_run_time_parameter_runs_nothing(toy: Toy) -> None:
    toy.values["read"]["workers"] = 8
    assert toy.run() == []


def test_two_changes_are_both_counted(toy: Toy) -> None:
    toy.values["refine"]["ending"] = "!"
    toy.edit("helper.py", ".strip()", ".rstrip()")
    assert toy.status()["refine"].reason == "`refine.ending` . → ! (and 1 more change)"
    assert [change.kind for change in toy.status()["refine"].changes] == ["parameters", "code"]


# libraries


def test_another_version_of_a_library_that_the_code_imports_runs_it(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy.edit("deeper.py", "def lower", "import xxhash\n\n\ndef lower")
    assert toy.run() == ["refine"]
    versions = {"xxhash": "0.0.1"}
    monkeypatch.setattr("qwen_pipeline.incremental.libraries._version", lambda name: versions.get(name, "1"))
    status = toy.status()
    assert status["refine"].reason.startswith("library `xxhash`")
    assert status["refine"].reason.endswith("→ 0.0.1")
    assert status["read"].action == "current"


# A → B → A


def test_going_back_takes_the_old_version_back_without_computing(toy: Toy) -> None:
    first = toy.file("refined").read_bytes()
    toy.values["refine"]["ending"] = "!"
    assert toy.run() == ["refine", "report"]
    toy.values["refine"]["ending"] = "."
    assert toy.states()["refine"] == "take back"
    assert toy.run() == []
    assert len(toy.versions("refined")) == 3
    assert toy.file("refined").read_bytes() == first
    assert toy.file("refined").stat().st_nlink == 2
    assert toy.load("refined") == ["alpha.", "beta."]
    assert set(toy.states().values()) == {"current"}


def test_going_back_upstream_takes_everything_downstream_back(toy: Toy) -> None:
    toy.write("raw c.txt", "Gamma")
    assert toy.run() == ["read", "refine", "report"]
    (toy.root / "data/01_raw/c.txt").unlink()
    assert toy.states() == dict.fromkeys(("read", "refine", "report"), "take back")
    assert toy.run() == []
    assert toy.load("summary")["total"] == 2


def test_a_damaged_old_version_is_not_taken_back(toy: Toy) -> None:
    old = toy.file("refined")
    toy.values["refine"]["ending"] = "!"
    toy.run()
    before = old.stat()
    old.write_bytes(old.read_bytes().replace(b"alpha", b"omega"))
    os.utime(old, ns=(before.st_atime_ns, before.st_mtime_ns))
    toy.values["refine"]["ending"] = "."
    assert toy.run() == ["refine"]  # equal to the first: the summary is taken back
    assert toy.load("refined") == ["alpha.", "beta."]


# force, slices, versions


def test_force_runs_all_or_one_stage(toy: Toy) -> None:
    assert toy.run(force="refine") == ["refine"]
    assert toy.run(force="all") == ["read", "refine", "report"]
    assert toy.run(force="read,report") == ["read", "report"]


def test_force_of_an_unknown_stage_is_refused(toy: Toy) -> None:
    with pytest.raises(ParameterError, match=r"--force rafine: .* read, refine, report"):
        toy.run(force="rafine")


def test_a_dry_run_runs_nothing_and_says_what_may_run(toy: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    toy.values["refine"]["ending"] = "!"
    capsys.readouterr()
    assert toy.run(dry_run=True) == []
    lines = capsys.readouterr().out.splitlines()
    assert "read.read_files: current" in lines
    assert "refine.refine_texts: would run: `refine.ending` . → !" in lines
    assert any(line.startswith("report.write_report: may run: input `refined` may change") for line in lines)


def test_a_pinned_input_version_is_read_and_makes_its_reader_stale(toy: Toy) -> None:
    old = toy.versions("texts")[-1]
    toy.write("raw a.txt", "Gamma ")
    toy.run()
    assert toy.load("refined") == ["gamma.", "beta."]
    assert toy.run(load_versions={"texts": old}) == []  # taken back: it was made from that version before
    assert toy.load("refined") == ["alpha.", "beta."]
    assert toy.run() == []
    assert toy.load("refined") == ["gamma.", "beta."]


def test_what_is_made_after_the_clock_was_set_back_is_in_force(
    fresh: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = ["2026-03-01T12.00.00.000Z", "2026-01-01T12.00.00.000Z", "2026-01-01T13.00.00.000Z"]
    for number, moment in enumerate(times):
        monkeypatch.setattr(toy_project, "_version", lambda moment=moment: moment)
        fresh.values["refine"]["ending"] = f"{number}"
        fresh.run()
        assert fresh.load("refined") == [f"alpha{number}", f"beta{number}"]
        assert fresh.load("summary")["total"] == 2
        assert set(fresh.states().values()) == {"current"}
    fresh.values["refine"]["ending"] = "0"
    assert fresh.run() == []  # taken back
    assert fresh.load("refined") == ["alpha0", "beta0"]
    assert fresh.versions("refined") == [f"2026-03-01T12.00.00.00{place}Z" for place in range(4)]
