"""The user's files, or the samples."""

import json
import os

import pytest
from kedro.io import DatasetError

from qwen_pipeline.datasets.raw_files import RawFilesDataset
from qwen_pipeline.errors import DataError


@pytest.fixture
def folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # outside of a Kedro project the working directory is the root
    default, samples = tmp_path / "data/01_raw", tmp_path / "data/sample"
    default.mkdir(parents=True)
    samples.mkdir()
    (samples / "s.md").write_text("Q1: a?\nA1: b\n")
    return default, samples


def test_the_empty_default_gives_the_samples_with_one_warning(folders, caplog):
    default, samples = folders
    (default / ".gitkeep").touch()
    loaded = RawFilesDataset(path=str(default), sample_path=str(samples)).load()
    assert list(loaded) == ["s.md"]
    assert len([record for record in caplog.records if record.levelname == "WARNING"]) == 1


@pytest.mark.parametrize("made", [True, False])
@pytest.mark.parametrize("name", ["mine", "mydata/01_raw", "mine/data/01_raw"])
def test_a_named_directory_without_files_is_an_error(folders, tmp_path, name, made):
    named = tmp_path / name
    if made:
        named.mkdir(parents=True)
    with pytest.raises(DatasetError, match=f"data_dir={name} ") as raised:
        RawFilesDataset(path=str(named), sample_path=str(folders[1])).load()
    assert isinstance(raised.value.__cause__, DataError)  # Kedro wraps what load raises


def test_names_are_relative_sorted_and_files_read_lazily(folders):
    default, samples = folders
    (default / "test").mkdir()
    (default / "test/b.md").write_bytes(b"two")
    (default / "a.md").write_bytes(b"one")
    dataset = RawFilesDataset(path=str(default), sample_path=str(samples))
    before = dataset.fingerprint()
    loaded = dataset.load()
    assert list(loaded) == ["a.md", "test/b.md"]
    assert loaded["test/b.md"]() == b"two"
    (default / "a.md").write_bytes(b"changed")
    after = dataset.fingerprint()
    assert before["a.md"] != after["a.md"]
    assert before["test/b.md"] == after["test/b.md"]


@pytest.mark.skipif(os.name != "posix", reason="elsewhere every name is text")
def test_a_name_that_is_no_utf_8_is_text_and_its_file_is_read(folders):
    default, samples = folders
    (default / os.fsdecode("中.md".encode("gbk"))).write_bytes(b"one")
    (default / "文.md").write_bytes(b"two")
    dataset = RawFilesDataset(path=str(default), sample_path=str(samples))
    assert {name: file() for name, file in dataset.load().items()} == {
        r"\xd6\xd0.md": b"one",
        "文.md": b"two",
    }
    assert json.dumps(dataset.fingerprint(), ensure_ascii=False).encode()


def test_a_file_instead_of_a_folder_is_read_alone(folders, tmp_path):
    file = tmp_path / "mine/faq.md"
    file.parent.mkdir()
    file.write_bytes(b"one")
    (tmp_path / "mine/other.md").write_bytes(b"two")
    dataset = RawFilesDataset(path=str(file), sample_path=str(folders[1]))
    loaded = dataset.load()
    assert {name: raw() for name, raw in loaded.items()} == {"faq.md": b"one"}
    assert list(dataset.fingerprint()) == ["faq.md"]
    assert dataset.part_label("faq.md").endswith("mine/faq.md")


def test_samples_that_were_asked_for_are_read_without_a_word_of_the_default(folders, caplog):
    samples = str(folders[1])
    assert list(RawFilesDataset(path=samples, sample_path=samples).load()) == ["s.md"]
    assert not caplog.records


def test_in_a_subfolder_of_the_project_the_default_and_the_samples_are_still_the_projects(
    folders, tmp_path, monkeypatch
):
    (tmp_path / "pyproject.toml").write_text("[tool.kedro]\n")
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    dataset = RawFilesDataset(path="data/01_raw", sample_path="data/sample")
    assert list(dataset.load()) == ["s.md"]
    assert dataset.part_label("s.md") == "data/sample/s.md"


def test_a_file_that_is_gone_is_told_with_the_folder_it_was_in(folders, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    default = RawFilesDataset(path="data/01_raw", sample_path="data/sample")
    named = RawFilesDataset(path="mine", sample_path="data/sample")
    told = [default.part_label("mine.md"), default.part_label("s.md"), named.part_label("s.md")]
    assert told == ["data/01_raw/mine.md", "data/sample/s.md", "mine/s.md"]


def test_an_empty_default_without_samples_is_one_sentence(folders):
    (folders[1] / "s.md").unlink()
    dataset = RawFilesDataset(path="data/01_raw", sample_path="data/sample")
    with pytest.raises(DataError, match="data/01_raw is empty, and there are no samples in data/sample"):
        dataset.fingerprint()
    folders[1].rmdir()
    with pytest.raises(DatasetError, match="no samples in data/sample"):
        dataset.load()
