from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from transformers import PreTrainedTokenizerBase as Tokenizer

import datasets
from chat.conversation import assistant, user
from qwen_pipeline.chat.labels import LabelRules, TurnEncoder
from qwen_pipeline.chat.tokenize_table import tokenize_table
from qwen_pipeline.errors import NoExamplesError
from qwen_pipeline.text.schema import CLEAN_SCHEMA, REJECT_SCHEMA


def table(*rows: tuple[str, list[dict[str, str]]]) -> pads.Dataset:
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
    return pads.dataset(pa.Table.from_pylist(content, schema=CLEAN_SCHEMA))


SHORT = [user("What?"), assistant("That.")]
LONG = [user("What?"), assistant("word " * 200)]
TWO_TURNS = [*SHORT, *SHORT]


def tokenize(tokenizer: Tokenizer, examples: pads.Dataset, folder: Path, limit: int = 128) -> dict[str, Any]:
    return tokenize_table(examples, TurnEncoder(tokenizer, LabelRules(limit)), folder)


def test_every_example_is_in_a_split_or_in_the_rejects(tokenizer: Tokenizer, tmp_path: Path) -> None:
    examples = table(("train", SHORT), ("train", LONG), ("train", TWO_TURNS), ("test", SHORT), ("test", LONG))
    report = tokenize(tokenizer, examples, tmp_path)
    assert report["total"] == {"found": 5, "kept": 3, "rejected": {"answer_too_long": 2}}
    assert report["splits"]["train"]["rows"] == 3
    assert report["splits"]["validation"]["examples"] == 0
    rejects = pq.read_table(tmp_path / "tokenize_rejects.parquet")
    assert rejects.schema.equals(REJECT_SCHEMA)
    assert rejects["source_line"].to_pylist() == [1, 4]
    assert set(rejects["stage"].to_pylist()) == {"tokenize"}


def test_the_directories_open_with_datasets(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenize(tokenizer, table(("train", SHORT), ("train", TWO_TURNS)), tmp_path)
    train = datasets.load_from_disk(str(tmp_path / "train"))
    assert train["example_id"][:] == ["id0", "id1", "id1"]
    assert train.features["input_ids"] == datasets.List(datasets.Value("int32"))
    assert len(train[0]["input_ids"]) == len(train[0]["labels"])
    assert len(datasets.load_from_disk(str(tmp_path / "validation"))) == 0


def test_equal_rows_give_equal_bytes(tokenizer: Tokenizer, tmp_path: Path) -> None:
    for name in ("one", "two"):
        tokenize(tokenizer, table(("train", SHORT), ("test", LONG)), tmp_path / name)
    files = [path for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert len(files) == 3 * 3 + 1
    for path in files:
        twin = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert path.read_bytes() == twin.read_bytes(), path


def test_a_limit_too_short_for_any_answer_says_what_the_shortest_needs(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    examples = table(("train", SHORT), ("train", LONG))
    with pytest.raises(
        NoExamplesError, match=r"max_sequence_length=8 is too short.*needs (\d+) tokens"
    ) as caught:
        tokenize(tokenizer, examples, tmp_path / "short", limit=8)
    needed = int(str(caught.value).partition("shortest needs ")[2].split()[0])
    assert tokenize(tokenizer, examples, tmp_path / "enough", limit=needed)["total"]["kept"] == 1


def test_no_training_examples_at_all_is_an_error(tokenizer: Tokenizer, tmp_path: Path) -> None:
    with pytest.raises(NoExamplesError, match="validation or test"):
        tokenize(tokenizer, table(("test", SHORT)), tmp_path)
