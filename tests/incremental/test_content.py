"""Files below a folder, whatever links are in it."""

import json
import os
import time
from pathlib import Path

import pytest

from qwen_pipeline.incremental.content import (
    COARSE_TICK_NS,
    FINE_TICK_NS,
    FileDigests,
    _settled,
    files_below,
)


def test_links_are_followed_and_never_in_a_circle(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "a").mkdir(parents=True)
    (data / "a" / "one.md").write_text("1")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "two.md").write_text("22")
    (data / "a" / "up").symlink_to(data)
    (data / "b").symlink_to(tmp_path / "elsewhere")
    (data / "itself").symlink_to(data / "itself")
    (data / "nowhere").symlink_to(tmp_path / "gone")
    assert [(name, stat.st_size) for name, stat in files_below(data)] == [("a/one.md", 1), ("b/two.md", 2)]


@pytest.mark.parametrize(
    ("changed", "later", "trusted"),
    [
        (1_000_000_001, FINE_TICK_NS, False),
        (1_000_000_001, FINE_TICK_NS + 1, True),
        (2_000_000_000, FINE_TICK_NS + 1, False),
        (2_000_000_000, COARSE_TICK_NS + 1, True),
    ],
)
def test_a_digest_is_kept_only_of_a_file_older_than_a_tick_of_its_clock(
    changed: int, later: int, trusted: bool
) -> None:
    assert _settled((1, changed, changed - 5, 7), changed + later) is trusted
    assert _settled((1, changed - 5, changed, 7), changed + later) is trusted


def test_a_file_changed_just_now_is_read_again(tmp_path: Path) -> None:
    path, digests = tmp_path / "a", FileDigests(tmp_path / "digests.json")
    path.write_text("a")
    digests.of(path)
    digests.save()
    assert not (tmp_path / "digests.json").exists()


def test_a_file_that_is_gone_is_forgotten(tmp_path: Path) -> None:
    store = tmp_path / "digests.json"
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
        os.utime(tmp_path / name, (1, 1))
    time.sleep(FINE_TICK_NS / 1e9)
    digests = FileDigests(store)
    digests.of(tmp_path / "a")
    digests.save()
    assert list(json.loads(store.read_text())) == [str(tmp_path / "a")]
    (tmp_path / "a").unlink()
    digests.of(tmp_path / "b")
    digests.save()
    assert list(json.loads(store.read_text())) == [str(tmp_path / "b")]
