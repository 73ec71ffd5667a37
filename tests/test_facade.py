"""The guide's own way in: three names, each part alone."""

import subprocess
import sys
from pathlib import Path

import pytest

from qwen_pipeline import DataPipeline, MemoryOptimizer, ModelManager
from qwen_pipeline.errors import DataError


def test_memory_is_read_in_gib() -> None:
    reading = MemoryOptimizer().monitor_gpu_memory()
    assert 0 < reading["host_resident_gib"] < 1000


def test_files_in_any_encoding_become_questions_and_answers(tmp_path: Path) -> None:
    (tmp_path / "faq.md").write_bytes("Q1: 显存不足怎么办？\nA1: 把批次大小降到一。\n".encode("gb18030"))
    rows = DataPipeline().load_qa_data_from_files(tmp_path)
    assert [(row["question"], row["answer"]) for row in rows] == [("显存不足怎么办？", "把批次大小降到一。")]
    assert rows[0]["source_line"] == 1


def test_the_guides_folder_name_means_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/01_raw").mkdir(parents=True)
    (tmp_path / "data/01_raw/faq.md").write_text("Q1: a?\nA1: b\n", encoding="utf-8")
    assert len(DataPipeline().load_qa_data_from_files("data/raw")) == 1
    (tmp_path / "data/raw").mkdir()
    with pytest.raises(DataError, match="data/raw holds no file"):
        DataPipeline().load_qa_data_from_files("data/raw")


def test_in_a_notebooks_folder_the_default_is_the_projects_and_a_named_folder_the_notebooks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.kedro]\n")
    for name in ("data/01_raw", "data/sample", "notebooks/mine"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "data/sample/faq.md").write_text("Q1: a?\nA1: samples\n", encoding="utf-8")
    (tmp_path / "notebooks/mine/faq.md").write_text("Q1: a?\nA1: mine\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path / "notebooks")
    load = DataPipeline().load_qa_data_from_files
    assert [row["answer"] for row in (*load(), *load("mine"))] == ["samples", "mine"]


def test_a_missing_folder_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nowhere"):
        DataPipeline().load_qa_data_from_files(tmp_path / "nowhere")


@pytest.mark.slow
def test_a_model_loads_in_four_bits_and_answers() -> None:
    model, tokenizer = ModelManager().load_model_with_quantization("demo")
    batch = tokenizer("测试", return_tensors="pt").to(model.device)
    out = model.generate(**batch, max_new_tokens=3, do_sample=False)
    assert out.shape[1] == batch["input_ids"].shape[1] + 3


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, qwen_pipeline; print([n for n in ('torch', 'transformers', 'kedro', 'mlflow') if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=_environment()
    )
    assert done.stdout.strip() == "[]"


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1] / "src")}
