"""The table of symptoms holds against the project: what it names exists, and nothing is left out."""

import ast
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from qwen_pipeline.params.groups import parameter_names

PROJECT = Path(__file__).resolve().parents[1]
TABLE: dict[str, dict[str, Any]] = yaml.safe_load((PROJECT / "docs/symptoms.yml").read_text(encoding="utf-8"))
KEYS = {"guide", "parameters", "code", "tests", "en", "zh"}
TOLD = {"symptom", "by_itself", "you"}


@cache
def functions_in(path: Path) -> frozenset[str]:
    """Names of the test functions of a file, without importing it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def is_chinese(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)


def test_every_symptom_has_its_row_in_order() -> None:
    assert list(TABLE) == [f"S{number}" for number in range(1, 20)]


@pytest.mark.parametrize("symptom", TABLE)
def test_a_row_is_told_in_both_languages(symptom: str) -> None:
    row = TABLE[symptom]
    assert set(row) == KEYS
    for language in ("en", "zh"):
        assert set(row[language]) == TOLD
        for key, text in row[language].items():
            assert len(text.strip()) >= 5, key
    assert all(is_chinese(row["zh"][key]) for key in ("symptom", "by_itself"))
    assert not any(is_chinese(text) for text in row["en"].values())


@pytest.mark.parametrize("symptom", TABLE)
def test_code_and_parameters_of_a_row_exist(symptom: str) -> None:
    row = TABLE[symptom]
    assert row["code"]
    assert [path for path in row["code"] if not (PROJECT / path).exists()] == []
    assert set(row["parameters"]) <= set(parameter_names())


@pytest.mark.parametrize("symptom", TABLE)
def test_the_tests_that_provoke_a_symptom_exist(symptom: str) -> None:
    assert TABLE[symptom]["tests"]
    for test in TABLE[symptom]["tests"]:
        path, _, name = test.partition("::")
        assert name in functions_in(PROJECT / path), test
