"""Every command and setting of the troubleshooting guide that people follow today is answered by this system."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from qwen_pipeline.doctor.checks import allocator
from qwen_pipeline.doctor.finding import Inspection, State
from qwen_pipeline.params.merge import build_groups

# The guide's calls of main.py, and the parameters that they mean.
CALLS: dict[str, dict[str, Any]] = {
    "--batch-size 1 --gradient-accumulation-steps 64": {"batch_size": 1, "gradient_accumulation_steps": 64},
    "--max-sequence-length 128": {"max_sequence_length": 128},
    "--max-memory-gb 8": {"max_memory_gb": 8},
    "--enable-memory-monitoring": {"enable_memory_monitoring": True},
    "--model-name ./Qwen3-4B-Thinking-2507": {"model_name": "./Qwen3-4B-Thinking-2507"},
    "--data-dir data/raw": {"data_dir": "data/01_raw"},
    "--log-level DEBUG": {"log_level": "DEBUG"},
    "--num-epochs 1 --batch-size 1 --max-sequence-length 64": {
        "num_epochs": 1, "batch_size": 1, "max_sequence_length": 64,
    },
    "--enable-memory-profiling": {"enable_memory_profiling": True},
}  # fmt: skip
# The guide's settings in JSON, as one reads them in its order.
SETTINGS: list[dict[str, Any]] = [
    {"max_memory_gb": 8.0, "batch_size": 1, "gradient_accumulation_steps": 64, "max_sequence_length": 128, "lora_r": 4,
     "lora_alpha": 8, "gradient_checkpointing": True},
    {"dataloader_num_workers": 0, "dataloader_pin_memory": False, "remove_unused_columns": True},
    {"learning_rate": 1e-4, "lr_scheduler_type": "cosine_with_restarts", "warmup_ratio": 0.1},
    {"max_grad_norm": 1.0, "gradient_checkpointing": True},
    {"learning_rate": 3e-5, "weight_decay": 0.01, "warmup_ratio": 0.1},
    {"save_total_limit": 2, "save_strategy": "epoch", "save_only_model": True},
    {"tokenizer_kwargs": {"padding_side": "left", "truncation_side": "left"}},
    {"generation_config": {"max_new_tokens": 256, "temperature": 0.7, "top_p": 0.9, "repetition_penalty": 1.1,
                           "do_sample": True}},
    {"dataloader_num_workers": 4, "dataloader_pin_memory": True, "dataloader_prefetch_factor": 2},
    {"batch_size": 8, "gradient_accumulation_steps": 8, "max_sequence_length": 512},
    {"gradient_checkpointing": True, "optim": "paged_adamw_8bit", "fp16": False, "bf16": True},
]  # fmt: skip
# Its three names; in the guide they are imported from modules of `src`.
NAMES = ("MemoryOptimizer", "ModelManager", "DataPipeline")


@pytest.mark.parametrize("flags", CALLS)
def test_a_call_of_the_guide_means_these_parameters(project_dir: Path, tmp_path: Path, flags: str) -> None:
    """In a process of its own, with Kedro replaced by what shows the parameters that reach it."""
    (tmp_path / "kedro/framework/cli").mkdir(parents=True)
    for folder in ("kedro", "kedro/framework", "kedro/framework/cli"):
        (tmp_path / folder / "__init__.py").touch()
    (tmp_path / "kedro/framework/cli/cli.py").write_text(
        "import pathlib, sys, yaml, json\n"
        "class KedroCLI:\n"
        "    def __init__(self, project_path): pass\n"
        "    def main(self, args, prog_name):\n"
        "        print(json.dumps(yaml.safe_load(pathlib.Path(args[args.index('--config') + 1]).read_text())))\n",
        encoding="utf-8",
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, str(project_dir / "main.py"), *shlex.split(flags)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"run": {"params": CALLS[flags]}}
    build_groups(CALLS[flags])  # every value is within its limits


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: "+".join(settings))
def test_settings_of_the_guide_reach_the_stages_as_typed_values(settings: dict[str, Any]) -> None:
    groups = build_groups(settings)
    for name, value in settings.items():
        holders = [group[name] for group in groups.values() if name in group]
        assert holders
        for held in holders:
            if isinstance(value, dict):
                held = held if isinstance(held, dict) else held.model_dump()
                assert value.items() <= held.items()
            else:
                assert held == value


def test_uv_run_uses_the_same_environment(project_dir: Path) -> None:
    uv = Path(sys.executable).with_name("uv")
    assert uv.exists(), "make setup installs uv"
    code = "import sys, qwen_pipeline; print(sys.prefix)"
    environment = {**os.environ, "UV_OFFLINE": "1"}
    environment.pop("VIRTUAL_ENV", None)
    done = subprocess.run(
        [uv, "run", "python", "-c", code], cwd=project_dir, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).resolve() == Path(sys.prefix).resolve()
    assert not (project_dir / "uv.lock").exists()


def test_the_guides_allocator_setting_is_one_that_torch_knows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "max_split_size_mb:128")
    assert [finding.state for finding in allocator.check(Inspection(tmp_path))] == [State.OK]


def test_the_guides_names_are_there() -> None:
    import qwen_pipeline

    assert all(callable(getattr(qwen_pipeline, name)) for name in NAMES)


def test_nothing_in_the_guide_is_left_out_here(shared_dir: Path) -> None:
    text = (shared_dir / "troubleshooting_guide_zh.md").read_text(encoding="utf-8")
    called = re.findall(r"^uv run python main\.py *(.*)$", text, re.MULTILINE)
    assert set(called) == set(CALLS)
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    assert [block for block in blocks if block not in SETTINGS] == []
    assert set(re.findall(r"^from src\.\w+ import (\w+)$", text, re.MULTILINE)) == set(NAMES)
