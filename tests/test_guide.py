"""The guide that people follow today: each of its commands, settings and snippets that this system answers works here.

What is listed here is the guide's own text, so that the test means something without it; where the guide lies
beside the checkout, the lists are held against every code block of it.
"""

import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from end_to_end.project import copy_project
from qwen_pipeline.params.merge import build_groups, flatten_layer, merge_layers

PROJECT = Path(__file__).resolve().parents[1]

# A command line of the guide, and the typed values that its run has.
COMMANDS: dict[str, dict[str, Any]] = {
    "uv run python main.py --batch-size 1 --gradient-accumulation-steps 64": {"batch_size": 1, "gradient_accumulation_steps": 64},
    "uv run python main.py --max-sequence-length 128": {"max_sequence_length": 128},
    "uv run python main.py --max-memory-gb 8": {"max_memory_gb": 8.0},
    "uv run python main.py --enable-memory-monitoring": {"enable_memory_monitoring": True},
    "uv run python main.py --model-name ./Qwen3-4B-Thinking-2507": {"model_name": "./Qwen3-4B-Thinking-2507"},
    "uv run python main.py --data-dir data/raw": {"data_dir": "data/01_raw"},
    "uv run python main.py --log-level DEBUG": {"log_level": "DEBUG"},
    "uv run python main.py --num-epochs 1 --batch-size 1 --max-sequence-length 64": {"num_epochs": 1, "batch_size": 1, "max_sequence_length": 64},
    "uv run python main.py --enable-memory-profiling": {"enable_memory_profiling": True},
}  # fmt: skip

# The guide's JSON, as it is given to `main.py --config`.
SETTINGS: list[dict[str, Any]] = [
    {"max_memory_gb": 8.0, "batch_size": 1, "gradient_accumulation_steps": 64,
     "max_sequence_length": 128, "lora_r": 4, "lora_alpha": 8, "gradient_checkpointing": True},
    {"dataloader_num_workers": 0, "dataloader_pin_memory": False, "remove_unused_columns": True},
    {"learning_rate": 1e-4, "lr_scheduler_type": "cosine_with_restarts", "warmup_ratio": 0.1},
    {"max_grad_norm": 1.0, "gradient_checkpointing": True},
    {"learning_rate": 3e-5, "weight_decay": 0.01, "warmup_ratio": 0.1},
    {"save_total_limit": 2, "save_strategy": "epoch", "save_only_model": True},
    {"tokenizer_kwargs": {"padding_side": "left", "truncation_side": "left"}},
    {"generation_config": {"max_new_tokens": 256, "temperature": 0.7, "top_p": 0.9, "repetition_penalty": 1.1, "do_sample": True}},
    {"dataloader_num_workers": 4, "dataloader_pin_memory": True, "dataloader_prefetch_factor": 2},
    {"batch_size": 8, "gradient_accumulation_steps": 8, "max_sequence_length": 512},
    {"gradient_checkpointing": True, "optim": "paged_adamw_8bit", "fp16": False, "bf16": True},
]  # fmt: skip

# Commands of the guide that nobody has to type any more, or that the machine answers, and what is there instead.
INSTEAD = {
    "python -c": "empty_cache_steps; kedro doctor --report",
    "uv run python -c": "kedro doctor --report",
    "pkill": "kedro doctor names the process", "watch": "enable_memory_monitoring",
    "nvidia-smi": "kedro doctor", "export HTTP_PROXY": "kept by the hub client; kedro doctor asks through it",
    "export HTTPS_PROXY": "the same", "export HF_ENDPOINT": "the same",
    "export PYTORCH_CUDA_ALLOC_CONF": "kedro doctor checks its options",
    "export TRANSFORMERS_VERBOSITY": "log_level", "export DATASETS_VERBOSITY": "log_level",
    "git": "a model folder, its pointers recognised", "pip": "make setup, pinned", "uv sync": "make setup, pinned",
    "uv python": "make PYTHON=…", "rm": "kedro prune", "find": "save_total_limit", "ls": "kedro doctor looks at data_dir",
    "sudo": "kedro doctor says it for this platform", "echo": "data stages stream: no swap",
    "file": "the encoding is found by span", "iconv": "the same",
}  # fmt: skip

# The guide's Python, by a line that only that block has: run below, or what is there instead.
SNIPPETS = {
    "gc.collect()": "empty_cache_steps",
    "AutoConfig.from_pretrained": "run below", "param.grad.norm()": "gradient_norm in MLflow",
    "tokenizer.pad_token = tokenizer.eos_token": "set by itself, never to a trained token",
    'model = model.to("cuda")': "one device everywhere", "PeftModel.from_pretrained": "kedro chat --model tuned",
    "<|im_start|>assistant": "the model's own template", "sys.version_info": "run below",
    "MemoryOptimizer()": "run below", "minimal_reproduce.py": "kedro doctor --report", "iconv -f gbk": "by itself",
}  # fmt: skip

STEP_BY_STEP = """
from qwen_pipeline import MemoryOptimizer
from qwen_pipeline import ModelManager
from qwen_pipeline import DataPipeline

optimizer = MemoryOptimizer()
print(optimizer.monitor_gpu_memory())

manager = ModelManager()
model, tokenizer = manager.load_model_with_quantization(MODEL)

pipeline = DataPipeline()
data = pipeline.load_qa_data_from_files(DATA)
"""


def load_main() -> Any:
    specification = importlib.util.spec_from_file_location("guide_main", PROJECT / "main.py")
    assert specification
    assert specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


MAIN = load_main()


def values_of(arguments: list[str]) -> dict[str, Any]:
    """The validated values that a run with these flags has, over those of conf/base."""
    import yaml

    parameters = MAIN.read_parameters(MAIN.build_parser().parse_args(arguments))
    base = yaml.safe_load((PROJECT / "conf/base/parameters.yml").read_text(encoding="utf-8"))
    layers = [flatten_layer(base, "conf/base"), flatten_layer(parameters, "--params")]
    groups = build_groups(merge_layers(layers))
    return {name: value for group in groups.values() for name, value in group.items()}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_line_of_the_guide_is_a_valid_run(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # there is no data/raw: the guide's word for the default
    words = shlex.split(command)
    assert words[:4] == ["uv", "run", "python", "main.py"]
    values = values_of(words[4:])
    assert {name: values[name] for name in COMMANDS[command]} == COMMANDS[command]


@pytest.mark.parametrize("settings", SETTINGS, ids=[", ".join(one) for one in SETTINGS])
def test_settings_of_the_guide_are_taken_as_they_stand(settings: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(settings), encoding="utf-8")
    values = values_of(["--config", str(path)])
    for name, value in settings.items():
        if isinstance(value, dict):
            assert {key: values[name][key] for key in value} == value
        else:
            assert values[name] == value


def uv() -> str:
    found = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if found is None:
        pytest.skip("uv is not installed here; make setup puts it into .venv")
    return found


@pytest.mark.slow
def test_uv_run_takes_the_environment_of_the_project(tmp_path: Path) -> None:
    """The guide's line for missing data, as it stands, in a fresh project: the samples are read."""
    program, project = uv(), copy_project(tmp_path / "project")
    (project / ".venv").symlink_to(sys.prefix)
    environment = {
        name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}
    }
    done = subprocess.run(
        [program, "run", "python", "main.py", "--data-dir", "data/raw", "--pipeline", "ingest"],
        cwd=project, env={**environment, "DO_NOT_TRACK": "1"}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "bundled samples" in " ".join(done.stdout.split())
    assert list((project / "data/02_intermediate").glob("ingested_examples.parquet/*"))
    assert not (project / "uv.lock").exists()


@pytest.mark.slow
def test_the_parts_are_tried_one_by_one_as_the_guide_does(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"MODEL": "demo", "DATA": PROJECT / "data/sample"}
    exec(STEP_BY_STEP, names)
    assert "host_resident_gib" in capsys.readouterr().out
    assert names["model"].is_loaded_in_4bit
    assert names["tokenizer"].pad_token != names["tokenizer"].eos_token
    assert len(names["data"]) > 100


def test_the_guides_look_at_a_models_configuration_works(tmp_path: Path) -> None:
    from transformers import AutoConfig

    config = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    read = AutoConfig.from_pretrained(tmp_path)
    assert (read.model_type, read.architectures) == ("qwen3", ["Qwen3ForCausalLM"])
    assert sys.version_info >= (3, 9)


def blocks(guide: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", guide, re.MULTILINE | re.DOTALL)


def commands_of(guide: str) -> list[str]:
    """Commands of the guide's shell blocks; what stands between quotes over several lines is one command."""
    text = "\n".join(blocks(guide, "bash"))
    text = re.sub(r'-c "\n.*?\n"', '-c ""', text, flags=re.DOTALL)
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_nothing_of_the_guide_is_left_out(shared_dir: Path) -> None:
    guide = (shared_dir / "troubleshooting_guide_zh.md").read_text(encoding="utf-8")
    commands = commands_of(guide)
    assert len(commands) > 40
    left_out = [one for one in commands if one not in COMMANDS and not one.startswith(tuple(INSTEAD))]
    assert left_out == []
    assert set(COMMANDS) <= set(commands)
    assert [json.loads(block) for block in blocks(guide, "json")] == SETTINGS
    unknown = [block for block in blocks(guide, "python") if not any(line in block for line in SNIPPETS)]
    assert unknown == []
    assert [line for line in SNIPPETS if line not in guide] == []
