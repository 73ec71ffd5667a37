"""What people really put into the folder: parsed right, or refused with one line that says what to do."""

import gzip
import io
import json
import tarfile
import zipfile

import pytest

from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.row import Found
from qwen_pipeline.text.raw_file import RawFile
from qwen_pipeline.text.read_files import read_rows

TWO = [("甲是什么？", "一。"), ("乙是什么？", "二。")]
MARKDOWN = {
    "stop": "1. 甲是什么？\n一。\n\n2. 乙是什么？\n二。\n",
    "comma and answer mark": "1、甲是什么？\n答：一。\n\n2、乙是什么？\n答：二。\n",
    "brackets": "（1）甲是什么？\n一。\n（2）乙是什么？\n二。\n",
    "Chinese numbers": "一、甲是什么？\n一。\n二、乙是什么？\n二。\n",
    "circled": "① 甲是什么？\n一。\n② 乙是什么？\n二。\n",
    "two levels": "1.1 甲是什么？\n一。\n1.2 乙是什么？\n二。\n",
    "bold marks": "**Q1：甲是什么？**\n\n一。\n\n**Q2：乙是什么？**\n\n二。\n",
    "numbered headings": "### 1. 甲是什么？\n一。\n### 2. 乙是什么？\n二。\n",
    "marks in headings": "#### Q1 甲是什么？\n一。\n#### Q2 乙是什么？\n二。\n",
    "hyphens": "Q-1: 甲是什么？\nA-1: 一。\nQ-2: 乙是什么？\nA-2: 二。\n",
    "lenticular": "【问】甲是什么？\n【答】一。\n【问】乙是什么？\n【答】二。\n",
    "square": "[Q] 甲是什么？\n[A] 一。\n[Q] 乙是什么？\n[A] 二。\n",
    "ordinals": "第1问：甲是什么？\n答：一。\n第二问：乙是什么？\n答：二。\n",
    "Korean": "질문: 甲是什么？\n답변: 一。\n\n질문: 乙是什么？\n답변: 二。\n",
    "topics": "题目：甲是什么？\n答案：一。\n题目：乙是什么？\n答案：二。\n",
    "full width": "Ｑ１：甲是什么？\nＡ１：一。\nＱ２：乙是什么？\nＡ２：二。\n",
    "bullets": "- **问**：甲是什么？\n- **答**：一。\n\n- **问**：乙是什么？\n- **答**：二。\n",
    "same line": "Q：甲是什么？A：一。\nQ：乙是什么？A：二。\n",
    "paragraphs": "甲是什么？\n一。\n\n乙是什么？\n二。\n",
    "table": "| 问题 | 答案 |\n|---|---|\n| 甲是什么？ | 一。 |\n| 乙是什么？ | 二。 |\n",
}
TABLES = {
    "WPS, GBK, CRLF": (
        "a.csv",
        "序号,提问,回复,备注\r\n1,甲是什么？,一。,\r\n2,乙是什么？,二。,\r\n".encode("gb18030"),
    ),
    "Unicode text of Excel": (
        "a.txt",
        "问题\t答案\r\n甲是什么？\t一。\r\n乙是什么？\t二。\r\n".encode("utf-16"),
    ),
    "tabs without header": ("a.txt", "甲是什么？\t一。\n乙是什么？\t二。\n".encode()),
    "full-width commas": ("a.csv", "问题，答案\n甲是什么？，一。\n乙是什么？，二。\n".encode()),
    "title above": ("a.csv", "常见问题汇总,\n问题,答案\n甲是什么？,一。\n乙是什么？,二。\n".encode()),
    "names in two languages": (
        "a.csv",
        "问题（Question）,答案（Answer）\n甲是什么？,一。\n乙是什么？,二。\n".encode(),
    ),
    "longer names": ("a.csv", "question_text,answer_zh\n甲是什么？,一。\n乙是什么？,二。\n".encode()),
}
JSON = {
    "trailing commas": '[{"question":"甲是什么？","answer":"一。",},\n{"question":"乙是什么？","answer":"二。"},]',
    "columns": json.dumps({"question": [q for q, _ in TWO], "answer": [a for _, a in TWO]}),
    "columns by row": '{"question":{"0":"甲是什么？","1":"乙是什么？"},"answer":{"0":"一。","1":"二。"}}',
    "datasets server": json.dumps({"rows": [{"row_idx": 0, "row": {"question": q, "answer": a}} for q, a in TWO]}),
    "one after another": "".join(json.dumps({"question": q, "answer": a}) for q, a in TWO),
    "rows under a key of its own": json.dumps({"faq": [{"question": q, "answer": a} for q, a in TWO], "version": 1}),
    "turns alone, one conversation a line": "\n".join(
        json.dumps([{"role": "user", "content": q}, {"role": "assistant", "content": a}]) for q, a in TWO
    ),
    "two texts a line": "\n".join(json.dumps(pair) for pair in TWO),
    "input and output": json.dumps([{"input": q, "output": a} for q, a in TWO]),
    "standard questions": json.dumps([{"标准问题": q, "标准答案": a} for q, a in TWO]),
    "NaN beside": '[{"question":"甲是什么？","answer":"一。","x":NaN},{"question":"乙是什么？","answer":"二。","x":1}]',
}  # fmt: skip


def read(tmp_path, name, data, **options):
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return list(read_rows(Content(RawFile(name, path, path.stat().st_size), **options)))


def pairs(rows):
    return [tuple(text for _, text in row.messages) for row in rows if isinstance(row, Found)]


@pytest.mark.parametrize("style", MARKDOWN)
def test_markdown(tmp_path, style):
    assert pairs(read(tmp_path, "a.md", MARKDOWN[style])) == TWO


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("packed", [False, True])
def test_tables(tmp_path, kind, packed):
    name, data = TABLES[kind]
    rows = read(tmp_path, name + ".gz" * packed, gzip.compress(data) if packed else data)
    assert pairs(rows) == TWO


@pytest.mark.parametrize("kind", JSON)
def test_json(tmp_path, kind):
    assert pairs(read(tmp_path, "a.json", JSON[kind])) == TWO


def test_quotes_with_a_backslash_are_quotes_and_a_path_keeps_its_backslashes(tmp_path):
    rows = read(tmp_path, "a.csv", 'question,answer\n"say \\"x, y\\" now?","yes"\n"and?","no"\n')
    assert pairs(rows) == [('say "x, y" now?', "yes"), ("and?", "no")]
    rows = read(tmp_path, "b.csv", 'question,answer\n"where?","C:\\"\n"and ""now""?","D:\\x"\n')
    assert pairs(rows) == [("where?", "C:\\"), ('and "now"?', "D:\\x")]


@pytest.mark.parametrize("name", ["a.xlsx", "a.zip", "a.md"])
def test_a_broken_archive_of_any_kind_is_one_line(tmp_path, name):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("xl/workbook.xml", "<w/>")
    data = bytearray(packed.getvalue())
    data[data.index(b"PK\x01\x02") + 6] = 96  # the version needed to read it: none knows 9.6
    (row,) = read(tmp_path, name, bytes(data))
    assert row.reason.value in ("binary_file", "unreadable_file")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.md", "Q1: 鍏充簬�庢牱？\nA1: 璋冭В鐨勫啀�\n\nQ2: 甲是�？\nA2: �。\n"),
        ("a.csv", "question,answer\n鍏充簬�庢牱？,璋冭В鐨勫啀�\n甲是�？,�。\n"),
    ],
)
def test_a_file_that_was_written_with_lost_characters_is_text(tmp_path, name, data):
    """Clean judges its rows one by one; bytes that no encoding knows are another thing."""
    assert pairs(read(tmp_path, name, data)) == [("鍏充簬�庢牱？", "璋冭В鐨勫啀�"), ("甲是�？", "�。")]


def test_a_stray_quote_costs_one_row(tmp_path):
    rows = read(tmp_path, "a.csv", 'question,answer\n"坏？,零。\n甲是什么？,一。\n乙是什么？,二。\n')
    assert pairs(rows) == TWO
    assert [row.line for row in rows if not isinstance(row, Found)] == [2]


def test_one_bad_line_costs_one_row(tmp_path):
    lines = [json.dumps({"question": q, "answer": a}) for q, a in TWO]
    rows = read(tmp_path, "a.jsonl", "\n".join([lines[0], '{"question": "坏？", "ans', lines[1]]))
    assert pairs(rows) == TWO
    assert [(row.line, row.reason.value) for row in rows if not isinstance(row, Found)] == [
        (2, "malformed_row")
    ]


@pytest.mark.parametrize(("rule", "outcome"), [("refuse", None), ("drop", 3), ("keep", 5)])
def test_tool_turns_by_rule(tmp_path, rule, outcome):
    turns = [
        ("system", "你是助手"),
        ("human", "天气"),
        ("function_call", "{}"),
        ("observation", "晴"),
        ("gpt", "晴天"),
    ]
    data = json.dumps([{"conversations": [{"from": who, "value": text} for who, text in turns]}])
    (row,) = read(tmp_path, "a.json", data, tool_turns=rule)
    if outcome is None:
        assert row.reason.value == "tool_turns"
        assert "tool_turns=drop" in row.detail
    else:
        assert len(row.messages) == outcome


def test_alpaca_with_history_and_input(tmp_path):
    data = [
        {
            "instruction": "三问",
            "input": "补充",
            "output": "三答",
            "system": "规则",
            "history": [["一问", "一答"]],
        }
    ]
    (row,) = read(tmp_path, "a.json", json.dumps(data))
    assert [text for _, text in row.messages] == ["规则", "一问", "一答", "三问\n补充", "三答"]


def word_document():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("word/document.xml", "<w/>")
    return packed.getvalue()


def tar_archive():
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("a.jsonl")
        rows = b'{"question":"a","answer":"b"}\n' * 4
        member.size = len(rows)
        archive.addfile(member, io.BytesIO(rows))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "reason", "words"),
    [
        ("a.pdf", b"%PDF-1.4\n%\xe2\xe3\n", "binary_file", "PDF document); save it as text"),
        ("a.docx", word_document(), "binary_file", "Word document); save it as text"),
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "binary_file", "save it as text"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c" + bytes(30), "binary_file", "unpack it"),
        ("a.jsonl.zst", b"\x28\xb5\x2f\xfd" + bytes(30), "binary_file", "unpack it"),
        ("a.jsonl.gz", gzip.compress(gzip.compress(b'{"question":"a","answer":"b"}', mtime=0), mtime=0), "binary_file", "unpack it"),
        ("a.tar", tar_archive(), "binary_file", "TAR archive); unpack it"),
        ("a.tar.gz", gzip.compress(tar_archive(), mtime=0), "binary_file", "TAR archive); unpack it"),
        ("a.html", "<!DOCTYPE html><html><h2>甲？</h2>", "unknown_format", "HTML page); save it as"),
        ("a.xml", '<?xml version="1.0"?><faq/>', "unknown_format", "XML document"),
        ("a.rtf", r"{\rtf1\ansi Q1: hi\par A1: yes}", "unknown_format", "RTF document"),
        ("a.csv", "foo,bar\n1,2\n", "unknown_fields", "name them with column_map"),
        ("a.jsonl", '{"text":"x"}\n', "unknown_fields", "name them with column_map"),
    ],
)  # fmt: skip
def test_an_unknown_kind_is_one_line_with_its_remedy(tmp_path, name, data, reason, words):
    (row,) = read(tmp_path, name, data)
    assert row.reason.value == reason
    assert words in row.detail


def test_a_column_map_by_role_or_by_name(tmp_path):
    for column_map in ({"question": "foo", "answer": "bar"}, {"foo": "question", "bar": "answer"}):
        assert pairs(read(tmp_path, "a.csv", "foo,bar\n甲,一\n", column_map=column_map)) == [("甲", "一")]
