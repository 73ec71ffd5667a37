"""Dialogues: a name before a colon, as a heading, or beside the time as chat programs write it."""

from pathlib import Path

import pytest

from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.row import Found
from qwen_pipeline.text.raw_file import RawFile
from qwen_pipeline.text.read_files import read_rows

TURNS = [
    ("user", "如何注册"),
    ("assistant", "打开官网。\n\n很快。"),
    ("user", "谢谢"),
    ("assistant", "不客气"),
]


def rows_of(folder: Path, text: str, **options):
    path = folder / "chat.txt"
    path.write_text(text, encoding="utf-8")
    return list(read_rows(Content(RawFile(path.name, path, path.stat().st_size), **options)))


@pytest.mark.parametrize(
    ("user", "assistant"),
    [
        ("客户：", "客服："),
        ("患者：", "医生："),
        ("用户：", "机器人："),
        ("客户：", "智能客服："),
        ("来访者：", "咨询师："),
        ("**You:**\n", "**ChatGPT:**\n"),
        ("You said:\n", "ChatGPT said:\n"),
        ("## User\n\n", "## Assistant\n\n"),
        ("# User:\n", "# Assistant:\n"),
        ("[2024-01-02 10:11] 客户：", "[2024-01-02 10:12:01] 客服："),
        ("2024-01-02 10:11:12 客户(12345)\n", "2024-01-02 10:12:12 客服<a@b.cn>\n"),
        ("客户 2024/1/2 10:11:12\n", "客服 2024/1/2 10:12:12\n"),
        ("客户 10:11\n", "客服 10:12\n"),
    ],
)
def test_a_dialogue_of_this_form_is_one_conversation(tmp_path, user, assistant):
    begin = {"user": user, "assistant": assistant}
    text = "\n\n".join(begin[role] + said for role, said in TURNS) + "\n"
    (row,) = rows_of(tmp_path, text)
    assert list(row.messages) == TURNS


def test_names_that_the_user_maps_may_stand_beside_the_time(tmp_path):
    text = "2024-01-02 10:11:12 张三\n如何注册\n\n2024-01-02 10:12:12 李四\n打开官网。\n"
    (row,) = rows_of(tmp_path, text, speakers={"张三": "user", "李四": "assistant"})
    assert list(row.messages) == [("user", "如何注册"), ("assistant", "打开官网。")]


def test_sections_about_customers_and_agents_are_no_dialogue(tmp_path):
    assert not any(
        isinstance(row, Found) for row in rows_of(tmp_path, "## 客户\n\n名单。\n\n## 客服\n\n电话。\n")
    )


def test_a_talk_quoted_in_an_answer_is_no_dialogue(tmp_path):
    text = "**1. How to begin?**\n\nCustomer: Hello.\nAgent: Hi.\n\n**2. How to end?**\n\nSay goodbye.\n"
    assert [row.messages[0][1] for row in rows_of(tmp_path, text)] == ["How to begin?", "How to end?"]


@pytest.mark.parametrize(
    "quoted", ["Bot: 13:00\nAgent: 14:00", "用户：你好\n客服：您好", "客服 10:02\n您好\n用户 10:03\n你好"]
)
def test_other_speakers_within_an_answer_begin_no_turn(tmp_path, quoted):
    said = ["What is a?", "It is a.", "What is b?", f"This:\n{quoted}", "What is c?", "It is c."]
    names = ("User", "Assistant")
    text = "".join(f"{names[at % 2]}: {words}\n" for at, words in enumerate(said))
    (row,) = rows_of(tmp_path, text)
    assert [content for _, content in row.messages] == said


@pytest.mark.parametrize(
    "form",
    ["2023-05-01 10:1{n} {name}\n{text}\n\n", "{name} 10:1{n}\n{text}\n", "[10:1{n}] {name}：{text}\n"],
)
def test_an_export_whose_speakers_nobody_knows_is_refused_with_what_names_them(
    tmp_path: Path, form: str
) -> None:
    said = [("阿明", "有货吗？"), ("数码店小李", "有货。"), ("阿明", "多久到？"), ("数码店小李", "明天。")]
    text = "".join(form.format(n=n, name=name, text=words) for n, (name, words) in enumerate(said))
    (row,) = rows_of(tmp_path, text)
    assert row.reason.value == "no_pairs" and "speakers: {阿明: user, 数码店小李: assistant}" in row.detail
    (row,) = rows_of(tmp_path, text, speakers={"阿明": "user", "数码店小李": "assistant"})
    assert [words for _, words in row.messages] == [words for _, words in said]
    (row,) = rows_of(tmp_path, text.replace("数码店小李", "客服"))
    assert "speakers: {阿明: user}" in row.detail


@pytest.mark.parametrize(
    "text", ["10:00 晨会\n", "".join(f"10:0{n} ERROR {n}\n" for n in range(9)), "散文一段。\n"]
)
def test_times_beside_other_things_name_no_speakers(tmp_path: Path, text: str) -> None:
    assert all("speakers" not in row.detail for row in rows_of(tmp_path, text))
