"""After a refactoring the user may keep what is there, and nothing else."""

import pytest

from incremental.toy import Toy
from qwen_pipeline.errors import AcceptRefusedError
from qwen_pipeline.incremental.accept import accept_nodes
from qwen_pipeline.incremental.ledger import Ledger
from qwen_pipeline.incremental.plan import stage_of
from qwen_pipeline.incremental.runner import IncrementalRunner


def accept(toy: Toy, stage: str) -> list[str]:
    """`kedro accept STAGE`; the nodes that were accepted."""
    toy.forget()
    nodes = [node for node in toy.pipeline().nodes if stage_of(node) == stage]
    planner = IncrementalRunner().plan(toy.catalog())
    return [one.node for one in accept_nodes(nodes, planner, Ledger(toy.root / "data/.ledger"))]


def test_accepted_code_runs_nothing_and_makes_no_version(toy: Toy) -> None:
    toy.edit("deeper.py", "return text.lower()", "lowered = text.lower()\n    return lowered")
    assert accept(toy, "refine") == ["refine.refine_texts"]
    assert toy.run() == []
    assert len(toy.versions("refined")) == 1


def test_undoing_an_accepted_refactoring_runs_nothing_either(toy: Toy) -> None:
    toy.edit("deeper.py", "text.lower()", "text.casefold()")
    accept(toy, "refine")
    toy.edit("deeper.py", "text.casefold()", "text.lower()")
    assert toy.run() == []
    toy.edit("deeper.py", "text.lower()", "text.casefold()")
    assert toy.run() == []


def test_only_the_named_stage_is_accepted(toy: Toy) -> None:
    toy.edit("nodes.py", "text[: parameters.longest]", "text[0 : parameters.longest]")
    toy.edit("helper.py", ".strip()", ".rstrip()")
    assert accept(toy, "read") == ["read.read_files"]
    assert toy.run() == ["refine"]


def test_an_added_parameter_can_be_accepted(toy: Toy) -> None:
    toy.values["report"]["colour"] = "red"
    assert accept(toy, "report") == ["report.write_report"]
    assert toy.run() == []


def test_a_current_stage_has_nothing_to_accept(toy: Toy) -> None:
    assert accept(toy, "refine") == []


@pytest.mark.parametrize("what", ["value", "input", "output", "never run"])
def test_what_is_not_code_is_refused(toy: Toy, fresh: Toy, what: str) -> None:
    if what == "value":
        toy.values["refine"]["ending"] = "!"
    elif what == "input":
        toy.write("raw a.txt", "Gamma")
    elif what == "output":
        toy.file("refined").unlink()
    else:
        for record in (toy.root / "data/.ledger/records/refine.refine_texts").iterdir():
            record.unlink()
    with pytest.raises(AcceptRefusedError, match="cannot be accepted"):
        accept(toy, "read" if what == "input" else "refine")
