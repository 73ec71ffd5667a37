"""Why a node runs: what counts, and how it is told."""

from pathlib import Path

import pytest

from qwen_pipeline.incremental.attempts import Attempts
from qwen_pipeline.incremental.code import CodeReader, parse
from qwen_pipeline.incremental.ledger import Ledger
from qwen_pipeline.incremental.libraries import library_versions
from qwen_pipeline.incremental.reasons import Change, in_words
from qwen_pipeline.incremental.record import Depends
from qwen_pipeline.pipelines.ingest.nodes import ingest_files
from qwen_pipeline.pipelines.train.nodes import train_adapter
from qwen_pipeline.text import formats


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, ""),
        (1, "it"),
        (2, "it (and 1 more change)"),
        (3, "it (and 2 more changes)"),
        (12, "it (and 11 more changes)"),
    ],
)
def test_the_first_change_is_told_and_how_many_more_there_are(count: int, told: str) -> None:
    assert in_words([Change("code", "module", "it")] * count) == told


def test_a_fingerprint_does_not_depend_on_the_order_of_names() -> None:
    one, other = Depends(inputs={"a": "1", "b": "2"}), Depends(inputs={"b": "2", "a": "1"})
    assert one.fingerprint == other.fingerprint != Depends(inputs={"a": "2", "b": "1"}).fingerprint


def test_what_decides_a_librarys_result_counts_with_it() -> None:
    assert {"peft", "torch", "transformers"} <= library_versions(["peft"]).keys()
    assert "torch" not in library_versions(["numpy"])


def test_tracking_errors_and_this_room_are_no_part_of_what_a_training_depends_on() -> None:
    digests, _ = CodeReader().read(train_adapter)
    assert "training/loop.py" in digests
    assert not [path for path in digests if path.startswith(("tracking/", "incremental/", "errors"))]


def test_a_module_beside_another_counts_only_where_it_is_imported() -> None:
    digests, _ = CodeReader().read(ingest_files)
    assert {"text/read_files.py", "text/character_costs.json"} <= digests.keys()
    assert "text/duplicates.py" not in digests
    assert {f"text/formats/{path.name}" for path in Path(formats.__path__[0]).glob("*.py")} <= digests.keys()
    assert "model/merge.py" not in CodeReader().read(train_adapter)[0]


@pytest.mark.parametrize(
    ("source", "searches", "imported"),
    [
        ('import_module("one.two")', False, True),
        ('importlib.import_module("one.two")', False, True),
        ("importlib.import_module(name)", True, False),
        ('importlib.import_module(".two", "one")', True, False),
        ('import_module("one.two"), iter_modules(path)', True, True),
        ("found = [import_module]", True, False),
    ],
)
def test_a_name_that_is_written_out_is_an_import_and_any_other_a_search(
    source: str, searches: bool, imported: bool
) -> None:
    module = parse(source, "package.module")
    assert (module.searches, "one.two" in module.imported) == (searches, imported)


def test_the_time_of_an_attempt_that_was_killed_counts_up_to_now(tmp_path: Path) -> None:
    attempts = Attempts(Ledger(tmp_path / "data/.ledger"))
    attempts.begin("train", "f")
    content = attempts._ledger.attempt("train")
    assert content is not None
    attempts._ledger.note_attempt("train", {**content, "started": content["started"] - 900})
    attempts.begin("train", "f")
    assert attempts.seconds("train", 1.0) > 900
    attempts.stopped("train", 50.0)
    attempts.begin("train", "f")
    assert 950 < attempts.seconds("train", 1.0) < 1000


def test_a_limit_or_a_description_of_a_parameter_is_no_code_and_elsewhere_a_field_is() -> None:
    one, other = (f"class Group:\n    rank: int = Field(1, ge={least})\n" for least in (1, 2))
    assert parse(one, "package.params.train").digest == parse(other, "package.params.train").digest
    assert parse(one, "package.text.row").digest != parse(other, "package.text.row").digest


def test_what_is_imported_for_type_checkers_alone_counts_for_nothing_and_what_is_instead_counts() -> None:
    source = "if TYPE_CHECKING:\n    import heavy\n"
    assert parse(source, "package.module").imported == ()
    assert "light" in parse(f"{source}else:\n    import light\n", "package.module").imported
