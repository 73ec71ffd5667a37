"""Fields and shapes that data sets of several languages and makers use."""

import json

import pytest

from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.row import Found
from qwen_pipeline.text.raw_file import RawFile
from qwen_pipeline.text.read_files import read_rows
from qwen_pipeline.text.schema import RejectReason

QUESTION, ANSWER = "甲是什么？", "一。"
PAIR = [("user", QUESTION), ("assistant", ANSWER)]
THOUGHT = [("user", QUESTION), ("assistant", f"<think>\n想\n</think>\n\n{ANSWER}")]


def rows_of(folder, name, text):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return list(read_rows(Content(RawFile(name, path, path.stat().st_size))))


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("Frage", "Antwort"),
        ("Вопрос", "Ответ"),
        ("Question", "Réponse"),
        ("Pregunta", "Respuesta"),
        ("Pergunta", "Resposta"),
        ("Domanda", "Risposta"),
        ("Soru", "Cevap"),
        ("Câu hỏi", "Trả lời"),
        ("คำถาม", "คำตอบ"),
        ("السؤال", "الجواب"),
        ("प्रश्न", "उत्तर"),
        ("用户问题", "标准答案"),
        ("FAQ问题", "FAQ答案"),
        ("faq_question", "faq_answer"),
        ("问题：", "答案:"),
        ("留言详情", "答复意见"),
        ("来信内容", "回复意见"),
        ("问句", "答句"),
        ("お問い合わせ内容", "回答内容"),
        ("user_input", "bot_response"),
        ("用户提问", "标准回复"),
        ("题目", "参考答案"),
        ("咨询内容", "回复内容"),
        ("问题描述", "解决方案"),
        ("常见问题", "解答"),
        ("标准问法", "标准答案"),
        ("用户问题", "机器人回答"),
        ("题干", "正确答案"),
        ("Customer Question", "Agent Response"),
        ("content", "summary"),
        ("title", "answer"),
    ],
)
def test_a_pair_is_known_by_its_fields(tmp_path, asked, answered):
    tables = [
        ("rows.jsonl", json.dumps({asked: QUESTION, answered: ANSWER}, ensure_ascii=False) + "\n"),
        ("rows.csv", f"{asked},{answered}\n{QUESTION},{ANSWER}\n"),
    ]
    for name, text in tables:
        assert [list(row.messages) for row in rows_of(tmp_path, name, text)] == [PAIR]


@pytest.mark.parametrize(
    ("record", "turns"),
    [
        ({"input": QUESTION, "reasoning_content": "想", "content": ANSWER, "score": 9}, THOUGHT),
        ({"question": QUESTION, "reasoning_content": "想", "content": ANSWER}, THOUGHT),
        ({"id": "0", "data": [QUESTION, ANSWER]}, PAIR),
        ({"qid": 1, "category": "教育", "title": QUESTION, "desc": "", "answer": ANSWER}, PAIR),
        (
            {"title": QUESTION, "desc": "如题", "answer": ANSWER},
            [("user", f"{QUESTION}\n如题"), ("assistant", ANSWER)],
        ),
        (
            {"question": "is it", "passage": "It is.", "answer": True},
            [("user", "is it\nIt is."), ("assistant", "true")],
        ),
    ],
)
def test_a_shape_of_a_known_data_set(tmp_path, record, turns):
    found = rows_of(tmp_path, "rows.jsonl", json.dumps(record, ensure_ascii=False) + "\n")
    assert [list(row.messages) for row in found] == [turns]


def test_an_article_with_a_summary_and_a_title_is_no_pair(tmp_path):
    record = {"title": "题", "content": "文", "summary": "要"}
    assert not isinstance(rows_of(tmp_path, "rows.jsonl", json.dumps(record) + "\n")[0], Found)


def test_messages_labelled_false_are_refused(tmp_path):
    messages = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": ANSWER}]
    lines = [json.dumps({"messages": messages, "label": label}) for label in (True, False, 1, 0)]
    found = rows_of(tmp_path, "rows.jsonl", "\n".join(lines))
    assert [isinstance(row, Found) for row in found] == [True, False, True, True]
    assert found[1].reason == RejectReason.UNDESIRED_ANSWER


@pytest.mark.parametrize("layout", ["lines", "array", "pretty"])
def test_lists_of_several_lengths_are_said_in_turn_and_of_one_length_are_none(tmp_path, layout):
    def write(lists):
        if layout == "lines":
            return "\n".join(json.dumps(one, ensure_ascii=False) for one in lists)
        return json.dumps(lists, ensure_ascii=False, indent=1 if layout == "pretty" else None)

    found = rows_of(
        tmp_path, "a.json", write([["甲？", "一", "乙？", "二"], ["丙？", "三"], ["丁？", "四", "戊？"]])
    )
    assert [[text for _, text in row.messages] for row in found] == [
        ["甲？", "一", "乙？", "二"],
        ["丙？", "三"],
        ["丁？", "四"],
    ]
    found = rows_of(tmp_path, "b.json", write([["1", "甲？", "一"], ["2", "乙？", "二"]]))
    assert not any(isinstance(row, Found) for row in found)


@pytest.mark.parametrize(
    ("user", "assistant"), [("用户", "客服"), ("患者", "医生"), ("买家", "卖家"), ("来访者", "咨询师")]
)
def test_speakers_of_a_conversation_may_be_named_by_what_they_are(tmp_path, user, assistant):
    record = {"dialogue": [{"speaker": user, "text": QUESTION}, {"speaker": assistant, "text": ANSWER}]}
    (row,) = rows_of(tmp_path, "t.jsonl", json.dumps(record, ensure_ascii=False) + "\n")
    assert list(row.messages) == PAIR
