import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

import datasets
from chat.conversation import assistant, user
from model.tiny_model import write_tiny_model
from qwen_pipeline.chat import tokenize_part
from qwen_pipeline.chat.labels import LabelRules
from qwen_pipeline.chat.tokenize_table import tokenize_table
from qwen_pipeline.errors import NoExamplesError
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.model.tokenizer import TokenizerSource
from qwen_pipeline.text.schema import CLEAN_SCHEMA, REJECT_SCHEMA
from qwen_pipeline.text.table_reader import row_groups


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> TokenizerSource:
    return TokenizerSource(ModelSource(str(write_tiny_model(tmp_path_factory.mktemp("model")))))


def table(*rows: tuple[str, list[dict[str, str]]]) -> pa.Table:
    content: list[dict[str, Any]] = [
        {
            "example_id": f"id{number}",
            "messages": messages,
            "source_file": "faq.md",
            "source_line": number,
            "encoding": "utf-8",
            "encoding_confidence": 1.0,
            "repairs": [],
            "split": split,
        }
        for number, (split, messages) in enumerate(rows)
    ]
    return pa.Table.from_pylist(content, schema=CLEAN_SCHEMA)


SHORT = [user("What?"), assistant("That.")]
LONG = [user("What?"), assistant("word " * 200)]
TWO_TURNS = [*SHORT, *SHORT]


def tokenize(
    source: TokenizerSource,
    examples: pa.Table,
    folder: Path,
    limit: int = 128,
    workers: int = 1,
    group: int = 1,
) -> dict[str, Any]:
    """Row groups of one example, or of as many as asked for."""
    folder.mkdir(exist_ok=True)
    clean = folder.with_suffix(".parquet")
    pq.write_table(examples, clean, row_group_size=group)
    return tokenize_table(row_groups(pads.dataset(clean)), source, LabelRules(limit), folder, workers)


def test_every_example_is_in_a_split_or_in_the_rejects(source: TokenizerSource, tmp_path: Path) -> None:
    examples = table(("train", SHORT), ("train", LONG), ("train", TWO_TURNS), ("test", SHORT), ("test", LONG))
    report = tokenize(source, examples, tmp_path)
    assert report["total"] == {"found": 5, "kept": 3, "rejected": {"answer_too_long": 2}}
    assert report["splits"]["train"]["rows"] == 3
    assert report["splits"]["validation"]["examples"] == 0
    rejects = pq.read_table(tmp_path / "tokenize_rejects.parquet")
    assert rejects.schema.equals(REJECT_SCHEMA)
    assert rejects["source_line"].to_pylist() == [1, 4]
    assert set(rejects["stage"].to_pylist()) == {"tokenize"}


def test_a_reject_says_where_it_was_and_what_is_wrong_with_it(
    source: TokenizerSource, tmp_path: Path
) -> None:
    examples = table(("train", SHORT), ("train", LONG), ("train", [user("Anyone?")]), ("train", []))
    report = tokenize(source, examples, tmp_path, limit=60)
    assert report["total"]["rejected"] == {"answer_too_long": 1, "no_trained_token": 2}
    long, unanswered, empty = pq.read_table(tmp_path / "tokenize_rejects.parquet").to_pylist()
    assert (long["source_file"], long["reason"]) == ("faq.md", "answer_too_long")
    assert re.fullmatch(r"needs \d+ tokens, max_sequence_length is 60", long["detail"])
    assert long["excerpt"].startswith("word word")
    assert (unanswered["reason"], unanswered["excerpt"]) == ("no_trained_token", "Anyone?")
    assert (empty["reason"], empty["excerpt"]) == ("no_trained_token", "")


def test_rows_and_rejects_are_the_same_however_they_are_batched(
    source: TokenizerSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    examples = table(*[("train", SHORT), ("test", TWO_TURNS), ("train", LONG), ("train", TWO_TURNS)] * 3)
    tokenize(source, examples, tmp_path / "whole", group=len(examples))
    monkeypatch.setattr(tokenize_part, "TOKENS_PER_BATCH", 40)
    monkeypatch.setattr(tokenize_part, "ROWS_PER_BATCH", 5)
    tokenize(source, examples, tmp_path / "batched", group=len(examples))
    for split, rows in (("train", 9), ("test", 6), ("validation", 0)):
        whole, batched = (
            datasets.load_from_disk(str(tmp_path / name / split)) for name in ("whole", "batched")
        )
        assert len(whole) == rows
        assert whole.to_list() == batched.to_list()
    lines = [
        pq.read_table(tmp_path / name / "tokenize_rejects.parquet")["source_line"].to_pylist()
        for name in ("whole", "batched")
    ]
    assert lines == [[2, 6, 10]] * 2


def test_the_directories_open_with_datasets(source: TokenizerSource, tmp_path: Path) -> None:
    tokenize(source, table(("train", SHORT), ("train", TWO_TURNS)), tmp_path)
    train = datasets.load_from_disk(str(tmp_path / "train"))
    assert train["example_id"][:] == ["id0", "id1", "id1"]
    assert train.features["input_ids"] == datasets.List(datasets.Value("int32"))
    assert len(train[0]["input_ids"]) == len(train[0]["labels"])
    assert len(datasets.load_from_disk(str(tmp_path / "validation"))) == 0


def test_equal_rows_give_equal_bytes(source: TokenizerSource, tmp_path: Path) -> None:
    for name in ("one", "two"):
        tokenize(source, table(("train", SHORT), ("test", LONG)), tmp_path / name)
    files = [path for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert len(files) == 3 * 3 + 1
    for path in files:
        twin = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert path.read_bytes() == twin.read_bytes(), path


@pytest.mark.slow
def test_two_processes_write_the_same_bytes_as_one(source: TokenizerSource, tmp_path: Path) -> None:
    examples = table(*[("train", SHORT), ("test", LONG), ("train", TWO_TURNS), ("validation", SHORT)] * 2)
    reports = [tokenize(source, examples, tmp_path / f"by-{n}", workers=n) for n in (1, 2)]
    assert reports[0] == reports[1]
    files = {path.relative_to(tmp_path / "by-1") for path in (tmp_path / "by-1").rglob("*") if path.is_file()}
    assert len(files) == 3 * 3 + 1  # nothing of the parts is left
    for name in files:
        assert (tmp_path / "by-1" / name).read_bytes() == (tmp_path / "by-2" / name).read_bytes(), name


def test_a_limit_too_short_for_any_answer_says_what_the_shortest_needs(
    source: TokenizerSource, tmp_path: Path
) -> None:
    examples = table(("train", SHORT), ("train", LONG))
    with pytest.raises(
        NoExamplesError, match=r"max_sequence_length=8 is too short.*needs (\d+) tokens"
    ) as caught:
        tokenize(source, examples, tmp_path / "short", limit=8)
    needed = int(str(caught.value).partition("shortest needs ")[2].split()[0])
    assert tokenize(source, examples, tmp_path / "enough", limit=needed)["total"]["kept"] == 1


def test_no_training_examples_at_all_is_an_error(source: TokenizerSource, tmp_path: Path) -> None:
    with pytest.raises(
        NoExamplesError, match=r"validation or test\. Where rows were rejected, clean_rejects says why"
    ):
        tokenize(source, table(("test", SHORT)), tmp_path)
