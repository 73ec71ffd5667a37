"""Exports of a data set that held nothing out are compared all the same."""

from qwen_pipeline.pipelines.export.nodes import first_with_rows


def test_held_out_rows_come_first_and_training_rows_where_there_are_none() -> None:
    assert first_with_rows({"test": ["a"], "validation": ["b"], "train": ["c"]}) == ("test", ["a"])
    assert first_with_rows({"test": [], "validation": ["b"], "train": ["c"]}) == ("validation", ["b"])
    assert first_with_rows({"test": [], "validation": [], "train": ["c"]}) == ("train", ["c"])
