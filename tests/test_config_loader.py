"""Kedro's resolvers see every layer, whichever environment's file asks, and the catalog after the parameters."""

from pathlib import Path
from typing import Any

import pytest

from qwen_pipeline.config_loader import ProjectConfigLoader
from qwen_pipeline.errors import ParameterError


def loader(conf: Path, files: dict[str, str], **runtime: Any) -> ProjectConfigLoader:
    for name in ("base", "local"):
        (conf / name).mkdir(parents=True, exist_ok=True)
    for name, text in ({"base/parameters.yml": "batch_size: 2\n"} | files).items():
        (conf / name).write_text(text, encoding="utf-8")
    return ProjectConfigLoader(str(conf), base_env="base", default_run_env="local", runtime_params=runtime)


@pytest.mark.parametrize("asking", ["base/parameters_train.yml", "local/parameters.yml"])
def test_globals_of_base_and_of_the_environment_meet_in_both(tmp_path: Path, asking: str) -> None:
    files = {
        "base/globals.yml": "rank: 4\nalpha: 8\n",
        "local/globals.yml": "rank: 5\n",
        asking: "lora_r: ${globals:rank}\nlora_alpha: ${globals:alpha}\n",
    }
    train = loader(tmp_path, files)["parameters"]["train"]
    assert (train["lora_r"], train["lora_alpha"]) == (5, 8)


def test_a_run_time_value_reaches_the_parameters_that_ask_for_it(tmp_path: Path) -> None:
    files = {"local/parameters.yml": "lora_alpha: ${runtime_params:lora_r,16}\n"}
    assert loader(tmp_path, files, lora_r=8)["parameters"]["train"]["lora_alpha"] == 8
    assert loader(tmp_path, files)["parameters"]["train"]["lora_alpha"] == 16


def test_a_dotted_name_in_python_is_told_as_what_it_is_with_the_two_ways_to_write_it(tmp_path: Path) -> None:
    with pytest.raises(ParameterError) as caught:
        _ = loader(tmp_path, {}, **{"train.batch_size": 1})["parameters"]
    assert str(caught.value) == (
        "Unknown parameter train.batch_size in runtime_params. Write the flat batch_size, or train with batch_size below it."
    )


def test_the_catalog_asks_for_all_three_kinds_of_values(tmp_path: Path) -> None:
    place = "${globals:root}/${param:model_name}/${runtime_params:lora_r,1}/${globals:root}"
    files = {
        "base/globals.yml": "root: data\n",
        "base/catalog.yml": f"mine: {{type: pickle.PickleDataset, filepath: '{place}'}}\n",
    }
    assert loader(tmp_path, files, lora_r=8)["catalog"]["mine"]["filepath"] == "data/demo/8/data"


@pytest.mark.parametrize("value", ["${oc.env:HOME}", "${lora_r}", "${globals:nothing}"])
def test_a_value_that_cannot_be_filled_in_is_one_line_with_what_to_write(tmp_path: Path, value: str) -> None:
    with pytest.raises(ParameterError) as caught:
        _ = loader(tmp_path, {"local/parameters.yml": f"batch_size: {value}\n"})["parameters"]
    assert str(caught.value).startswith("batch_size in conf/local: ")
    assert "Write the value itself" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert ".." not in str(caught.value)
