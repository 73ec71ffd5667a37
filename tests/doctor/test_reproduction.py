"""What another machine runs has the parameters in force."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from qwen_pipeline.doctor.finding import Inspection
from qwen_pipeline.doctor.reproduction import changed_parameters, reproduce
from qwen_pipeline.params.merge import build_groups, flatten_layer


def inspected(folder: Path, **parameters: Any) -> Inspection:
    """A project whose ``conf/base`` sets the epochs, run with these parameters."""
    (folder / "conf/base").mkdir(parents=True, exist_ok=True)
    (folder / "conf/base/parameters.yml").write_text("num_epochs: 26\n")
    return Inspection(folder, build_groups(flatten_layer({"num_epochs": 26, **parameters}, "test")))


def test_what_differs_from_a_fresh_copy_is_set_with_its_type(tmp_path: Path) -> None:
    asked = {
        "batch_size": "auto", "num_epochs": 3, "speakers": {"甲, 乙": "user"}, "languages": ["zh", "en"],
        "data_dir": "/data/mine", "model_name": str(tmp_path), "tokenizer_kwargs": {"pad_token": "it's"},
    }  # fmt: skip
    lines = reproduce(inspected(tmp_path, **asked))
    (line,) = [line for line in lines if line.startswith("printf")]
    written = json.loads(shlex.split(line)[2])
    again = build_groups(flatten_layer(written, "conf/local"))
    assert again["train"]["batch_size"] == "auto"
    assert again["train"]["num_epochs"] == 3
    assert again["ingest"]["speakers"] == asked["speakers"]
    assert list(again["clean"]["languages"]) == ["zh", "en"]
    assert again["tokenize"]["tokenizer_kwargs"]["pad_token"] == "it's"
    assert not {"data_dir", "model_name"} & set(written)
    assert lines[-1] == ".venv/bin/kedro run --yes"


def test_a_fresh_copy_needs_nothing_set(tmp_path: Path) -> None:
    assert changed_parameters(inspected(tmp_path)) == {}
    assert reproduce(inspected(tmp_path))[2:] == [".venv/bin/kedro run --yes"]


@pytest.mark.parametrize("name", ["Qwen/Qwen3-4B-Thinking-2507", "no such name"])
def test_a_model_that_others_can_ask_for_is_run_as_well(tmp_path: Path, name: str) -> None:
    command = reproduce(inspected(tmp_path, model_name=name))[-1]
    assert shlex.split(command)[-1] == f"model_name={name}"
