"""A cell that is merged over several rows means all of them."""

from pathlib import Path
from typing import Any

from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.row import Found, Refused, Result
from qwen_pipeline.text.raw_file import RawFile
from qwen_pipeline.text.read_files import read_rows
from workbook_files import workbook_of


def read(tmp_path: Path, rows: list[tuple[str | None, ...]], *merged: str, **options: Any) -> list[Result]:
    path = tmp_path / "a.xlsx"
    path.write_bytes(workbook_of(rows, merged=merged))
    return list(read_rows(Content(RawFile("a.xlsx", path, path.stat().st_size), **options)))


def pairs(rows: list[Result]) -> list[tuple[int, str, str]]:
    return [(row.line, row.messages[0][1], row.messages[1][1]) for row in rows if isinstance(row, Found)]


HEADER = ("分类", "问题", "答案")


def test_a_question_merged_over_several_answers_has_them_all(tmp_path: Path) -> None:
    rows = [
        HEADER,
        ("人事", "要带什么？", "身份证"),
        (None, None, "学历证"),
        (None, None, None),
        (None, "几号发？", "十号"),
    ]
    found = read(tmp_path, rows, "B2:B4", "A2:A5")
    assert pairs(found) == [(2, "要带什么？", "身份证\n学历证"), (5, "几号发？", "十号")] and len(found) == 2


def test_an_answer_merged_over_several_questions_answers_each(tmp_path: Path) -> None:
    rows = [HEADER, ("甲", "怎么退？", "联系客服。"), ("乙", "怎么换？", None), ("丙", "怎么修？", "寄回。")]
    found = read(tmp_path, rows, "C2:C3")
    assert [pair[1:] for pair in pairs(found)] == [
        ("怎么退？", "联系客服。"),
        ("怎么换？", "联系客服。"),
        ("怎么修？", "寄回。"),
    ]


def test_a_pair_merged_as_a_whole_is_read_once(tmp_path: Path) -> None:
    rows = [HEADER, ("甲", "怎么退？", "联系客服。"), ("乙", None, None)]
    assert pairs(read(tmp_path, rows, "B2:B3", "C2:C3")) == [(2, "怎么退？", "联系客服。")]


def test_a_header_of_two_rows_and_titles_are_no_rows(tmp_path: Path) -> None:
    rows = [("汇总", None, None), HEADER, (None, None, "文字"), ("甲", "怎么退？", "联系客服。")]
    found = read(tmp_path, rows, "A1:C1", "B2:B3")
    assert pairs(found) == [(4, "怎么退？", "联系客服。")]
    assert [row.line for row in found if isinstance(row, Refused)] == [3]


def test_an_empty_question_that_was_not_merged_is_refused(tmp_path: Path) -> None:
    found = read(tmp_path, [HEADER, ("人事", "要带什么？", "身份证"), (None, None, "学历证")])
    assert pairs(found) == [(2, "要带什么？", "身份证")]
    assert [row.line for row in found if isinstance(row, Refused)] == [3]


def test_a_conversation_whose_number_is_merged_over_its_turns_is_one(tmp_path: Path) -> None:
    rows = [
        ("会话ID", "发送方", "内容"),
        ("1", "客户", "在吗？"),
        (None, "客服", "在。"),
        ("2", "客户", "几点？"),
        (None, "客服", "九点。"),
    ]
    assert pairs(read(tmp_path, rows, "A2:A3", "A4:A5")) == [(2, "在吗？", "在。"), (4, "几点？", "九点。")]


def test_a_range_beyond_the_sheet_costs_nothing(tmp_path: Path) -> None:
    rows = [HEADER, ("人事", "要带什么？", "身份证")]
    assert pairs(read(tmp_path, rows, "A2:A1048576", "X9:Z1048576")) == [(2, "要带什么？", "身份证")]
