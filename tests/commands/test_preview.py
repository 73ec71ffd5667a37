from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from model.tiny_model import write_tiny_model
from qwen_pipeline.commands.preview import _as_runs, _chosen
from qwen_pipeline.errors import ParameterError

ROWS = [{"example_id": f"{letter}{number}"} for letter in "ab" for number in range(3)]


def test_only_so_many_rows_are_read_as_are_shown() -> None:
    def endless() -> Iterator[dict[str, str]]:
        yield from ROWS
        raise AssertionError("read past the last row that was asked for")

    assert [row["example_id"] for row in _chosen(endless(), None, 2)] == ["a0", "a1"]


def test_an_example_is_found_by_the_beginning_of_its_id_and_an_unknown_one_is_told() -> None:
    assert [row["example_id"] for row in _chosen(ROWS, "b", 5)] == ["b0", "b1", "b2"]
    with pytest.raises(ParameterError, match="--example zz: no row of this split"):
        _chosen(ROWS, "zz", 1)


def test_json_gives_runs_that_join_to_the_row_with_what_is_trained(tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(write_tiny_model(tmp_path / "tiny"))
    ids: list[int] = tokenizer("abc def", add_special_tokens=False)["input_ids"]
    row: dict[str, Any] = {"example_id": "x", "input_ids": ids, "labels": [-100] * (len(ids) - 1) + ids[-1:]}
    shown = _as_runs(tokenizer, row)
    assert "".join(run["text"] for run in shown["runs"]) == "abc def"
    assert [run["trained"] for run in shown["runs"]] == [False, True]
    assert shown["tokens"] == len(ids)
