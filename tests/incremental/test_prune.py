"""Old versions go; what something kept refers to stays."""

import json
from dataclasses import replace

from incremental.toy import Toy
from qwen_pipeline.incremental.ledger import Ledger
from qwen_pipeline.incremental.prune import PrunePlan, plan_prune, prune

NAMES = ("texts", "account", "refined", "pace", "summary")


def planned(toy: Toy, keep: int, tracked: tuple[str, ...] = ()) -> PrunePlan:
    """What `kedro prune --keep N` would remove."""
    catalog = toy.catalog()
    return plan_prune(ledger(toy), {name: catalog[name] for name in NAMES}, keep, tracked)


def ledger(toy: Toy) -> Ledger:
    """The toy's records."""
    return Ledger(toy.root / "data/.ledger")


def run_with_endings(toy: Toy, *endings: str) -> None:
    """One run for each value."""
    for ending in endings:
        toy.values["refine"]["ending"] = ending
        toy.run()


def test_old_versions_go_and_their_bytes_are_counted(toy: Toy) -> None:
    run_with_endings(toy, "!", "?")
    old = toy.versions("refined")[:2]
    plan = planned(toy, keep=1)
    assert {(one.dataset, one.version) for one in plan.removals} == {
        (name, version) for name in ("refined", "pace", "summary") for version in old
    }
    size = sum(
        path.stat().st_size for one in plan.removals for path in one.folder.rglob("*") if path.is_file()
    )
    assert plan.freed == size
    prune(plan, ledger(toy))
    assert toy.versions("refined") == toy.versions("refined")[-1:]
    assert toy.run() == []
    assert planned(toy, keep=1).removals == ()


def test_keep_two_keeps_two(toy: Toy) -> None:
    run_with_endings(toy, "!", "?")
    prune(planned(toy, keep=2), ledger(toy))
    assert len(toy.versions("refined")) == 2
    run_with_endings(toy, "!")
    assert toy.calls == []  # the one before is still there to be taken back
    assert toy.load("refined") == ["alpha!", "beta!"]


def test_what_a_kept_version_was_made_from_stays(toy: Toy) -> None:
    first = toy.versions("texts")[0]
    toy.values["read"]["longest"] = 3
    toy.run(lambda whole: whole.only_nodes_with_tags("read"))
    assert len(toy.versions("texts")) == 2
    plan = planned(toy, keep=1)
    assert ("texts", first) not in {(one.dataset, one.version) for one in plan.removals}
    prune(plan, ledger(toy))
    assert first in toy.versions("texts")  # `refined` was made from it


def test_what_the_latest_tracked_run_refers_to_stays(toy: Toy) -> None:
    records = ledger(toy)
    tracked = records.records("refine.refine_texts")[0]
    records.rewrite(replace(tracked, mlflow_run_id="abc"))
    run_with_endings(toy, "!", "?")
    old = tracked.outputs["refined"].version
    assert ("refined", old) in {(one.dataset, one.version) for one in planned(toy, 1).removals}
    assert ("refined", old) not in {(one.dataset, one.version) for one in planned(toy, 1, ("abc",)).removals}


def test_bytes_shared_with_a_kept_version_are_not_freed(toy: Toy) -> None:
    run_with_endings(toy, "!", ".")  # the last one is linked from the first
    plan = planned(toy, keep=1)
    linked = [one for one in plan.removals if one.version == toy.versions("refined")[0]]
    assert linked
    assert plan.freed < sum(one.size for one in plan.removals)
    prune(plan, ledger(toy))
    assert toy.load("refined") == ["alpha.", "beta."]


def test_a_version_that_no_run_recorded_counts_like_any_other(toy: Toy) -> None:
    toy.catalog().save("refined", ["by hand"])
    toy.run()
    gone = [one.version for one in planned(toy, keep=1).removals if one.dataset == "refined"]
    assert gone == toy.versions("refined")[1:2]  # the first was read by the summary, the last is in force
    assert not [one for one in planned(toy, keep=3).removals if one.dataset == "refined"]


def test_the_tracked_run_is_taken_from_an_output_and_handed_on(toy: Toy) -> None:
    toy.edit("nodes.py", '{"timing":', '{"mlflow_run_id": "run-1", "timing":')
    toy.values["report"]["title"] = "new"
    toy.run(force="report")
    found = {stage: one.record.mlflow_run_id for stage, one in toy.status().items() if one.record}
    assert found == {"read": None, "refine": "run-1", "report": "run-1"}
    assert json.loads(toy.file("pace").read_text())["mlflow_run_id"] == "run-1"
