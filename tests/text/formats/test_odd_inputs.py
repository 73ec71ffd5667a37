"""Inputs that real folders hold and that a reader may stumble over: nothing is lost, nothing ends the run."""

import io
import struct
import zipfile

import pytest

from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.row import Found, Refused
from qwen_pipeline.text.raw_file import RawFile
from qwen_pipeline.text.read_files import ReadOptions, read_files, read_rows
from qwen_pipeline.text.schema import RejectReason


def rows_of(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(read_rows(Content(RawFile(name, path, path.stat().st_size))))


def pairs_of(tmp_path, name, text):
    found = [row for row in rows_of(tmp_path, name, text) if isinstance(row, Found)]
    return [tuple(content for role, content in row.messages if role != "system") for row in found]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.jsonl", '{"question":"q1","answers":[{"answer_start":3}]}\n{"question":"q","answer":"a"}\n'),
        ("t.json", '[{"mapping":{"a":{}},"current_node":["a"]}]'),
        ("t.json", '[{"mapping":{"a":{"parent":["a"]}},"current_node":"a"}]'),
        ("t.json", '[{"mapping":{"a":{"parent":"a"}},"current_node":"a"}]'),
    ],
)
def test_broken_rows_are_rejects_and_no_exception(tmp_path, name, text):
    rows = rows_of(tmp_path, name, text)
    reasons = [row.reason for row in rows if isinstance(row, Refused)]
    assert reasons
    assert RejectReason.UNREADABLE_FILE not in reasons


def test_a_backslash_at_the_end_of_a_table_escapes_nothing(tmp_path):
    text = 'question,answer\n"a","say \\"hi\\" to me"\nq3,C:\\dir\\'
    assert pairs_of(tmp_path, "t.csv", text) == [("a", 'say "hi" to me'), ("q3", "C:\\dir\\")]


def test_a_file_name_that_is_no_utf8_does_not_end_the_run(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"question":"q","answer":"a"}\nno json\n')
    name = "问题.jsonl".encode("gbk").decode("utf-8", "surrogateescape")
    (tmp_path / "work").mkdir()
    _, _, accounts = read_files([RawFile(name, path, path.stat().st_size)], ReadOptions(), tmp_path / "work")
    assert accounts[0].as_dict()["found"] == 2
    assert accounts[0].name.isprintable() or "\ufffd" in accounts[0].name


@pytest.mark.parametrize(
    "text",
    [
        '{"data":[\n{"question":"q1","answer":"a1"},\n{"question":"q2","answer":"a2"}\n]}',
        '{"data": [\n  {\n    "question": "q1",\n    "answer": "a1"\n  },\n  {\n    "question": "q2",\n    "answer": "a2"\n  }\n]}',
        '{"question":"q1","answer":"a1"},\n{"question":"q2","answer":"a2"},\n',
        '{"question":"q1","answer":"a1"},\n{"question":"q2","answer":"a2"}',
    ],
)
@pytest.mark.parametrize("name", ["t.json", "t.csv", "t.md", "t.txt"])
def test_json_is_read_whatever_its_lines_and_its_name(tmp_path, name, text):
    assert pairs_of(tmp_path, name, text) == [("q1", "a1"), ("q2", "a2")]


def test_a_fence_behind_an_answer_mark_ends_where_it_is_closed(tmp_path):
    text = "Q1: How print?\nA1: ```python\nprint(1)\n```\n\nQ2: Why?\nA2: Because.\n\nQ3: When?\nA3: Now.\n"
    assert [pair[0] for pair in pairs_of(tmp_path, "t.md", text)] == ["How print?", "Why?", "When?"]


def test_two_lines_of_a_dialogue_do_not_make_a_faq_one(tmp_path):
    text = "# FAQ\n## What is A?\naaa\n## How do I chat?\nLike this:\n\nUser: hello\nAssistant: hi there\n## What is C?\nccc\n"
    assert pairs_of(tmp_path, "t.md", text) == [
        ("What is A?", "aaa"),
        ("How do I chat?", "Like this:\n\nUser: hello\nAssistant: hi there"),
        ("What is C?", "ccc"),
    ]


def test_long_turns_of_a_dialogue_take_time_by_their_length(tmp_path):
    (pair,) = pairs_of(tmp_path, "t.md", "User: go\nAssistant: start\n" + "one more line\n" * 200_000)
    assert pair[1].count("\n") == 200_000


@pytest.mark.parametrize(
    ("name", "line", "pair"),
    [
        ("t.tsv", 'How greet?\t"Hello" and "Goodbye"', ("How greet?", '"Hello" and "Goodbye"')),
        ("t.csv", '"What is RAM?" ,"Memory."', ("What is RAM?", "Memory.")),
        ("t.csv", '"What is RAM?", "Memory, volatile."', ("What is RAM?", "Memory, volatile.")),
        (
            "t.tsv",
            'math\t\\frac{1}{2} in C:\\temp and \\"x\\" there',
            ("math", '\\frac{1}{2} in C:\\temp and \\"x\\" there'),
        ),
    ],
)
def test_cells_are_what_they_say(tmp_path, name, line, pair):
    mark = "\t" if name == "t.tsv" else ","
    text = f"question{mark}answer\nfirst{mark}plain\n{line}\nlast{mark}plain\n"
    assert pairs_of(tmp_path, name, text) == [("first", "plain"), pair, ("last", "plain")]


def test_a_text_beside_a_pair_is_the_pair_once_more(tmp_path):
    text = '{"question":"Who?","answer":"Bob","text":"Human: hi\\nAssistant: yo"}\n' * 2
    assert pairs_of(tmp_path, "t.jsonl", text) == [("Who?", "Bob")] * 2
    assert pairs_of(tmp_path, "u.jsonl", '{"text":"Human: hi\\nAssistant: yo"}\n{"text":"x"}\n') == [
        ("hi", "yo")
    ]


@pytest.mark.parametrize(
    "history",
    [
        '[["hi","hello"]]',
        '["hi","hello"]',
        '[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}]',
    ],
)
def test_a_history_is_kept_however_it_is_written(tmp_path, history):
    row = f'{{"instruction":"and?","output":"yes","history":{history}}}\n'
    assert pairs_of(tmp_path, "t.jsonl", row * 2) == [("hi", "hello", "and?", "yes")] * 2


def test_whole_numbers_of_a_workbook_stay_whole(tmp_path):
    sheet = (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        '<row r="1"><c r="A1" t="inlineStr"><is><t>question</t></is></c><c r="B1" t="inlineStr"><is><t>answer</t></is></c></row>'
        '<row r="2"><c r="A2" t="inlineStr"><is><t>Which year?</t></is></c><c r="B2"><v>1949</v></c></row>'
        "</sheetData></worksheet>"
    )
    kinds = "http://schemas.openxmlformats.org"
    package, office = f"{kinds}/package/2006", f"{kinds}/officeDocument/2006/relationships"
    book, rels = f"{kinds}/spreadsheetml/2006/main", f'<Relationships xmlns="{package}/relationships">'
    content = "application/vnd.openxmlformats-"
    override = f'ContentType="{content}officedocument.spreadsheetml'
    files = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types">'
        f'<Default Extension="rels" ContentType="{content}package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" {override}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" {override}.worksheet+xml"/></Types>',
        "_rels/.rels": f'{rels}<Relationship Id="r1" Type="{office}/officeDocument" Target="xl/workbook.xml"/>'
        "</Relationships>",
        "xl/workbook.xml": f'<workbook xmlns="{book}" xmlns:r="{office}"><sheets>'
        '<sheet name="s" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'{rels}<Relationship Id="r1" Type="{office}/worksheet" '
        'Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": sheet,
    }
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    assert pairs_of(tmp_path, "t.xlsx", data.getvalue()) == [("Which year?", "1949")]


@pytest.mark.parametrize("order", ["123", "312"])
def test_answers_after_all_questions_are_told_by_their_numbers(tmp_path, order):
    text = "Q1: What is A?\n\nQ2: What is B?\n\nQ3: What is C?\n\n" + "\n".join(
        f"A{number}: answer {number}\nmore\n" for number in order
    )
    found = dict(pairs_of(tmp_path, "t.md", text))
    assert found == {f"What is {name}?": f"answer {at}\nmore" for at, name in enumerate("ABC", 1)}


def test_a_question_without_an_answer_and_an_answer_of_another_number(tmp_path):
    text = "Q1: One?\n\nQ2: Two?\nA2: b\n\nQ3: Three?\nA4: c\n"
    rows = rows_of(tmp_path, "t.md", text)
    assert pairs_of(tmp_path, "t.md", text) == [("Two?", "b"), ("Three?", "c")]
    assert [row.notes for row in rows if isinstance(row, Found)] == [(), ("other_number",)]
    (refused,) = (row for row in rows if isinstance(row, Refused))
    assert (refused.line, refused.reason.value) == (1, "missing_answer")


@pytest.mark.parametrize(
    "form",
    ["1. {}", "**{}**", "**1. {}**", "1. **{}**", "（1）{}", "一、{}", "① {}"],
    ids=lambda form: form.format("…"),
)
def test_numbered_or_bold_lines_that_ask_without_a_mark_are_questions(tmp_path, form):
    asked = ["如何退货", "怎么换货", "为什么要寄回"]
    text = "\n\n".join(form.format(question) + "\n请联系客服。\n第二行。" for question in asked)
    assert pairs_of(tmp_path, "faq.md", text) == [(question, "请联系客服。\n第二行。") for question in asked]


@pytest.mark.parametrize(
    "text",
    [
        "1. 如何安装\n2. 如何使用\n3. 如何卸载\n",  # contents
        "1. 打开设置\n在右上角。\n\n2. 如何保存\n点确定。\n\n3. 关闭窗口\n完成。\n",  # steps, one of which asks
        "**注意**\n这是说明。\n\n**如何联系**\n打电话。\n",
        "1. 如何安装\n\n说明文字。\n",  # one alone
    ],
)
def test_contents_and_steps_are_no_questions(tmp_path, text):
    assert pairs_of(tmp_path, "doc.md", text) == []


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv"])
def test_a_table_without_a_header_may_number_its_rows(tmp_path, name):
    mark = "," if name.endswith("csv") else "\t"
    rows = [("1", "什么是猫？", "猫是动物。"), ("2", "什么是狗", "狗是动物")]
    assert pairs_of(tmp_path, name, "\n".join(map(mark.join, rows))) == [row[1:] for row in rows]


def test_zeros_behind_a_short_text_make_it_no_binary_file(tmp_path):
    text = "问：如何注册？\n答：打开官网，点击右上角的注册，填写手机号码和验证码。\n" * 3
    pairs = pairs_of(tmp_path, "faq.txt", text.encode() + bytes(64))
    assert [question for question, _ in pairs] == ["如何注册？"] * 3
    assert pairs[0][1].endswith("验证码。")


@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
@pytest.mark.parametrize("between", ["\n", ""])
def test_zeros_of_a_crash_cost_no_row(tmp_path, encoding, between):
    lines = [
        '{"question": "如何注册？", "answer": "打开官网。"}\n',
        '{"question": "收费吗？", "answer": "不收费。"}\n',
    ]
    first, second = (line.encode(encoding) for line in lines)
    data = first + bytes(64) + between.encode() + second + bytes(512)
    assert pairs_of(tmp_path, "rows.jsonl", data) == [("如何注册？", "打开官网。"), ("收费吗？", "不收费。")]


def test_zeros_behind_utf16_leave_its_last_character_whole(tmp_path):
    data = "Q: what?\nA: this.".encode("utf-16-le") + bytes(64)
    assert pairs_of(tmp_path, "faq.txt", data) == [("what?", "this.")]


def test_a_zero_behind_each_text_makes_it_no_binary_file(tmp_path):
    text = "问：如何注册？\0\n答：打开官网，点击注册。\n" * 20
    assert len(pairs_of(tmp_path, "faq.txt", text)) == 20


def test_numbers_are_a_binary_file(tmp_path):
    (row,) = rows_of(tmp_path, "weights.bin", struct.pack("<200d", *(at * 1.5 for at in range(200))))
    assert row.reason.value == "binary_file"
