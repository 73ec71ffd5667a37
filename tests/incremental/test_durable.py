"""What a rename names is on the disk before."""

import os
import shutil
from pathlib import Path

import pytest

from qwen_pipeline.incremental import durable

fcntl = pytest.importorskip("fcntl")


@pytest.mark.parametrize(("mode", "access"), [("rb", os.O_RDONLY), ("rb+", os.O_RDWR)])
def test_every_file_of_a_tree_is_flushed_as_the_system_wants_it_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, access: int
) -> None:
    flushed = {}

    def note(descriptor: int) -> None:
        flushed[os.fstat(descriptor).st_ino] = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE

    (tmp_path / "deep").mkdir()
    files = [tmp_path / "a.json", tmp_path / "deep/b.json"]
    for path in files:
        path.write_text("{}")
    monkeypatch.setattr(durable, "FLUSHED_AS", mode)
    monkeypatch.setattr(os, "fsync", note)
    durable.flush_tree(tmp_path)
    assert [flushed[path.stat().st_ino] for path in files] == [access, access]
    assert {tmp_path.stat().st_ino, (tmp_path / "deep").stat().st_ino} <= set(flushed)
    assert all(path.read_text() == "{}" for path in files)


@pytest.mark.skipif(os.name != "posix", reason="Windows flushes only what is open for writing")
def test_a_file_that_may_only_be_read_is_flushed(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("{}")
    path.chmod(0o400)
    durable.flush_tree(path)


def test_a_path_of_any_bytes_is_kept(tmp_path: Path) -> None:
    content = {os.fsdecode(b"\xd6\xd0.md"): 1, "中.md": 2}
    durable.write_json(tmp_path / "digests.json", content)
    assert durable.read_json(tmp_path / "digests.json") == content


def test_a_folder_is_copied_where_nobody_may_set_permissions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    (tmp_path / "old/inner/empty").mkdir(parents=True)
    (tmp_path / "old/inner/file").write_bytes(b"content")
    monkeypatch.setattr(os, "chmod", refuse)
    monkeypatch.setattr(os, "link", refuse)
    for copy in (shutil.copyfile, durable.link_or_copy):
        target = tmp_path / f"made by {copy.__name__}"
        durable.copy_folder(tmp_path / "old", target, copy)
        assert (target / "inner/file").read_bytes() == b"content"
        assert (target / "inner/empty").is_dir()
