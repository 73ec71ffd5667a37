"""The options of a multiple choice question are asked, and its answer is one of the letters shown."""

from typing import Any

import pytest

from qwen_pipeline.text.formats.records import row_of_record
from qwen_pipeline.text.formats.row import Found, Refused


@pytest.mark.parametrize("form", ["{}", "选项{}", "{}选项", "选项 {}", "option{}", "Option {}"])
@pytest.mark.parametrize(
    ("asked", "answered"), [("题干", "正确答案"), ("题目", "答案"), ("question", "answer")]
)
def test_a_row_of_a_sheet_is_asked_with_its_options(form: str, asked: str, answered: str) -> None:
    options = {
        form.format(letter): text for letter, text in zip("ABCD", ["位", "字节", "字", ""], strict=True)
    }
    row = row_of_record({asked: "存储的单位是（ ）", **options, answered: "B"}, 1, 0, {}, "refuse")
    assert isinstance(row, Found), row
    assert row.messages == (("user", "存储的单位是（ ）\nA. 位\nB. 字节\nC. 字"), ("assistant", "B"))


def test_options_without_an_answer_are_refused() -> None:
    row = row_of_record({"题目": "单位是（ ）", "A": "位", "B": "字节"}, 1, 0, {}, "refuse")
    assert isinstance(row, Refused), row


@pytest.mark.parametrize(
    "options",
    [
        {"options": ["Mars", "Jupiter"]},
        {"choices": {"text": ["Mars", "Jupiter"], "label": ["A", "B"]}},
        {"options": {"A": "Mars", "B": "Jupiter"}},
        {"choices": [{"label": "A", "text": "Mars"}, {"label": "B", "text": "Jupiter"}]},
        {"A": "Mars", "B": "Jupiter"},
    ],
)
@pytest.mark.parametrize("answer", ["answer", "answerKey"])
def test_the_options_of_a_multiple_choice_question_are_asked_with_it(
    options: dict[str, Any], answer: str
) -> None:
    if "A" in options and answer == "answerKey":
        options = {"options": options}
    row = row_of_record({"question": "Which is largest?", **options, answer: "B"}, 1, 0, {}, "refuse")
    assert isinstance(row, Found), row
    assert row.messages == (("user", "Which is largest?\nA. Mars\nB. Jupiter"), ("assistant", "B"))


@pytest.mark.parametrize(
    ("options", "answer", "trained"),
    [
        (["Mars", "Jupiter"], 1, "B"),
        (["Mars", "Jupiter"], 0, "A"),
        (["Mars", "Jupiter"], "1", "B"),
        (["0", "1", "2"], 2, "C"),
        (["0", "1", "2"], "2", "2"),  # the option itself
        ([3, 1, 2], 2, "2"),
        (["Mars", "Jupiter"], 2, "2"),  # the place of none
        (["Mars", "Jupiter"], "B", "B"),
        ([{"label": "1", "text": "Mars"}, {"label": "2", "text": "Jupiter"}], "1", "1"),
    ],
)
def test_the_place_of_the_right_option_is_trained_as_its_letter(
    options: list[Any], answer: Any, trained: str
) -> None:
    row = row_of_record({"question": "Which?", "choices": options, "answer": answer}, 1, 0, {}, "refuse")
    assert isinstance(row, Found), row
    assert row.messages[1] == ("assistant", trained)


@pytest.mark.parametrize("name", ["答案", "正确答案", "correct_answer", "answerKey", "answer_key"])
def test_the_place_is_read_under_every_name_of_an_answer(name: str) -> None:
    row = row_of_record({"question": "Which?", "choices": ["Mars", "Jupiter"], name: 1}, 1, 0, {}, "refuse")
    assert isinstance(row, Found) and row.messages[-1] == ("assistant", "B")


def test_options_that_the_question_shows_are_not_asked_twice() -> None:
    asked = "Which?\nA. Mars\nB. Jupiter"
    record = {"question": asked, "options": {"A": "Mars", "B": "Jupiter"}, "answer": "B"}
    row = row_of_record(record, 1, 0, {}, "refuse")
    assert isinstance(row, Found) and row.messages[0] == ("user", asked)


def test_an_option_that_is_missing_is_not_asked() -> None:
    record = {"question": "Which?", "options": {"A": "Mars", "B": "Jupiter", "E": None}, "answer": "B"}
    row = row_of_record(record, 1, 0, {}, "refuse")
    assert isinstance(row, Found) and row.messages[0] == ("user", "Which?\nA. Mars\nB. Jupiter")


def test_a_question_that_is_an_object_is_asked_with_its_options() -> None:
    choices = [{"label": "A", "text": "Mars"}, {"label": "B", "text": "Jupiter"}]
    record = {"id": "1", "question": {"stem": "Which is larger?", "choices": choices}, "answerKey": "B"}
    row = row_of_record(record, 1, 0, {}, "refuse")
    assert isinstance(row, Found), row
    assert row.messages == (("user", "Which is larger?\nA. Mars\nB. Jupiter"), ("assistant", "B"))


def test_each_question_of_a_list_is_asked_with_its_options() -> None:
    record = {
        "article": "Rome has two hills.",
        "questions": ["Where?", "How many?"],
        "options": [["Rome", "Oslo"], ["one", "two"]],
        "answers": ["A", "B"],
    }
    row = row_of_record(record, 1, 0, {}, "refuse")
    assert isinstance(row, Found), row
    assert [text for _, text in row.messages] == [
        "Where?\nA. Rome\nB. Oslo\nRome has two hills.", "A", "How many?\nA. one\nB. two", "B",
    ]  # fmt: skip


def test_all_letters_of_a_multiple_answer_are_learned() -> None:
    record = {"question": "Which?", "options": ["one", "two", "three"], "answer": ["A", "C"]}
    row = row_of_record(record, 1, 0, {}, "refuse")
    assert isinstance(row, Found), row
    assert row.messages == (("user", "Which?\nA. one\nB. two\nC. three"), ("assistant", "AC"))
    assert not row.notes


def test_an_empty_option_is_not_asked() -> None:
    row = row_of_record(
        {"question": "Which?", "option": {"A": "one", "B": "two", "E": ""}, "answer": "B"}, 1, 0, {}, "refuse"
    )
    assert isinstance(row, Found), row
    assert row.messages[0][1] == "Which?\nA. one\nB. two"


@pytest.mark.parametrize(
    "options", [["A. Mars", "B. Jupiter"], ["(A) Mars", "(B) Jupiter"], {"A": "A、Mars", "B": "B、Jupiter"}]
)
@pytest.mark.parametrize("name", ["question", "stem", "title", "content"])
def test_options_that_begin_with_their_letters_get_no_second_one(options: Any, name: str) -> None:
    row = row_of_record({"id": 1, name: "Which?", "options": options, "answer": "B"}, 1, 0, {}, "refuse")
    assert isinstance(row, Found), row
    assert row.messages == (("user", "Which?\nA. Mars\nB. Jupiter"), ("assistant", "B"))


def test_letters_of_some_options_alone_are_their_text() -> None:
    record = {"question": "Which?", "options": ["A. Einstein", "Bohr"], "answer": "B"}
    row = row_of_record(record, 1, 0, {}, "refuse")
    assert isinstance(row, Found) and row.messages[0] == ("user", "Which?\nA. A. Einstein\nB. Bohr")


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({"答案": "B", "解析": "乙对。"}, "B\n解析：乙对。"),
        ({"答案": "A,B", "答案解析": "【解析】都对。"}, "A,B\n【解析】都对。"),
        ({"answer": "B", "explanation": "Two is even."}, "B\nExplanation: Two is even."),
        ({"answer": "B", "explanation": float("nan")}, "B"),
        ({"answer": "B", "explanation": ""}, "B"),
        ({"answer": "正确", "解析": "宪法第一条。"}, "正确\n解析：宪法第一条。"),
        ({"answer": "Because two is even.", "explanation": "See above."}, "Because two is even."),
        ({"answer": "Bad", "explanation": "See above."}, "Bad"),
    ],
)
def test_why_a_letter_is_right_stands_under_it_as_in_documents(fields: dict[str, Any], answer: str) -> None:
    row = row_of_record({"question": "Which?", "A": "one", "B": "two", **fields}, 1, 0, {}, "refuse")
    assert isinstance(row, Found) and row.messages[-1] == ("assistant", answer)
