"""Which rows are measured where the test split has none."""

from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from datasets import Dataset
from qwen_pipeline.evaluation.held_out import HeldOut, choose_held_out
from qwen_pipeline.evaluation.report import remark_of
from qwen_pipeline.text.schema import CLEAN_SCHEMA


def example(name: str, split: str) -> dict[str, Any]:
    turns = [{"role": "user", "content": f"What is {name}?"}, {"role": "assistant", "content": name}]
    return {"example_id": name, "messages": turns, "source_file": "faq.csv", "split": split}


def rows(*names: str) -> Dataset:
    ids = [[1, 2] for _ in names]
    return Dataset.from_dict({"input_ids": ids, "labels": ids, "example_id": list(names)})


def chosen(splits: dict[str, str], test: Dataset, validation: Dataset) -> HeldOut:
    examples = [example(name, split) for name, split in splits.items()]
    clean = pads.dataset(pa.Table.from_pylist(examples, schema=CLEAN_SCHEMA))
    return choose_held_out(clean, test, validation, questions=5, seed=0)


def test_the_test_split_is_measured_where_it_has_rows() -> None:
    held_out = chosen({"a": "test", "b": "validation"}, rows("a"), rows("b"))
    assert (held_out.split, held_out.sample) == ("test", ["a"])
    assert remark_of(held_out.as_dict()) is None


def test_the_rows_stay_on_the_disk() -> None:
    test = rows("a")
    assert chosen({"a": "test"}, test, rows()).rows is test


def test_validation_rows_stand_in_for_an_empty_test_split_and_it_is_said() -> None:
    held_out = chosen({"a": "train", "b": "validation"}, rows(), rows("b"))
    assert (held_out.split, held_out.sample) == ("validation", ["b"])
    assert held_out.conversations["b"][-1]["content"] == "b"
    remark = remark_of(held_out.as_dict())
    assert remark is not None
    assert "validation rows" in remark
    assert "put files under test/ in data_dir, or raise test_fraction" in remark


def test_test_rows_that_tokenize_rejected_are_named_as_the_reason() -> None:
    held_out = chosen({"a": "train", "b": "test", "c": "test"}, rows(), rows())
    assert (held_out.split, list(held_out.rows), held_out.test_rejected) == (None, [], 2)
    remark = remark_of(held_out.as_dict())
    assert remark is not None
    assert "tokenize rejected all 2 test examples; tokenize_rejects says why" in remark
    assert "test_fraction" not in remark
