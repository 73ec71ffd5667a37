"""The base model's folder and cache: whole, damaged in each way that people meet, or of another kind."""

import json
import shutil
from pathlib import Path

import pytest

from qwen_pipeline.doctor.checks import disk_space, memory, model_files
from qwen_pipeline.doctor.finding import Finding, Inspection, State
from qwen_pipeline.doctor.model_size import size_of_config, size_of_name

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 8000\n"
CONFIG = {
    "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": 2560, "num_hidden_layers": 36,
    "intermediate_size": 9728, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
    "vocab_size": 151936, "tie_word_embeddings": True,
}  # fmt: skip
HUB_ID = "Qwen/Qwen3-4B-Thinking-2507"


def write_model(folder: Path, **config: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**CONFIG, **config}))
    (folder / "tokenizer.json").write_text("{}")
    header = json.dumps({"w": {"dtype": "U8", "shape": [64], "data_offsets": [0, 64]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(64))
    return folder


def examine(folder: Path | str, tmp_path: Path) -> Finding:
    (finding,) = model_files.check(
        Inspection(tmp_path, {"train": {"model_name": str(folder)}}, system="Linux")
    )
    return finding


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    return tmp_path / "cache"


def test_a_whole_folder_is_fine_and_so_is_one_of_modelscope(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "hub/models/Qwen/Qwen3-4B")
    for name in (".mdl", ".msc", "configuration.json"):
        (folder / name).write_bytes(b"{}")
    assert examine(folder, tmp_path).state is State.OK
    assert examine("hub/models/Qwen/Qwen3-4B", tmp_path).state is State.OK


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_clone_without_lfs_is_told_with_the_git_command(name: str, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "clone")
    (folder / name).write_text(POINTER)
    finding = examine(folder, tmp_path)
    assert finding.state is State.ERROR
    assert "git-LFS pointer" in finding.fact
    assert "lfs pull" in finding.remedy


def test_a_weight_file_that_was_cut_short_is_told(tmp_path: Path) -> None:
    weights = write_model(tmp_path / "half") / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    finding = examine(weights.parent, tmp_path)
    assert finding.state is State.ERROR
    assert "only in part" in finding.fact
    assert "hf download" in finding.remedy


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "shards")
    shards = {"a": "model-1.safetensors", "b": "model-2.safetensors"}
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    finding = examine(folder, tmp_path)
    assert finding.state is State.ERROR
    assert "model-2.safetensors" in finding.fact


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_told(name: str, tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    (folder / name).unlink()
    assert examine(folder, tmp_path).state is State.ERROR


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"architectures": ["GemmaForCausalLM"], "model_type": "gemma"}, "GemmaForCausalLM"),
        ({"quantization_config": {"quant_method": "fp8"}}, "fp8"),
    ],
)
def test_another_kind_of_model_is_told_with_one_that_works(
    change: dict[str, object], told: str, tmp_path: Path
) -> None:
    finding = examine(write_model(tmp_path / "other", **change), tmp_path)
    assert finding.state is State.ERROR
    assert told in finding.fact
    assert "Qwen3" in finding.remedy


@pytest.mark.parametrize("name", ["./no-such-model", "dmeo"])
def test_a_name_that_leads_nowhere_is_told(name: str, tmp_path: Path) -> None:
    assert examine(name, tmp_path).state is State.ERROR


def test_a_half_download_in_the_hub_cache_is_told_with_the_command_that_goes_on(
    tmp_path: Path, cache: Path
) -> None:
    blobs = cache / "models--Qwen--Qwen3-4B-Thinking-2507/blobs"
    blobs.mkdir(parents=True)
    (blobs / "0123.incomplete").write_bytes(bytes(100))
    finding = examine(HUB_ID, tmp_path)
    assert finding.state is State.WARNING
    assert "goes on" in finding.fact
    assert finding.remedy == f".venv/bin/hf download {HUB_ID}"


def test_a_whole_model_in_the_hub_cache_is_fine_even_offline(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert examine(HUB_ID, tmp_path).state is State.ERROR
    write_model(cache / "models--Qwen--Qwen3-4B-Thinking-2507/snapshots/abc")
    assert examine(HUB_ID, tmp_path).state is State.OK


def test_the_size_from_the_configuration_is_that_of_the_real_model() -> None:
    size = size_of_config(CONFIG)
    assert size is not None
    assert size.linear + size.other == pytest.approx(4.02e9, rel=0.01)
    assert size_of_config({"model_type": "mamba"}) is None


@pytest.mark.parametrize(
    ("name", "billions"),
    [(HUB_ID, 4.0), ("Qwen/Qwen3-0.6B", 0.6), ("Qwen/Qwen2.5-14B-Instruct", 14.0), ("owner/tiny", None)],
)
def test_the_size_is_read_from_a_name(name: str, billions: float | None) -> None:
    size = size_of_name(name)
    assert (size and (size.linear + size.other) / 1e9) == (
        None if billions is None else pytest.approx(billions)
    )


@pytest.mark.parametrize(("cap", "state"), [(8.0, State.OK), (2.5, State.ERROR)])
def test_a_cap_below_the_weights_is_an_error_that_names_a_cap(
    cap: float, state: State, tmp_path: Path
) -> None:
    groups = {"train": {"model_name": str(write_model(tmp_path / "m")), "max_memory_gb": cap, "lora_r": 16}}
    (finding,) = memory.judge_cap(Inspection(tmp_path, groups), cap)
    assert finding.state is state
    assert state is State.OK or "max_memory_gb=" in finding.remedy


def test_merged_weights_and_the_download_count_as_needed_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_space, "free_disk_bytes", lambda path: 5 * 2**30)
    groups = {"train": {"model_name": HUB_ID, "lora_r": 16}, "export": {"export_formats": "adapter+merged"}}
    project, hub = disk_space.check(Inspection(tmp_path, groups))
    assert (project.state, hub.state) == (State.WARNING, State.WARNING)
    groups["export"]["export_formats"] = "adapter"
    project, hub = disk_space.check(Inspection(tmp_path, groups))
    assert (project.state, hub.state) == (State.OK, State.WARNING)
    assert "HF_HOME" in hub.remedy


def test_a_really_full_disk_is_an_error(tmp_path: Path) -> None:
    """The free space of this machine, against a model that is larger than it."""
    free = shutil.disk_usage(tmp_path).free
    layers = int(free / 2**30) * 20
    folder = write_model(tmp_path / "huge", num_hidden_layers=layers)
    (finding,) = disk_space.check(Inspection(tmp_path, {"train": {"model_name": str(folder)}}))
    assert finding.state is State.WARNING
    assert "export_formats=adapter" in finding.remedy
