"""Questions and answers out of Markdown and plain text."""

import json
from difflib import SequenceMatcher
from pathlib import Path

import pytest

from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.row import Found, Refused
from qwen_pipeline.text.raw_file import RawFile
from qwen_pipeline.text.read_files import read_rows


def rows_of(path: Path, **options):
    return list(read_rows(Content(RawFile(path.name, path, path.stat().st_size), **options)))


def read(tmp_path: Path, text: str, name: str = "faq.md", **options):
    path = tmp_path / name
    path.write_bytes(text.encode())
    return rows_of(path, **options)


def pairs(rows):
    return [(row.messages[0][1], row.messages[1][1]) for row in rows if isinstance(row, Found)]


@pytest.mark.parametrize(
    "text",
    [
        "Q1: 怎么办？\nA1: 这样办。\n\nQ2: 然后呢？\nA2: 没了。\n",
        "Q: 怎么办？\n\nA: 这样办。\n\nQ: 然后呢？\n\nA: 没了。",
        "问：怎么办？\n答：这样办。\n问：然后呢？\n答：没了。",
        "问题1：怎么办？\n回答1：这样办。\n问题2：然后呢？\n回答2：没了。",
        "**Q1: 怎么办？**\n\n**A1:** 这样办。\n\n**Q2: 然后呢？**\n\n**A2:** 没了。",
        "**Q1:** 怎么办？\n\n**A1:** 这样办。\n\n**Q2:** 然后呢？\n\n**A2:** 没了。",
        "## Q1: 怎么办？\n这样办。\n## Q2: 然后呢？\n没了。\n",
        "# FAQ\n\n## 怎么办？\n\n这样办。\n\n## 然后呢？\n\n没了。\n",
        "# 常见问题\n\n### 1. 怎么办？\n\n这样办。\n\n### 2. 然后呢？\n\n没了。\n",
        "1. **怎么办？**\n\n这样办。\n\n2. **然后呢？**\n\n没了。\n",
        "Ｑ１：怎么办？\r\nＡ１：这样办。\r\nＱ２：然后呢？\r\nＡ２：没了。\r\n",
        "Q1: 怎么办？\rA1: 这样办。\rQ2: 然后呢？\rA2: 没了。",
        "Q1: 怎么办？ A1: 这样办。\nQ2: 然后呢？ A2: 没了。\n",
        "Frage: 怎么办？\nAntwort: 这样办。\n\nFrage 2: 然后呢？\nAntwort 2: 没了。\n",
        "Вопрос: 怎么办？\nОтвет: 这样办。\n\n**Вопрос:** 然后呢？\n**Ответ:** 没了。\n",
        "Pregunta: 怎么办？ Respuesta: 这样办。\nPregunta: 然后呢？ Respuesta: 没了。\n",
        "Question : 怎么办？\nRéponse : 这样办。\nQuestion : 然后呢？\nRéponse : 没了。\n",
        "Q: 怎么办？\u2028A: 这样办。\u2028\u2028Q: 然后呢？\u2028A: 没了。\u2028",
        "问：怎么办？\u2029答：这样办。\u2029问：然后呢？\u2029答：没了。",
        "### 问题1\n\n怎么办？\n\n### 回答1\n\n这样办。\n\n### 问题2\n\n然后呢？\n\n### 回答2\n\n没了。\n",
    ],
)
def test_every_real_form_gives_the_same_pairs(tmp_path, text):
    assert pairs(read(tmp_path, text)) == [("怎么办？", "这样办。"), ("然后呢？", "没了。")]


def test_a_row_knows_its_line_where_separators_of_unicode_end_lines_too(tmp_path):
    rows = read(tmp_path, "# FAQ\n\nQ: 怎么办？\u2028A: 这样办。\n\nQ: 然后呢？\nA: 没了。\n")
    assert [(row.line, row.offset) for row in rows] == [(3, 7), (5, 24)]


@pytest.mark.parametrize(
    "text",
    [
        "Die Frage: offen.\nDie Antwort: keine.\n\nNoch ein Satz.\n",
        "На этот вопрос: нет ответа.\nВ ответ: ничего.\n",
        "Fragen und Antworten\n\nEin Text ohne Paare.\n",
    ],
)
def test_prose_that_speaks_of_questions_is_no_list_of_them(tmp_path, text):
    assert pairs(read(tmp_path, text, "notes.txt")) == []


def test_marks_inside_code_fences_belong_to_the_answer(tmp_path):
    text = "Q1: 怎么写？\nA1: 这样：\n\n```\nQ: 1\nA: 2\n```\n\n好。\n\nQ2: 还有？\nA2: 无。\n"
    assert pairs(read(tmp_path, text)) == [
        ("怎么写？", "这样：\n\n```\nQ: 1\nA: 2\n```\n\n好。"),
        ("还有？", "无。"),
    ]


def test_an_unanswered_question_is_reported_with_its_line(tmp_path):
    rows = read(tmp_path, "Q1: 甲？\nA1: 一。\n\nQ2: 乙？\n\nQ3: 丙？\nA3: 三。\n")
    assert pairs(rows) == [("甲？", "一。"), ("丙？", "三。")]
    assert [(row.line, row.reason.value) for row in rows if isinstance(row, Refused)] == [
        (4, "missing_answer")
    ]


def test_answers_before_their_questions_are_paired_by_number(tmp_path):
    assert pairs(read(tmp_path, "A1: 一。\n\nQ1: 甲？\n\nA2: 二。\n\nQ2: 乙？\n")) == [
        ("甲？", "一。"),
        ("乙？", "二。"),
    ]


def test_prose_with_headings_is_no_list_of_questions(tmp_path):
    rows = read(tmp_path, "# 简介\n\n一段话。\n\n## 安装\n\n先装。\n\n## 使用\n\n再用。\n")
    assert [row.reason.value for row in rows] == ["no_pairs"]


def test_named_speakers_make_one_conversation(tmp_path):
    rows = read(
        tmp_path,
        "来访者：你好。\n\n咨询师：请说。\n\n来访者：我累。\n\n咨询师：休息。\n",
        speakers={"来访者": "user", "咨询师": "assistant"},
    )
    assert [role for role, _ in rows[0].messages] == ["user", "assistant"] * 2


def test_lines_are_counted_from_one(tmp_path):
    rows = read(tmp_path, "\n\nQ1: 甲？\nA1: 一。\n")
    assert rows[0].line == 3


def test_real_documents_reach_the_figures(shared_dir):
    right = exact = expected = given = 0
    for truth_file in sorted((shared_dir / "data/markdown/truth").glob("*.jsonl")):
        truth = [json.loads(line) for line in truth_file.read_text("utf-8").splitlines()]
        source = next((shared_dir / "data/markdown").glob(truth_file.name.split(".")[0] + ".*"))
        got = pairs(rows_of(source))
        expected, given = expected + len(truth), given + len(got)
        for want in truth:
            for question, answer in got:
                if " ".join(question.split()) not in (" ".join(want[k].split()) for k in ("q", "q_clean")):
                    continue
                if SequenceMatcher(None, answer, want["a"], autojunk=False).ratio() >= 0.98:
                    right += 1
                    exact += answer == want["a"]
                    break
    assert right >= 0.99 * expected
    assert right >= 0.99 * given
    assert exact >= 0.97 * expected
