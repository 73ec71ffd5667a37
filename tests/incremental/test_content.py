"""Files below a folder, whatever links are in it."""

from pathlib import Path

from qwen_pipeline.incremental.content import files_below


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
