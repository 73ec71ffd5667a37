"""JSON in every layout and spelling."""

import gzip
import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwen_pipeline.text.formats import json_lines
from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.row import Found
from qwen_pipeline.text.raw_file import RawFile
from qwen_pipeline.text.read_files import read_rows

ROWS = [{"question": "甲？", "answer": "一。"}, {"question": "乙？", "answer": "二。"}]
WANTED = [(("user", "甲？"), ("assistant", "一。")), (("user", "乙？"), ("assistant", "二。"))]


def read(tmp_path, data: bytes | str, name="rows.json", **options):
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return list(read_rows(Content(RawFile(name, path, path.stat().st_size), **options)))


def messages(rows):
    return [row.messages for row in rows if isinstance(row, Found)]


LINES = "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS)


@pytest.mark.parametrize(
    "data",
    [
        LINES,
        json.dumps(ROWS),
        json.dumps(ROWS, ensure_ascii=False, indent=2),
        json.dumps({"version": 1, "data": ROWS}),
        "\n".join(json.dumps(row, indent=1) for row in ROWS),
        json.dumps(ROWS)[:-1] + ",]",
        "\n\n// note\n" + LINES + "\n\n",
        "\ufeff" + LINES.replace("\n", "\r\n"),
        gzip.compress(LINES.encode(), mtime=0),
    ],
)
def test_every_layout_gives_the_same_rows(tmp_path, data):
    assert messages(read(tmp_path, data)) == WANTED


@pytest.mark.parametrize(
    "record",
    [
        {"instruction": "甲？", "input": "", "output": "一。"},
        {"prompt": "甲？", "completion": "一。"},
        {"问题": "甲？", "回答": "一。"},
        {"messages": [{"role": "user", "content": "甲？"}, {"role": "assistant", "content": "一。"}]},
        {"conversations": [{"from": "human", "value": "甲？"}, {"from": "gpt", "value": "一。"}]},
        {"conversation": [{"input": "甲？", "output": "一。"}]},
        {
            "prompt": [{"role": "user", "content": "甲？"}],
            "completion": [{"role": "assistant", "content": "一。"}],
        },
    ],
)
def test_every_spelling_is_understood(tmp_path, record):
    assert messages(read(tmp_path, json.dumps(record))) == WANTED[:1]


def test_history_and_input_of_alpaca(tmp_path):
    record = {
        "instruction": "译",
        "input": "你好",
        "output": "Hello",
        "system": "译者",
        "history": [["a", "b"]],
    }
    assert messages(read(tmp_path, json.dumps(record))) == [
        (("system", "译者"), ("user", "a"), ("assistant", "b"), ("user", "译\n你好"), ("assistant", "Hello"))
    ]


def test_reasoning_becomes_one_leading_thinking_block(tmp_path):
    turns = [
        {"role": "user", "content": "甲？"},
        {"role": "assistant", "content": "一。", "reasoning_content": "想"},
    ]
    (found,) = messages(read(tmp_path, json.dumps({"messages": turns})))
    assert found[1] == ("assistant", "<think>\n想\n</think>\n\n一。")


@pytest.mark.parametrize(("rule", "roles"), [("drop", ["user", "assistant"]), ("refuse", None)])
def test_tool_turns_follow_the_rule(tmp_path, rule, roles):
    turns = [
        {"role": "user", "content": "天气？"},
        {"role": "assistant", "content": "", "tool_calls": [{"name": "weather"}]},
        {"role": "tool", "content": "晴"},
        {"role": "assistant", "content": "晴天。"},
    ]
    rows = read(tmp_path, json.dumps({"messages": turns}), tool_turns=rule)
    if roles is None:
        assert rows[0].reason.value == "tool_turns"
    else:
        assert [role for role, _ in rows[0].messages] == roles


def test_a_broken_line_is_reported_and_the_rest_is_read(tmp_path):
    lines = LINES.split("\n")
    rows = read(tmp_path, "\n".join([lines[0], '{"question": "x', lines[1]]), "rows.jsonl")
    assert messages(rows) == WANTED
    assert [(row.line, row.reason.value) for row in rows if not isinstance(row, Found)] == [
        (2, "malformed_row")
    ]


@pytest.mark.parametrize(
    "broken", ["{bad}", "garbage line", '"question":"no brace","answer":"x"}', "{broken\n{also broken"]
)
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
def test_a_file_that_begins_with_a_broken_line_is_read_behind_it(tmp_path, broken, name):
    rows = read(tmp_path, f"{broken}\n{LINES}", name)
    assert messages(rows) == WANTED
    refused = [(row.line, row.reason.value) for row in rows if not isinstance(row, Found)]
    assert refused == [(at + 1, "malformed_row") for at in range(broken.count("\n") + 1)]


def test_a_cut_array_gives_its_whole_items_and_a_report(tmp_path):
    rows = read(tmp_path, json.dumps(ROWS)[:-5])
    assert messages(rows) == WANTED[:1]
    assert not isinstance(rows[-1], Found)


def test_a_repeated_key_is_noted(tmp_path):
    (row,) = read(tmp_path, '{"question": "甲？", "answer": "旧", "answer": "新"}')
    assert row.notes == ("duplicate_key",)


@settings(max_examples=150)
@given(
    st.binary(max_size=300), st.sampled_from(["a.json", "a.md", "a.csv", "a", "a.parquet", "a.xlsx", "a.gz"])
)
def test_no_bytes_break_any_parser(tmp_path_factory, data, name):
    rows = read(tmp_path_factory.mktemp("fuzz"), data, name)
    assert rows


@settings(max_examples=150)
@given(
    st.text(st.sampled_from('{}[]":,\\nQA1问答：:#*`|- \n\t\ufeff甲"a'), max_size=200),
    st.sampled_from(["a.jsonl", "a.md", "a.csv"]),
)
def test_no_text_breaks_any_parser(tmp_path_factory, text, name):
    assert read(tmp_path_factory.mktemp("fuzz"), text, name)


@pytest.mark.parametrize("ascii", [True, False])
def test_rows_inside_of_an_object_have_their_own_lines(tmp_path, ascii):
    data = {"name": "some rows", "train": ROWS, "by number": {"1": {"question": "丙？", "answer": "三\n。"}}}
    text = json.dumps(data, ensure_ascii=ascii, indent=1)
    rows = read(tmp_path, text)
    lines = text.split("\n")
    assert [json.loads("{" + lines[row.line - 1].strip().rstrip(",") + "}")["question"] for row in rows] == [
        "甲？",
        "乙？",
        "丙？",
    ]


def test_transcripts_and_rules_of_tables_take_time_as_their_length(tmp_path):
    assert not messages(read(tmp_path, json.dumps({"text": "[INST] x " * 200_000})))
    assert not messages(read(tmp_path, "| a |\n" + " " * 400_000 + "x\n", "rows.md"))


def test_rows_whose_texts_are_escaped_in_another_way_are_not_looked_for_again_and_again(
    tmp_path, monkeypatch
):
    looked = []
    monkeypatch.setattr(
        json_lines, "_texts_from_question", lambda row, _: looked.append(row) or ["not there"]
    )
    rows = read(tmp_path, json.dumps({"data": [{"question": f"{n}?", "answer": "a"} for n in range(50)]}))
    assert len(rows) == 50
    assert len(looked) == json_lines.MOST_MISSES


CHAT = [{"role": "user", "content": "same?"}, {"role": "assistant", "content": "yes"}]


@pytest.mark.parametrize(
    "row",
    [
        {"category": "faq", "question": "which?", "answer": "yes"},
        {"question": "same?", "answer": "same?", "tag": "same?"},
        {"answer": "yes", "question": "same?"},
        {"messages": CHAT * 2},
    ],
)
def test_rows_that_say_the_same_have_lines_of_their_own(tmp_path, row):
    text = json.dumps({"data": [row] * 4}, indent=1)
    lines = [found.line for found in read(tmp_path, text)]
    steps = {after - before for before, after in itertools.pairwise(lines)}
    assert steps == {json.dumps([row], indent=1).count("\n") - 1}


def test_rows_about_one_context_have_the_lines_of_their_questions(tmp_path):
    questions = [{"question": f"Who is {n}?", "answers": [{"text": "Some"}]} for n in range(3)]
    text = json.dumps({"data": [{"paragraphs": [{"context": "Some text.", "qas": questions}]}]}, indent=1)
    lines = text.split("\n")
    rows = read(tmp_path, text)
    assert [lines[row.line - 1].strip() for row in rows] == [f'"question": "Who is {n}?",' for n in range(3)]


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_each_row_has_the_encoding_of_its_place(tmp_path, newline):
    encodings = ["gb18030"] * 40 + ["utf-8"] * 40
    text = '{{\n  "question": "问题{}怎么办？",\n  "answer": "请先登录系统，然后再试一次。"\n}},\n'
    rows = [text.format(n).replace("\n", newline).encode(encoding) for n, encoding in enumerate(encodings)]
    path = tmp_path / "rows.json"
    path.write_bytes(b"[\n" + b"".join(rows) + b"]")
    content = Content(RawFile("rows.json", path, path.stat().st_size))
    assert [content.encoding_at(row.offset)[0] for row in read_rows(content)] == encodings


@pytest.mark.parametrize(
    "data",
    [
        "// rows\n[\n  /* the first */\n" + LINES.replace("\n", " // and\n,") + "\n]",
        "/* rows\n * of ours */\n[" + LINES.replace("\n", ",") + "]",
        "[\n  # the first\n" + LINES.replace("\n", ",\n  /* the second */") + "]",
    ],
)
def test_comments_between_rows_are_no_rows(tmp_path, data):
    assert messages(read(tmp_path, data)) == WANTED


def test_a_tab_in_a_text_stays(tmp_path):
    line = '{"question": "甲\t乙？", "answer": "一\t二。"}\n'
    assert messages(read(tmp_path, line * 2)) == [(("user", "甲\t乙？"), ("assistant", "一\t二。"))] * 2


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.csv", "rows.txt"])
@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_rows_are_json_whatever_ends_their_lines(tmp_path, name, end):
    assert messages(read(tmp_path, LINES.replace("\n", end) + end, name)) == WANTED


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_comments_end_with_their_lines_whatever_ends_those(tmp_path, end):
    rows = f"// rows{end}[{end}" + LINES.replace("\n", f",{end}") + f"{end}]{end}"
    assert messages(read(tmp_path, rows)) == WANTED
