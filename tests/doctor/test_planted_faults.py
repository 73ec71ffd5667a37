"""Faults planted one by one in a healthy project: the doctor names each, and none where none is planted."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

from qwen_pipeline.doctor.checks import (
    allocator,
    cuda,
    data_files,
    disk_space,
    hub,
    kernels,
    lock,
    memory,
    model_files,
    packages,
    python_version,
    quantization,
    tracking_store,
    write_permission,
)  # fmt: skip
from qwen_pipeline.doctor.examine import discover_checks, examine
from qwen_pipeline.doctor.finding import Finding, Inspection, State
from qwen_pipeline.doctor.machine import NvidiaDriver, TorchBuild
from qwen_pipeline.incremental.lock import project_lock

HUB_ID = "Qwen/Qwen3-4B-Thinking-2507"
CONFIG = {
    "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": 2560, "num_hidden_layers": 36,
    "intermediate_size": 9728, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128,
    "vocab_size": 151936, "tie_word_embeddings": True,
}  # fmt: skip
GEMMA = {**CONFIG, "architectures": ["GemmaForCausalLM"], "model_type": "gemma"}
VARIABLES = (
    "MLFLOW_TRACKING_URI", "PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "HF_ENDPOINT", "HF_HUB_OFFLINE",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy",
)  # fmt: skip


class Quantised:
    """Stands in for the process that quantises."""

    def __init__(self, **found: Any) -> None:
        self._found = found or {"version": "0.50.2", "device": "cpu", "relative_error": 0.09}

    def found(self) -> dict[str, Any]:
        return self._found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        pass


class Scene:
    """A healthy project in which a fault is planted."""

    def __init__(self, path: Path, patch: pytest.MonkeyPatch) -> None:
        self.path, self.patch = path, patch
        self.values: dict[str, Any] = {"model_name": "./model", "data_dir": "qa", "max_memory_gb": 8.0}
        self.options: dict[str, Any] = {"system": "Linux", "quantise": Quantised()}
        for name in VARIABLES:
            patch.delenv(name, raising=False)
        patch.setenv("XDG_CACHE_HOME", str(path / "cache"))
        patch.setenv("HF_HUB_CACHE", str(path / "hub"))
        self.card()
        self.lock("pytest")
        self.write("qa/faq.md", "Q1: 显存不足怎么办？\nA1: 把批次大小降到一。\n".encode("gbk"))
        header = json.dumps({"w": {"dtype": "U8", "shape": [64], "data_offsets": [0, 64]}}).encode()
        self.write("model/model.safetensors", len(header).to_bytes(8, "little") + header + bytes(64))
        self.write("model/config.json", json.dumps(CONFIG))
        self.write("model/tokenizer.json", "{}")

    def write(self, name: str, content: str | bytes) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)

    def mount_read_only(self) -> None:
        """The disk of everything, as far as it tells by its flags."""
        real = os.statvfs
        self.patch.setattr(os, "access", lambda path, mode: not mode & os.W_OK)
        self.patch.setattr(
            os, "statvfs", lambda path: os.statvfs_result((*real(path)[:8], os.ST_RDONLY, *real(path)[9:]))
        )

    def lock(self, package: str, version: str | None = None) -> None:
        from importlib.metadata import version as installed

        self.write("requirements.lock", f"{package}=={version or installed(package)} \\\n")

    def card(self, cuda: Any = (13, 0), driver: str | None = "580.95", capability: Any = (8, 9)) -> None:
        build = TorchBuild("2.13.0", cuda)
        found = driver and NvidiaDriver(driver, "RTX 4060", capability, 12 * 2**30, 11 * 2**30)
        self.patch.setattr("qwen_pipeline.doctor.checks.cuda.read_torch_build", lambda: build)
        self.patch.setattr("qwen_pipeline.doctor.checks.cuda.read_driver", lambda: found)
        self.patch.setattr("qwen_pipeline.doctor.checks.memory.read_driver", lambda: found)

    def kernels_lack(self, *names: str) -> None:
        """A card whose kernels cannot be compiled."""
        checks = "qwen_pipeline.doctor.checks.kernels"
        self.patch.setattr(f"{checks}.read_torch_build", lambda: TorchBuild("2.13.0", (13, 0)))
        self.patch.setattr(f"{checks}.read_driver", lambda: NvidiaDriver("580.95", "a card", (8, 9), 1, 1))
        self.patch.setattr(f"{checks}.find_missing", lambda: list(names))

    def remote(self, **variables: str) -> None:
        self.values["model_name"] = HUB_ID
        for name, value in variables.items():
            self.patch.setenv(name, value)

    def inspection(self) -> Inspection:
        return Inspection(self.path, {"train": self.values}, **self.options)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(tmp_path, monkeypatch)


def half_weights(scene: Scene) -> None:
    weights = scene.path / "model/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])


def missing_shard(scene: Scene) -> None:
    shards = {"a": "model.safetensors", "b": "model-2.safetensors"}
    scene.write("model/model.safetensors.index.json", json.dumps({"weight_map": shards}))


def unreadable_data(scene: Scene) -> None:
    scene.patch.setattr(data_files, "_can_read", lambda path: False)  # an administrator may read everything


def busy_card(scene: Scene) -> None:
    found = NvidiaDriver("580.95", "RTX 4060", (8, 9), 12 * 2**30, 2**30)
    scene.patch.setattr(memory, "read_driver", lambda: found)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 8000\n"
NOWHERE = "http://127.0.0.1:9"
Plant = Callable[[Scene], Any]
# What is planted; the check that finds it; what its finding says; how to plant it.
FAULTS: list[tuple[str, Any, str, Plant]] = [
    ("old Python", python_version, "3.9", lambda s: s.options.update(python_version=(3, 9))),
    ("wrong version", packages, "instead of 4.40.0", lambda s: s.lock("transformers", "4.40.0")),
    ("missing package", packages, "not-there", lambda s: s.lock("surely-not-there", "1.0")),
    ("no lock file", packages, "missing", lambda s: (s.path / "requirements.lock").unlink()),
    ("old driver", cuda, "535.161", lambda s: s.card(driver="535.161.07")),
    ("CPU build beside a card", cuda, "CPU build", lambda s: s.card(cuda=None)),
    ("CUDA build without driver", cuda, "no NVIDIA driver", lambda s: s.card(driver=None)),
    ("no C compiler for a card's kernels", kernels, "no compiler", lambda s: s.kernels_lack("compiler")),
    ("card too old", cuda, "below 7.5", lambda s: s.card(capability=(6, 1))),
    ("no bitsandbytes", quantization, "No module", lambda s: s.options.update(quantise=Quantised(failure="No module named 'bitsandbytes'"))),
    ("no kernel for the card", quantization, "no kernel", lambda s: s.options.update(quantise=Quantised(failure="no kernel image"))),
    ("bitsandbytes errs", quantization, "broken", lambda s: s.options.update(quantise=Quantised(version="0.50.2", device="cuda", relative_error=float("nan")))),
    ("cap below the weights", memory, "max_memory_gb=2", lambda s: s.values.update(max_memory_gb=2.0)),
    ("card in use", memory, "1.0 of 12.0 GiB free", busy_card),
    ("scarce host memory", memory, "needed", lambda s: s.patch.setattr(memory, "LEAST_HOST_BYTES", 2**60)),
    ("LFS pointer", model_files, "git-LFS pointer", lambda s: s.write("model/model.safetensors", POINTER)),
    ("half weights", model_files, "only in part", half_weights),
    ("missing shard", model_files, "model-2.safetensors", missing_shard),
    ("missing tokenizer", model_files, "tokenizer", lambda s: (s.path / "model/tokenizer.json").unlink()),
    ("damaged configuration", model_files, "config.json", lambda s: s.write("model/config.json", '{"arch')),
    ("other architecture", model_files, "Gemma", lambda s: s.write("model/config.json", json.dumps(GEMMA))),
    ("misspelt model", model_files, "dmeo", lambda s: s.values.update(model_name="dmeo")),
    ("half download", model_files, "in part", lambda s: (s.remote(), s.write(f"hub/models--{HUB_ID.replace('/', '--')}/blobs/1.incomplete", b"0"))),
    ("offline without the model", model_files, "HF_HUB_OFFLINE", lambda s: s.remote(HF_HUB_OFFLINE="1")),
    ("dead mirror", hub, NOWHERE, lambda s: s.remote(HF_ENDPOINT=NOWHERE)),
    ("dead proxy", hub, "through the proxy 127.0.0.1:9", lambda s: s.remote(HF_ENDPOINT="http://hub.example", http_proxy=NOWHERE)),
    ("proxy without a protocol", hub, "names no protocol", lambda s: s.remote(https_proxy="proxy.example:8080")),
    ("little disk", disk_space, "0.1 GiB free", lambda s: s.patch.setattr(disk_space, "free_disk_bytes", lambda path: 2**30 // 10)),
    ("missing data folder", data_files, "does not exist", lambda s: s.values.update(data_dir="nowhere")),
    ("empty data folder", data_files, "holds no file", lambda s: (s.path / "qa/faq.md").unlink()),
    ("no question in the data", data_files, "no question", lambda s: s.write("qa/faq.md", "It rained all day.\nThen it stopped.\n")),
    ("unreadable data", data_files, "no right", unreadable_data),
    ("unwritable folder", write_permission, "data/06_models", lambda s: s.write("data/06_models", "a file in the way")),
    ("read-only disk", write_permission, "mounted read-only", lambda s: s.mount_read_only()),
    ("unwritable demo cache", write_permission, "demo model", lambda s: (s.values.update(model_name="demo"), s.write("cache", "a file in the way"))),
    ("damaged store", tracking_store, "not a SQLite", lambda s: s.write("mlflow.db", b"no" * 500)),
    ("unwritable store", tracking_store, "cannot be written", lambda s: (s.write("file", ""), s.patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{s.path}/file/mlflow.db"))),
    ("wrong allocator option", allocator, "max_split_size", lambda s: s.patch.setenv("PYTORCH_CUDA_ALLOC_CONF", "max_split_size:128")),
]  # fmt: skip


def faults_of(findings: Any) -> list[Finding]:
    return [finding for finding in findings if finding.state is not State.OK]


def test_a_healthy_machine_has_no_finding(scene: Scene) -> None:
    findings = list(examine(scene.inspection()))
    assert faults_of(findings) == []
    assert "显存不足怎么办" in str(findings)  # the sample that was decoded


@pytest.mark.parametrize(
    ("check", "told", "plant"), [fault[1:] for fault in FAULTS], ids=[f[0] for f in FAULTS]
)
def test_a_planted_fault_is_found_with_its_remedy(check: Any, told: str, plant: Plant, scene: Scene) -> None:
    plant(scene)
    found = faults_of(check.check(scene.inspection()))
    assert any(told in finding.fact and finding.remedy for finding in found), found


def test_no_right_is_asked_for_on_a_disk_that_is_mounted_read_only(scene: Scene) -> None:
    scene.mount_read_only()
    for check in (write_permission, tracking_store):
        assert [
            finding.remedy.partition(" ")[0] for finding in faults_of(check.check(scene.inspection()))
        ] == ["mount"]


def test_a_run_in_progress_is_found(scene: Scene) -> None:
    with project_lock(scene.path / lock.LOCK):
        assert str(os.getpid()) in faults_of(lock.check(scene.inspection()))[0].fact


def test_every_check_has_a_planted_fault_and_there_are_more_than_twenty() -> None:
    assert {fault[1] for fault in FAULTS} | {lock} == set(discover_checks())
    assert len({fault[0] for fault in FAULTS}) == len(FAULTS) > 20


FULL_DISK = """
mount -t tmpfs -o size=64k tmpfs data && exec "$@"
"""
EXAMINE = """
from pathlib import Path
from qwen_pipeline.doctor.checks import disk_space
from qwen_pipeline.doctor.finding import Inspection
print(*disk_space.check(Inspection(Path.cwd(), {"train": {"model_name": "demo"}})))
"""


def test_a_full_file_system_is_found(tmp_path: Path, project_dir: Path) -> None:
    """A real one of 64 KiB, in a namespace of its own."""
    (tmp_path / "data").mkdir()
    namespace = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*namespace, FULL_DISK, "sh", "true"], cwd=tmp_path).returncode
    ):
        pytest.skip("this machine lets nobody mount a small file system; the stand-in above is tested")
    done = subprocess.run(
        [*namespace, FULL_DISK, "sh", sys.executable, "-c", EXAMINE],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(project_dir / "src")}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "State.ERROR" in done.stdout
    assert "0.0 GiB free" in done.stdout
