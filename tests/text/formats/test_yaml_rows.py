"""YAML: rows have the lines where they are written."""

from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.raw_file import RawFile
from qwen_pipeline.text.read_files import read_rows


def read(tmp_path, text):
    path = tmp_path / "rows.yaml"
    path.write_text(text)
    return list(read_rows(Content(RawFile(path.name, path, path.stat().st_size))))


def test_rows_that_share_a_context_have_lines_of_their_own(tmp_path):
    rows = "".join(f"- question: Who is {n}?\n  answer: He is.\n" for n in range(3))
    found = read(tmp_path, "title: One\ncontext: Some text here\nqas:\n" + rows)
    assert [row.line for row in found] == [4, 6, 8]
    assert all("Some text here" in row.messages[0][1] for row in found)


def test_rows_without_a_context_keep_their_lines(tmp_path):
    rows = "".join(f"- question: Who is {n}?\n  answer: He is.\n" for n in range(3))
    assert [row.line for row in read(tmp_path, "faq:\n" + rows)] == [2, 4, 6]
