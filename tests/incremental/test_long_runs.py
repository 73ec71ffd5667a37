"""Long stages: asked before they run again, resumed under the same fingerprint, never asked twice."""

import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from incremental.toy import Toy
from qwen_pipeline.errors import LongRunRefusedError
from qwen_pipeline.incremental.attempts import Attempts
from qwen_pipeline.incremental.ledger import Ledger

WRITE = (
    '    calls.append("refine")\n    from qwen_pipeline.incremental.workspace import current_fingerprint\n'
    "    from pathlib import Path\n"
    '    Path("seen.txt").open("a").write(current_fingerprint() + "\\n")\n'
)
FAIL = '    if Path("fail").exists(): raise KeyboardInterrupt\n'


def make_long(toy: Toy) -> None:
    """As if refining had taken 20 minutes."""
    ledger = Ledger(toy.root / "data/.ledger")
    record = ledger.records("refine.refine_texts")[0]
    ledger.rewrite(replace(record, seconds=1200.0))


def fingerprints(toy: Toy) -> list[str]:
    """The fingerprints that the refining node saw."""
    return Path(toy.root / "seen.txt").read_text().split()


def test_a_long_stage_is_not_run_again_without_being_confirmed(toy: Toy) -> None:
    make_long(toy)
    toy.values["refine"]["ending"] = "!"
    with pytest.raises(LongRunRefusedError, match=r"took 20 minutes.*`refine.ending` . → !.*--yes"):
        toy.run()
    assert toy.load("refined") == ["alpha.", "beta."]
    assert toy.run(yes=True) == ["refine", "report"]


def test_in_a_terminal_the_user_is_asked(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    make_long(toy)
    toy.values["refine"]["ending"] = "!"
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda question: "n")
    with pytest.raises(LongRunRefusedError):
        toy.run()
    monkeypatch.setattr("builtins.input", lambda question: "y")
    assert toy.run() == ["refine", "report"]


def test_a_long_stage_that_is_current_or_taken_back_is_not_asked_about(toy: Toy) -> None:
    make_long(toy)
    assert toy.run() == []
    toy.values["refine"]["ending"] = "!"
    toy.run(yes=True)
    toy.values["refine"]["ending"] = "."
    assert toy.run() == []


def test_an_interrupted_stage_goes_on_under_its_fingerprint_and_is_not_asked_about_again(fresh: Toy) -> None:
    toy = fresh
    toy.edit("nodes.py", '    calls.append("refine")\n', WRITE + FAIL)
    toy.run()
    make_long(toy)
    toy.values["refine"]["ending"] = "!"
    (toy.root / "fail").touch()
    with pytest.raises(KeyboardInterrupt):
        toy.run(yes=True)
    (toy.root / "fail").unlink()
    assert toy.run() == ["refine", "report"]  # confirmed when it was begun
    first, interrupted, resumed = fingerprints(toy)
    assert interrupted == resumed != first


def test_time_of_interrupted_attempts_counts(fresh: Toy) -> None:
    toy = fresh
    toy.edit("nodes.py", '    calls.append("refine")\n', WRITE + FAIL)
    (toy.root / "fail").touch()
    with pytest.raises(KeyboardInterrupt):
        toy.run()
    attempt = toy.root / "data/.ledger/attempts/refine.refine_texts.json"
    content = json.loads(attempt.read_text())
    assert content["stopped"]
    attempt.write_text(json.dumps({**content, "spent": 5000.0}))
    (toy.root / "fail").unlink()
    toy.run()
    assert Ledger(toy.root / "data/.ledger").records("refine.refine_texts")[0].seconds >= 5000
    assert not attempt.exists()


def test_an_attempt_killed_before_the_clock_was_set_back_counts_no_time(tmp_path: Path) -> None:
    attempts = Attempts(Ledger(tmp_path / "data/.ledger"))
    attempts.begin("refine", "f")
    path = tmp_path / "data/.ledger/attempts/refine.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "started": time.time() + 10**8}))
    attempts.begin("refine", "f")
    assert attempts.seconds("refine", 3.0) == 3.0


def test_the_fingerprint_ignores_run_time_values_and_nothing_else(fresh: Toy) -> None:
    toy = fresh
    toy.edit("nodes.py", '    calls.append("refine")\n', WRITE)
    toy.edit("settings.py", '    ending: str = "."\n', '    ending: str = "."\n    cap: int = run_time(1)\n')
    toy.run()
    toy.values["refine"]["cap"] = 9
    toy.run(force="refine")
    toy.values["refine"]["ending"] = "!"
    toy.run()
    toy.values["refine"]["ending"] = "."
    toy.edit("deeper.py", "text.lower()", "text.casefold()")
    toy.run()
    toy.edit("deeper.py", "text.casefold()", "text.lower()")
    toy.write("raw a.txt", "Gamma")
    toy.run()
    plain, capped, valued, coded, fed = fingerprints(toy)
    assert plain == capped
    assert len({plain, valued, coded, fed}) == 4
