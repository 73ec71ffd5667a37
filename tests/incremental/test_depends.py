"""What a node depends on now, read without more work a file than it must."""

from types import SimpleNamespace

from qwen_pipeline.incremental.depends import DependencyReader


class Folder:
    """A dataset of many files that counts how often it looks for its folder."""

    looked = 0

    def fingerprint(self) -> dict[str, str]:
        return {f"{number}.md": str(number) for number in range(3)}

    def folder_label(self) -> str:
        self.looked += 1
        return "my files"


def test_files_are_known_by_their_folder_which_is_looked_for_once():
    folder = Folder()
    reader = DependencyReader({"raw_files": folder}, SimpleNamespace(read=lambda function: ({}, ())))
    depends = reader.read(SimpleNamespace(name="read", func=print, inputs=["raw_files"], _inputs="raw_files"))
    assert depends.inputs == {f"raw_files/{number}.md": str(number) for number in range(3)}
    assert reader.labels["raw_files/2.md"] == "my files/2.md"
    assert folder.looked == 1
