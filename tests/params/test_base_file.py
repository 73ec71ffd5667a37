"""The choices that conf/base/parameters.yml offers in comments are parameters with allowed values."""

import re
from pathlib import Path

import pytest
import yaml

from qwen_pipeline.params.merge import build_groups, flatten_layer

BASE = Path(__file__).resolve().parents[2] / "conf/base/parameters.yml"
CHOICES = re.findall(r"^# ([a-z_]+: \S+)$", BASE.read_text(encoding="utf-8"), re.MULTILINE)


def test_there_are_choices() -> None:
    assert len(CHOICES) >= 10


@pytest.mark.parametrize("choice", CHOICES)
def test_a_choice_is_a_parameter_with_an_allowed_value(choice: str) -> None:
    build_groups(flatten_layer(yaml.safe_load(choice), "conf/base"))
