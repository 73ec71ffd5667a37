"""The raw files as ingest would see them: encodings, the first question, and what cannot be used."""

import os
from pathlib import Path

import pytest

from qwen_pipeline.doctor.checks import data_files, lock
from qwen_pipeline.doctor.finding import Finding, Inspection, State
from qwen_pipeline.incremental.lock import project_lock


def examine(tmp_path: Path, data_dir: str = "qa") -> list[Finding]:
    return list(data_files.check(Inspection(tmp_path, {"ingest": {"data_dir": data_dir}})))


def write(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / "qa" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def test_a_gbk_file_is_decoded_and_its_first_question_shown(tmp_path: Path) -> None:
    write(tmp_path, "faq.md", "Q1: 显存不足怎么办？\nA1: 把批次大小降到一。\n".encode("gbk"))
    (finding,) = examine(tmp_path)
    assert finding.state is State.OK
    assert "显存不足怎么办" in finding.fact
    assert "gb" in finding.fact.lower()


def test_a_file_instead_of_a_folder_is_looked_at(tmp_path: Path) -> None:
    write(tmp_path, "faq.md", "Q1: 显存不足怎么办？\nA1: 把批次大小降到一。\n".encode("gbk"))
    (finding,) = examine(tmp_path, "qa/faq.md")
    assert finding.state is State.OK
    assert "1 file(s)" in finding.fact


def test_a_large_file_is_judged_by_its_beginning(tmp_path: Path) -> None:
    row = '{"question": "Why is the sky blue?", "answer": "Light scatters."}\n'
    write(tmp_path, "big.jsonl", (row * 40_000).encode())
    (finding,) = examine(tmp_path)
    assert finding.state is State.OK
    pairs = int(finding.fact.partition(" pairs")[0].rpartition(" ")[2])
    assert 1_000 < pairs < 40_000


def test_the_empty_default_means_the_samples(tmp_path: Path) -> None:
    (finding,) = examine(tmp_path, "data/01_raw")
    assert finding.state is State.OK
    assert "samples" in finding.fact


@pytest.mark.parametrize("exists", [True, False])
@pytest.mark.parametrize("name", ["qa", "mydata/01_raw"])
def test_a_named_folder_that_is_missing_or_empty_is_an_error(name: str, exists: bool, tmp_path: Path) -> None:
    if exists:
        (tmp_path / name).mkdir(parents=True)
    (finding,) = examine(tmp_path, name)
    assert finding.state is State.ERROR
    assert f"mkdir -p {name}," in finding.remedy


def test_text_without_a_pair_is_an_error_that_shows_the_form(tmp_path: Path) -> None:
    write(tmp_path, "diary.txt", b"It rained all day.\nThen it stopped.\n")
    (finding,) = examine(tmp_path)
    assert finding.state is State.ERROR
    assert "Q1:" in finding.remedy


def test_a_file_that_gives_nothing_beside_one_that_does_is_a_warning(tmp_path: Path) -> None:
    write(tmp_path, "a.md", b"Q1: What is LoRA?\nA1: A low-rank adapter.\n")
    write(tmp_path, "b.jsonl", b'{"question": "Why?", "answer": ""}\n')
    good, bad = examine(tmp_path)
    assert good.state is State.OK
    assert bad.state is State.WARNING
    assert "b.jsonl" in bad.fact


def test_a_file_that_may_not_be_read_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "secret.md", b"Q1: a\nA1: b\n")
    (tmp_path / "qa/secret.md").chmod(0)
    if os.access(tmp_path / "qa/secret.md", os.R_OK):  # an administrator may read everything
        monkeypatch.setattr(data_files, "_can_read", lambda path: False)
    (finding,) = examine(tmp_path)
    assert finding.state is State.ERROR
    assert "chmod" in finding.remedy


def test_a_run_in_progress_is_told_with_its_process_and_gone_when_it_ends(tmp_path: Path) -> None:
    path = tmp_path / lock.LOCK
    with project_lock(path):
        (finding,) = lock.check(Inspection(tmp_path, system="Linux"))
        assert finding.state is State.WARNING
        assert f"kill -INT {os.getpid()}" in finding.remedy
    (finding,) = lock.check(Inspection(tmp_path))
    assert finding.state is State.OK
