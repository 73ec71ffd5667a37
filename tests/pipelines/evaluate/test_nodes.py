"""What evaluate refuses before it loads a model."""

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from datasets import Dataset
from qwen_pipeline.errors import EvaluationError
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.params.evaluate import EvaluateParameters
from qwen_pipeline.pipelines.evaluate.nodes import evaluate_base
from qwen_pipeline.text.schema import CLEAN_SCHEMA


def test_an_empty_test_split_is_one_sentence_with_its_remedy() -> None:
    clean = ds.dataset(pa.Table.from_pylist([], schema=CLEAN_SCHEMA))
    rows = Dataset.from_dict({"input_ids": [], "labels": [], "example_id": []})
    with pytest.raises(EvaluationError, match=r"test split is empty; put files under test/ .* test_fraction"):
        evaluate_base(clean, rows, ModelSource("./no-model-is-looked-for"), EvaluateParameters())
