"""Documents of less usual shapes: folded and quoted answers, bold questions with the answer behind them, YAML, labelled pairs."""

import json
from pathlib import Path

import pytest

from documents import pairs_in
from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.registry import rows_of
from qwen_pipeline.text.formats.row import Found, Refused
from qwen_pipeline.text.raw_file import RawFile
from qwen_pipeline.text.schema import RejectReason


def read(folder: Path, name: str, text: str) -> list[Found | Refused]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    rows = rows_of(Content(RawFile(name=name, path=path, size=path.stat().st_size)))
    assert rows is not None
    return list(rows)


def pairs(rows: list[Found | Refused]) -> list[tuple[int, str, str]]:
    """Line, question and answer; a refusal would be no pair."""
    found = []
    for row in rows:
        assert isinstance(row, Found), row
        (asked, question), (answered, answer) = row.messages
        assert (asked, answered) == ("user", "assistant")
        found.append((row.line, question, answer))
    return found


FOLDED = """# FAQ
<details>
<summary>How do I reset it?</summary>

Press **reset**.

<details><summary>More</summary>Or pull the plug.</details>
</details>

<details open><summary><b>2. 怎么退款？</b></summary>联系客服。</details>
"""
QUOTED_MARKS = "> **Q:** What is it?\n\n**A:** A thing.\n\n> **Q:** Why?\n> A: Because.\n> More of it.\n"
QUOTED_QUESTIONS = "> 如何重置密码？\n\n进入设置页。\n\n> **如何退款？**\n\n联系客服。\n三天到账。\n"
BOLD_WITH_ANSWER = "- **What is it?** A thing.\n- **Why?** Because.\n  More on it.\n\n**Who?** We."


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            FOLDED,
            [
                (2, "How do I reset it?", "Press **reset**.\n\n<details><summary>More</summary>Or pull the plug.</details>"),
                (10, "怎么退款？", "联系客服。"),
            ],
        ),
        (QUOTED_MARKS, [(1, "What is it?", "A thing."), (5, "Why?", "Because.\nMore of it.")]),
        (QUOTED_QUESTIONS, [(1, "如何重置密码？", "进入设置页。"), (5, "如何退款？", "联系客服。\n三天到账。")]),
        (BOLD_WITH_ANSWER, [(1, "What is it?", "A thing."), (2, "Why?", "Because.\nMore on it."), (5, "Who?", "We.")]),
        ("提问者：甲是什么？\n回答者：是甲。\n提问者：乙呢？\n回答者：是乙。\n", [(1, "甲是什么？", "是甲。"), (3, "乙呢？", "是乙。")]),
    ],
    ids=["folded", "quoted marks", "quoted questions", "bold with answer", "named askers"],
)  # fmt: skip
def test_a_document_of_this_shape_gives_its_pairs(
    tmp_path: Path, text: str, expected: list[tuple[int, str, str]]
) -> None:
    found = pairs(read(tmp_path, "faq.md", text))
    assert found == expected


@pytest.mark.parametrize(
    "text",
    [
        "# Notes\n\n> A quotation without a question.\n\nText.\n\n<details><summary>Log</summary>lines</details>\n",
        "<details><summary>Screenshots</summary>png</details>\n<details><summary>Full trace</summary>at 0x0</details>\n",
        "Some **bold words** here.\n\n**A claim.** And its proof.\n\n**Another claim.** And more.\n",
    ],
)
def test_ordinary_prose_is_no_list_of_questions(tmp_path: Path, text: str) -> None:
    (row,) = read(tmp_path, "notes.md", text)
    assert isinstance(row, Refused)
    assert row.reason == RejectReason.NO_PAIRS


def test_bold_lines_are_the_questions_where_answers_hold_bold_questions_too(tmp_path: Path) -> None:
    text = "**What?**\n\n**Really?** Yes, that.\n\n**Why?**\n\nBecause.\n"
    assert pairs(read(tmp_path, "a.md", text)) == [
        (1, "What?", "**Really?** Yes, that."),
        (5, "Why?", "Because."),
    ]


YAML_LIST = """# comment
- question: 什么是过拟合？
  answer: |
    模型记住了训练数据。

    泛化差。
- question: "What is LoRA: a method?"
  answer: yes
"""


@pytest.mark.parametrize("name", ["a.yaml", "a.yml", "a.txt"])
def test_a_list_of_records_in_yaml_is_read_item_by_item(tmp_path: Path, name: str) -> None:
    assert pairs(read(tmp_path, name, YAML_LIST)) == [
        (2, "什么是过拟合？", "模型记住了训练数据。\n\n泛化差。"),
        (7, "What is LoRA: a method?", "yes"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version: 1\ndata:\n  - instruction: Do x\n    output: done\n  - instruction: Do y\n    output: ok\n",
         [(3, "Do x", "done"), (5, "Do y", "ok")]),
        ("---\nmessages:\n  - role: user\n    content: hi\n  - role: assistant\n    content: hello\n---\n"
         "messages:\n- {role: user, content: a}\n- {role: assistant, content: b}\n", [(2, "hi", "hello"), (8, "a", "b")]),
        ("什么是甲？: 是甲。\n什么是乙？: 是乙。\n", [(1, "什么是甲？", "是甲。"), (1, "什么是乙？", "是乙。")]),
        ("%YAML 1.2\n---\n- {question: a?, answer: b}\n...\n", [(3, "a?", "b")]),
        ("- [问一？, 答一]\n- [问二？, 答二]\n", [(1, "问一？", "答一"), (2, "问二？", "答二")]),
    ],
)  # fmt: skip
def test_yaml_of_other_layouts_is_read(
    tmp_path: Path, text: str, expected: list[tuple[int, str, str]]
) -> None:
    assert pairs(read(tmp_path, "a.yaml", text)) == expected


def test_a_broken_item_is_refused_with_its_line_and_the_next_is_read(tmp_path: Path) -> None:
    text = '- question: a?\n  answer: b\n- question: "open\n  answer: x\n- question: c?\n  answer: d\n'
    first, broken, last = read(tmp_path, "a.yaml", text)
    assert isinstance(first, Found) and isinstance(last, Found)
    assert isinstance(broken, Refused)
    assert (broken.line, broken.reason) == (3, RejectReason.MALFORMED_ROW)
    assert "YAML" in broken.detail


def test_aliases_that_multiply_and_deep_nesting_are_one_refusal(tmp_path: Path) -> None:
    bomb = "- question: a?\n  answer: b\n- x0: &x0 [a, a, a, a, a, a, a, a, a, a]\n" + "".join(
        f"  x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]\n" for n in range(1, 12)
    )
    _, refused = read(tmp_path, "bomb.yaml", bomb)
    assert isinstance(refused, Refused) and "aliases" in refused.detail
    _, refused = read(tmp_path, "deep.yaml", "- question: a?\n  answer: b\n- " + "[" * 100_000 + "\n")
    assert isinstance(refused, Refused) and refused.reason == RejectReason.MALFORMED_ROW


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        ("- id: meta\n  version: 2\n", "unknown_fields"),
        ("- question: and no answer\n", "unknown_fields"),
        ("- question: a: colon\n  answer: b\n", "malformed_row"),
        ("version: 1\nname: faq\n---\n", "unknown_fields"),
    ],
)
def test_a_first_item_that_is_no_row_is_reported_and_the_rest_is_yaml_all_the_same(
    tmp_path: Path, first: str, reason: str
) -> None:
    text = f"{first}- question: \"运费: 谁付？\"\n  answer: |\n    第一步。\n      第二步。\n- question: q\n  answer: 'it''s'\n"
    rows = read(tmp_path, "a.yaml", text)
    assert [row.reason.value for row in rows if isinstance(row, Refused)] == [reason]
    kept = [row.messages for row in rows if isinstance(row, Found)]
    assert [tuple(text for _, text in turns) for turns in kept] == [
        ("运费: 谁付？", "第一步。\n  第二步。"),
        ("q", "it's"),
    ]


def test_marks_in_a_file_named_yaml_that_is_none_are_read_as_marks(tmp_path: Path) -> None:
    text = "Q: what: this?\nA: that\n\nQ: and this?\nA: those\n"
    assert pairs(read(tmp_path, "a.yaml", text)) == [(1, "what: this?", "that"), (4, "and this?", "those")]


@pytest.mark.parametrize(
    "text", ['["问？", "答"]', '["问？", "答"]\n', '[["问？", "答"]]', '\ufeff["问？","答"]']
)
def test_one_pair_as_a_json_array_is_a_pair(tmp_path: Path, text: str) -> None:
    assert [row[1:] for row in pairs(read(tmp_path, "a.json", text))] == [("问？", "答")]


def test_a_prompt_that_ends_with_the_assistants_mark_is_a_conversation(tmp_path: Path) -> None:
    rows = [
        {"prompt": "\n\nHuman: hi\n\nAssistant:", "completion": " hello"},
        {"prompt": "\n\nHuman: hi\n\nAssistant: ho\n\nHuman: more\n\nAssistant:", "chosen": " yes", "rejected": "no"},
        {"prompt": "Write a dialogue with Human: and Assistant:, please", "completion": "Sure."},
    ]  # fmt: skip
    found = read(tmp_path, "a.jsonl", "\n".join(map(json.dumps, rows)))
    assert [row.messages for row in found if isinstance(row, Found)] == [
        (("user", "hi"), ("assistant", "hello")),
        (("user", "hi"), ("assistant", "ho"), ("user", "more"), ("assistant", "yes")),
        (("user", rows[2]["prompt"]), ("assistant", "Sure.")),
    ]


def test_an_answer_labelled_false_is_not_learned(tmp_path: Path) -> None:
    rows = [
        {"prompt": "a", "completion": "b", "label": True},
        {"prompt": "c", "completion": "d", "label": False},
    ]
    good, bad = read(tmp_path, "kto.jsonl", "\n".join(map(json.dumps, rows)))
    assert isinstance(good, Found)
    assert isinstance(bad, Refused) and bad.reason == RejectReason.UNDESIRED_ANSWER


@pytest.mark.parametrize(
    "answer",
    [
        "See this.\n<details><summary>Log</summary>\nlines\n</details>",
        "See this.\n<details>\nlines\n</details>\nDone.",
    ],
)
def test_something_folded_within_an_answer_is_part_of_it(tmp_path: Path, answer: str) -> None:
    text = f"# FAQ\n\n## What is a?\n\nIt is a.\n\n## What is b?\n\n{answer}\n"
    assert [pair[1:] for pair in pairs(read(tmp_path, "faq.md", text))][1] == ("What is b?", answer)


@pytest.mark.parametrize("form", ["## {}\n\n{}\n\n", "**{}**\n\n{}\n\n", "{}\n答：{}\n\n"])
def test_one_quoted_pair_is_part_of_an_answer(tmp_path: Path, form: str) -> None:
    quoted = "As here:\n> Q: Your name?\n> A: Bob\n\nFill it in."
    expected = [("What is a?", "It is a."), ("What is b?", quoted), ("What is c?", "It is c.")]
    text = "".join(form.format(*pair) for pair in expected)
    assert [pair[1:] for pair in pairs(read(tmp_path, "faq.md", text))] == expected


@pytest.mark.parametrize("rule", ["|-|-|", "|:-|-:|", "| --- | --- |", "-|-"])
def test_one_hyphen_is_a_tables_rule(tmp_path: Path, rule: str) -> None:
    text = f"|问|答|\n{rule}\n|能退吗|能|\n|能换吗|也能|\n"
    assert pairs_in(tmp_path, "faq.md", text) == [("能退吗", "能"), ("能换吗", "也能")]
