"""`kedro run --env qwen3_4b` on the real shape: its configuration at one layer, its tokenizer, random weights."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from end_to_end.project import copy_project, run_kedro

pytestmark = pytest.mark.slow

BUILD = """
import sys, torch
from transformers import AutoConfig, AutoModelForCausalLM
config = AutoConfig.from_pretrained(sys.argv[1], num_hidden_layers=1, layer_types=["full_attention"])
torch.manual_seed(0)
AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(sys.argv[2])
"""


@pytest.fixture(scope="module")
def model_folder(shared_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a user downloads, one layer of it: 0.5 billion parameters, most of them embeddings."""
    source, folder = shared_dir / "qwen3-4b-thinking-2507", tmp_path_factory.mktemp("Qwen3") / "one-layer"
    subprocess.run([sys.executable, "-c", BUILD, str(source), str(folder)], check=True, capture_output=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        shutil.copy(source / name, folder / name)
    return folder


def test_a_local_folder_of_the_real_shape_is_tuned_for_a_few_steps(
    model_folder: Path, tmp_path: Path
) -> None:
    project = copy_project(tmp_path / "project")
    settings = f"model_name={model_folder},max_steps=2,effective_batch_size=2,max_sequence_length=256"
    run_kedro(project, "run", "--env", "qwen3_4b", "--pipeline", "train", "--params", settings)
    reports = sorted((project / "data/08_reporting/train_report.json").glob("2*"))
    report = json.loads((reports[-1] / "train_report.json").read_text(encoding="utf-8"))
    assert len(report["losses"]) == 2
    assert all(loss > 0 for loss in report["losses"])
    planned = report["memory"]["planned"]
    assert planned["fits"]
    assert planned["allocated_gib"] < planned["max_memory_gb"] == 8.0
    adapters = sorted((project / "data/06_models/adapter").glob("2*"))
    config = json.loads((adapters[-1] / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    assert config["target_modules"] == sorted(config["target_modules"])
    assert len(config["target_modules"]) == 7
    tokenizer = json.loads((adapters[-1] / "adapter" / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert "<|im_start|>" in tokenizer["additional_special_tokens"]  # where transformers 4 looks for them
