"""Outputs that were deleted, changed or half written are never served."""

import json
import os
from pathlib import Path

import pytest
from kedro.io import DatasetError

from incremental.toy import Toy
from qwen_pipeline.commands.failures import explained_by
from qwen_pipeline.errors import VersionError
from qwen_pipeline.incremental.ledger import Ledger
from qwen_pipeline.incremental.seal import SEAL, read_seal


def flip_a_byte(path: Path) -> None:
    """Change one byte and keep size and time, as a failing disk does."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_deleted_output_is_made_again(toy: Toy) -> None:
    version = toy.file("refined").parent
    for path in version.iterdir():
        path.unlink()
    version.rmdir()
    status = toy.status()
    assert status["refine"].reason == "output `refined` is missing"
    assert status["read"].action == "current"
    assert toy.run() == ["refine"]
    assert toy.load("refined") == ["alpha.", "beta."]


def test_a_deleted_file_inside_a_version_is_noticed(toy: Toy) -> None:
    toy.file("refined").unlink()
    assert "refined` is" in toy.status()["refine"].reason
    assert toy.run() == ["refine"]


def test_a_shortened_output_is_noticed_by_status_and_made_again(toy: Toy) -> None:
    toy.file("refined").write_text("[]")
    assert toy.status()["refine"].reason.startswith(
        "output `refined` is damaged: refined.json has 2 bytes of"
    )
    assert toy.run() == ["refine"]


@pytest.mark.parametrize("seal", ['{"digest": "x"}', '{"digest": "x", "files": {"a": 1}}', "[]", "half"])
def test_a_seal_that_cannot_be_read_is_none(seal: str, tmp_path: Path) -> None:
    (tmp_path / SEAL).write_text(seal)
    assert read_seal(tmp_path) is None


def test_what_a_kill_left_beside_the_records_is_no_record(toy: Toy) -> None:
    ledger = Ledger(toy.root / "data/.ledger")
    node = "refine.refine_texts"
    (whole,) = (ledger.folder / "records" / node).glob("*.json")
    whole.rename(whole.with_name(f".partial-1-{whole.name}"))
    assert ledger.records(node) == []


def test_a_changed_byte_is_noticed_by_status_verify(toy: Toy) -> None:
    flip_a_byte(toy.file("summary"))
    assert toy.status()["report"].action == "current"
    assert toy.status(verify=True)["report"].reason == (
        "output `summary` is damaged: summary.json is not what was written"
    )
    assert toy.run() == ["report"]  # what has been found stays found


def test_a_changed_byte_is_not_served(toy: Toy) -> None:
    flip_a_byte(toy.file("refined"))
    with pytest.raises(DatasetError, match=r"refined.json is damaged.*Run kedro run") as raised:
        toy.load("refined")
    assert isinstance(explained_by(raised.value), VersionError)


def test_a_damaged_input_of_a_stale_node_is_made_again_first(toy: Toy) -> None:
    flip_a_byte(toy.file("refined"))
    toy.values["report"]["title"] = "new"
    assert toy.run() == ["refine", "report"]
    assert toy.load("summary")["title"] == "new"
    assert toy.run() == []


def test_damage_two_stages_back_is_made_again_too(toy: Toy) -> None:
    flip_a_byte(toy.file("texts"))
    flip_a_byte(toy.file("refined"))
    toy.values["report"]["title"] = "new"
    assert toy.run() == ["read", "refine", "report"]


def test_an_equal_version_is_taken_back_instead_of_a_damaged_one(toy: Toy) -> None:
    assert toy.run(force="refine") == ["refine"]  # a second, equal version
    flip_a_byte(toy.file("refined"))
    toy.values["report"]["title"] = "new"
    assert toy.run() == ["report"]
    assert toy.load("refined") == ["alpha.", "beta."]


def test_a_damaged_input_that_the_slice_does_not_make_is_told(toy: Toy) -> None:
    flip_a_byte(toy.file("refined"))
    toy.values["report"]["title"] = "new"
    with pytest.raises(VersionError, match=r"refined is damaged.*this run does not make it"):
        toy.run(lambda whole: whole.only_nodes_with_tags("report"))


def test_an_input_that_was_never_made_is_told(fresh: Toy) -> None:
    with pytest.raises(VersionError, match="refined is not there yet"):
        fresh.run(lambda whole: whole.only_nodes_with_tags("report"))


def test_a_project_copied_without_its_times_is_still_current(toy: Toy) -> None:
    for path in (toy.root / "data/02_made").rglob("*.json"):
        if path.is_file() and path.name != ".seal.json":
            content = path.read_bytes()
            path.unlink()
            path.write_bytes(content)
    assert toy.run() == []


def test_a_damaged_record_counts_as_none(toy: Toy) -> None:
    record = next((toy.root / "data/.ledger/records/refine.refine_texts").glob("*.json"))
    record.write_text("{")
    assert toy.status()["refine"].reason == "it has not run yet"
    assert toy.run() == ["refine"]


@pytest.mark.parametrize("content", ["", "[1]", "7", '"text"'])
def test_damaged_memories_count_as_none(toy: Toy, content: str) -> None:
    for path in (toy.root / "data/.ledger").glob("*.json"):
        path.write_text(content)
    assert toy.run() == []


def test_a_version_saved_by_something_else_is_noticed(toy: Toy) -> None:
    toy.catalog().save("refined", ["by hand"])
    assert "has a newer version" in toy.status()["refine"].reason
    assert toy.run() == []  # the recorded version is taken back as the newest
    assert toy.load("refined") == ["alpha.", "beta."]


def test_volatile_parts_do_not_count_but_their_damage_does(toy: Toy) -> None:
    assert toy.run(force="refine") == ["refine"]
    paces = sorted(toy.folder("pace").glob("2*/pace.json"))
    digests = {json.loads((path.parent / ".seal.json").read_text())["digest"] for path in paces}
    assert len(paces) == 2
    assert len(digests) == 1
    flip_a_byte(paces[-1])
    with pytest.raises(DatasetError, match="damaged"):
        toy.load("pace")


def test_a_failed_node_leaves_the_version_before(toy: Toy) -> None:
    before = toy.versions("refined")
    toy.edit(
        "nodes.py", '    calls.append("refine")\n', '    calls.append("refine")\n    raise ValueError("no")\n'
    )
    with pytest.raises(ValueError, match="no"):
        toy.run()
    assert toy.versions("refined") == before
    assert toy.load("refined") == ["alpha.", "beta."]
    assert not list((toy.root / "data").rglob(".staged-*"))
