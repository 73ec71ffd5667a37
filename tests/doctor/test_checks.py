"""Each planted fault is found by its check, with a remedy; a healthy machine has none."""

import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from qwen_pipeline.doctor import examine as examine_module
from qwen_pipeline.doctor.checks import (
    allocator,
    cuda,
    disk_space,
    kernels,
    memory,
    packages,
    python_version,
    quantization,
    tracking_store,
    write_permission,
)
from qwen_pipeline.doctor.examine import discover_checks, examine, exit_code
from qwen_pipeline.doctor.finding import Finding, Inspection, State
from qwen_pipeline.doctor.machine import NvidiaDriver, TorchBuild, read_torch_build
from qwen_pipeline.doctor.quantise import quantise

CUDA_BUILD = TorchBuild("2.13.0+cu130", (13, 0))
CPU_BUILD = TorchBuild("2.13.0+cpu", None)
ROCM_BUILD = TorchBuild("2.13.0+rocm7.0", None, "7.0.51831")


def driver(version: str = "580.95.05", capability: tuple[int, int] = (8, 9)) -> NvidiaDriver:
    return NvidiaDriver(version, "NVIDIA GeForce RTX 4060", capability, 8 * 2**30, 7 * 2**30)


def one(findings: object) -> Finding:
    found = list(findings)  # type: ignore[call-overload]
    assert len(found) == 1
    return found[0]


def test_a_healthy_project_has_no_error(
    tmp_path: Path, project_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    findings = list(examine(Inspection(project_dir, {"train": {"model_name": "demo"}})))
    assert [f for f in findings if f.state is State.ERROR] == []
    assert exit_code(findings) == 0


@pytest.mark.parametrize(("version", "told"), [((3, 9), "3.9 is too old"), ((3, 15), "3.15 is too new")])
def test_a_python_of_another_age_is_an_error_with_an_install_command(
    version: tuple[int, int], told: str, tmp_path: Path
) -> None:
    finding = one(python_version.check(Inspection(tmp_path, system="Linux", python_version=version)))
    assert finding.state is State.ERROR and told in finding.fact
    assert "apt install python3" in finding.remedy


def test_a_package_of_another_version_is_named_with_both_versions(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text("transformers==4.40.0 \\\n    --hash=sha256:0\n")
    finding = one(packages.check(Inspection(tmp_path)))
    assert finding.state is State.ERROR
    assert "instead of 4.40.0" in finding.fact


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text("surely-not-installed==1.0 \\\n")
    finding = one(packages.check(Inspection(tmp_path)))
    assert finding.state is State.WARNING
    assert "surely-not-installed" in finding.fact


def test_a_pin_for_another_platform_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text(
        "surely-not-installed==1.0 ; sys_platform == 'never' \\\n    --hash=sha256:0\npytest==1.0\n"
    )
    assert list(packages.read_pins(tmp_path / "requirements.lock")) == ["pytest"]


def test_a_missing_lock_file_is_told(tmp_path: Path) -> None:
    assert one(packages.check(Inspection(tmp_path))).state is State.WARNING


def test_an_old_driver_is_an_error_with_the_version_that_is_needed() -> None:
    finding = cuda.judge(CUDA_BUILD, driver("535.161.07"), "Linux")
    assert finding.state is State.ERROR
    assert "580" in finding.fact
    assert "nvidia-driver-580" in finding.remedy


def test_several_cards_are_told_with_the_parameter_that_uses_them() -> None:
    finding = cuda.judge(CUDA_BUILD, replace(driver(), cards=2), "Linux")
    assert finding.state is State.OK
    assert "num_processes=2 trains on all 2 cards" in finding.fact
    assert "num_processes" not in cuda.judge(CUDA_BUILD, driver(), "Linux").fact


def test_a_cpu_build_beside_a_card_is_told() -> None:
    finding = cuda.judge(CPU_BUILD, driver(), "Linux")
    assert finding.state is State.WARNING
    assert "CPU build" in finding.fact


def test_a_cuda_build_without_a_driver_is_told() -> None:
    assert cuda.judge(CUDA_BUILD, None, "Linux").state is State.WARNING


def test_a_card_too_old_for_the_build_is_an_error() -> None:
    assert cuda.judge(CUDA_BUILD, driver(capability=(6, 1)), "Linux").state is State.ERROR


def test_torch_that_cannot_be_imported_is_an_error() -> None:
    assert cuda.judge(None, driver(), "Linux").state is State.ERROR


def test_a_torch_for_amd_is_called_what_it_is() -> None:
    finding = cuda.judge(ROCM_BUILD, None, "Linux")
    assert finding.state is State.WARNING
    assert "AMD's ROCm 7.0" in finding.fact


@pytest.mark.parametrize(("build", "card"), [(CPU_BUILD, None), (CUDA_BUILD, driver())])
def test_matching_build_and_driver_are_fine(build: TorchBuild, card: NvidiaDriver | None) -> None:
    assert cuda.judge(build, card, "Linux").state is State.OK


def test_bitsandbytes_that_returns_garbage_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import bitsandbytes
    import torch

    monkeypatch.setattr(
        bitsandbytes.functional, "dequantize_4bit", lambda packed, state: torch.zeros(256, 256)
    )
    finding = quantization.judge(quantise(), "pip install bitsandbytes")
    assert finding.state is State.ERROR
    assert "100% off" in finding.fact
    assert "bitsandbytes" in finding.remedy


def test_bitsandbytes_that_works_says_how_much_four_bits_round() -> None:
    finding = quantization.judge({"version": "0.50.2", "device": "cpu", "relative_error": 0.092}, "")
    assert finding.state is State.OK
    assert "rounding error 9.2%" in finding.fact


def test_bitsandbytes_that_raises_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    import bitsandbytes

    def refuse(*args: object, **kwargs: object) -> None:
        raise RuntimeError("no kernel image")

    monkeypatch.setattr(bitsandbytes.functional, "quantize_4bit", refuse)
    assert "no kernel image" in quantization.judge(quantise(), "").fact


def test_a_driver_that_makes_torch_raise_is_not_blamed_on_bitsandbytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import torch

    def refuse() -> bool:
        raise RuntimeError("CUDA unknown error")

    monkeypatch.setattr(torch.cuda, "is_available", refuse)
    finding = quantization.judge(quantise(), "pip install bitsandbytes")
    assert (finding.state, finding.fact) == (State.ERROR, "torch cannot ask for a card: CUDA unknown error")
    assert "nvidia-smi" in finding.remedy and "bitsandbytes" not in finding.remedy


@pytest.mark.parametrize(
    ("library", "told"),
    [
        ("raise OSError('libcudart.so.13: cannot open shared object file')", "libcudart.so.13"),
        ("import os; os.abort()", "ends the process"),
    ],
)
def test_bitsandbytes_that_cannot_be_loaded_or_dies_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, library: str, told: str
) -> None:
    (tmp_path / "bitsandbytes.py").write_text(library, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    finding = one(quantization.check(Inspection(tmp_path)))
    assert finding.state is State.ERROR
    assert told in finding.fact
    assert "bitsandbytes>=" in finding.remedy


def test_torch_is_read_from_its_files_as_it_says_of_itself() -> None:
    import torch

    build = read_torch_build()
    assert build is not None
    assert build.version == torch.__version__
    assert (build.cuda is None) == (torch.version.cuda is None)


@pytest.mark.parametrize(
    ("free_gib", "model", "state"),
    [(0.5, "demo", State.ERROR), (5, "demo", State.OK), (5, "./no-such", State.WARNING)],
)
def test_free_space_is_held_against_what_the_model_needs(
    free_gib: float, model: str, state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_space, "free_disk_bytes", lambda path: int(free_gib * 2**30))
    assert one(disk_space.check(Inspection(tmp_path, {"train": {"model_name": model}}))).state is state


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_permission, "is_writable", lambda path: path.name != "06_models")
    finding = one(write_permission.check(Inspection(tmp_path, system="Linux")))
    assert finding.state is State.ERROR
    assert "data/06_models" in finding.fact
    assert "chown" in finding.remedy


def test_a_user_without_a_home_folder_is_told_to_name_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 12345)  # nobody in the list of users has it
    finding = list(write_permission.check(Inspection(tmp_path, system="Linux")))[-1]
    assert finding.state is State.ERROR
    assert "HOME=" in finding.remedy


def test_a_file_where_a_folder_belongs_is_moved_away(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/02_intermediate").write_text("x")
    finding = one(write_permission.check(Inspection(tmp_path, system="Linux")))
    assert "is a file" in finding.fact
    assert finding.remedy == "mv data/02_intermediate data/02_intermediate.old"


def test_a_damaged_store_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "mlflow.db").write_bytes(b"not a database" * 100)
    assert one(tracking_store.check(Inspection(tmp_path))).state is State.WARNING


def test_a_sound_store_is_fine_and_a_remote_one_shows_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with sqlite3.connect(tmp_path / "mlflow.db") as connection:
        connection.execute("create table runs (id text)")
    assert one(tracking_store.check(Inspection(tmp_path))).state is State.OK
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:secret@tracking.example/")
    finding = one(tracking_store.check(Inspection(tmp_path)))
    assert "secret" not in finding.fact
    assert "tracking.example" in finding.fact


def test_an_unknown_allocator_option_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "max_split_size:128")
    assert one(allocator.check(Inspection(tmp_path))).state is State.WARNING
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "max_split_size_mb:128")
    assert one(allocator.check(Inspection(tmp_path))).state is State.OK


def test_a_check_that_breaks_is_a_finding_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(inspection: Inspection) -> list[Finding]:
        raise KeyError("lost")

    monkeypatch.setattr(python_version, "check", broken)
    monkeypatch.setattr(examine_module, "discover_checks", lambda: [python_version, allocator])
    findings = list(examine(Inspection(tmp_path)))
    assert findings[0].state is State.ERROR
    assert len(findings) > 1
    assert exit_code(findings) == 1


def test_every_check_is_discovered_once_in_a_fixed_order() -> None:
    orders = [module.ORDER for module in discover_checks()]
    assert orders == sorted(set(orders))
    assert len(orders) >= 8


def test_a_card_with_too_little_free_memory_gets_a_cap_that_fits() -> None:
    finding = memory.judge_card(5 * 2**30, 8 * 2**30, cap_gib=8)
    assert finding.state is State.WARNING
    assert "max_memory_gb=5" in finding.remedy
    assert memory.judge_card(8 * 2**30, 12 * 2**30, cap_gib=8).state is State.OK


def test_scarce_host_memory_of_a_container_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory_bytes", lambda: 2**30)
    finding = next(iter(memory.check(Inspection(tmp_path))))
    assert (finding.state, finding.fact) == (State.WARNING, "host: 1.0 GiB available, about 3 needed")
    assert "give a container more" in finding.remedy


@pytest.mark.parametrize(("grows", "told"), [(True, "expandable segments"), (False, "as Windows wants them")])
def test_the_segments_that_training_takes_are_told(
    grows: bool, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in allocator.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(allocator, "has_expandable_segments", lambda: grows)
    assert told in one(allocator.check(Inspection(tmp_path))).fact


def test_what_the_kernels_of_a_card_lack_is_told_with_how_to_get_it() -> None:
    assert kernels.judge([], "Linux").state is State.OK
    finding = kernels.judge(["compiler", "headers"], "Linux")
    assert finding.state is State.WARNING
    assert finding.remedy == "sudo apt install gcc && sudo apt install python3-dev"
    assert "triton-windows" in kernels.judge(["triton"], "Windows").remedy
    assert kernels.judge(["compiler", "headers"], "Windows").state is State.OK
    assert kernels.judge(["triton", "compiler"], "Windows").fact.startswith("no triton for")


def test_without_a_card_nothing_is_said_of_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "read_torch_build", lambda: CUDA_BUILD)
    monkeypatch.setattr(kernels, "read_driver", lambda: None)
    assert not list(kernels.check(Inspection(tmp_path)))
    monkeypatch.setattr(kernels, "read_driver", driver)
    monkeypatch.setattr(kernels.shutil, "which", lambda name: None)
    assert "compiler" in one(kernels.check(Inspection(tmp_path))).fact
