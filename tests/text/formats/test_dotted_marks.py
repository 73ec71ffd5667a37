"""Marks with a stop, ``Q.1`` and ``A.``, are questions and answers where the document is written in them, and nowhere else."""

from itertools import product
from pathlib import Path

import pytest

from documents import pairs_in

EXPECTED = [("What is a?", "It is a.\nAnd more."), ("What is b?", "It is b.")]


def pairs(folder: Path, text: str, name: str = "faq.txt") -> list[tuple[str, str]]:
    return pairs_in(folder, name, text)


@pytest.mark.parametrize(
    "text",
    [
        "Q.1 What is a?\nA. It is a.\nAnd more.\n\nQ.2 What is b?\nA. It is b.\n",
        "Q.1. What is a?\nA.1. It is a.\nAnd more.\n\nQ.2. What is b?\nA.2. It is b.\n",
        "Q. What is a?\nA. It is a.\nAnd more.\n\nQ. What is b?\nA. It is b.\n",
        "Q1. What is a?\nA. It is a.\nAnd more.\n\nQ2. What is b?\nA. It is b.\n",
        "Q1. What is a?\nA1. It is a.\nAnd more.\n\nQ2. What is b?\nA2. It is b.\n",
        "**Q.1 What is a?**\n\n**A.** It is a.\nAnd more.\n\n**Q.2 What is b?**\n\n**A.** It is b.\n",
    ],
)
@pytest.mark.parametrize("name", ["faq.txt", "faq.md"])
def test_marks_with_a_stop_are_taken_off(tmp_path: Path, text: str, name: str) -> None:
    assert pairs(tmp_path, text, name) == EXPECTED


def test_options_of_an_exam_are_no_answers(tmp_path: Path) -> None:
    text = "Q.1 Which one?\nA. Mars\nB. Venus\nAnswer: B\n\nQ.2 And here?\nA. x\nB. y\nAnswer: A\n"
    assert pairs(tmp_path, text) == [
        ("Which one?\nA. Mars\nB. Venus", "B"),
        ("And here?\nA. x\nB. y", "A"),
    ]


def test_an_author_or_an_appendix_in_an_answer_stays_text(tmp_path: Path) -> None:
    text = "Q: Who wrote it?\nA: Two people.\nA. Smith and\nA.1 Jones.\n\nQ: When?\nA: Then.\n"
    assert pairs(tmp_path, text)[0] == ("Who wrote it?", "Two people.\nA. Smith and\nA.1 Jones.")


@pytest.mark.parametrize(
    "text",
    [
        "A. Smith wrote the first part.\nB. Jones the second.\n\nQ. Lee read it.\n",
        "A.1 Scope\nThis is the scope.\nA.2 Terms\nThese are the terms.\n",
    ],
)
def test_prose_with_initials_or_sections_has_no_pairs(tmp_path: Path, text: str) -> None:
    assert pairs(tmp_path, text, "notes.txt") == []


@pytest.mark.parametrize(
    ("asks", "answers"),
    [
        ("Q{}　", "A{}　"),
        ("Q{} ", "A{} "),
        ("Ｑ．", "Ａ．"),
        ("Q．", "A．"),
        ("F: ", "A: "),
        ("Q : ", "R : "),
        ("P{}: ", "R{}: "),
        ("В: ", "О: "),
        ("S: ", "C: "),
        ("س{}: ", "ج{}: "),
        ("문: ", "답: "),
        ("Soru {}: ", "Cevap {}: "),
        ("Câu hỏi {}: ", "Trả lời: "),
        ("Hỏi: ", "Đáp: "),
        ("คำถาม: ", "คำตอบ: "),
        ("السؤال: ", "الجواب: "),
        ("प्रश्न {}: ", "उत्तर {}: "),
        ("■Q：", "□A："),
        ("◆问：", "◇答："),
        ("标准问题：", "标准答案："),
        ("题目{}：", "参考答案："),
        ("第{}题 ", "答案："),
    ],
)
def test_marks_of_other_languages_and_without_a_sign(tmp_path: Path, asks: str, answers: str) -> None:
    text = "\n\n".join(
        f"{asks.format(at)}{question}\n{answers.format(at)}{answer}"
        for at, (question, answer) in enumerate(EXPECTED, 1)
    )
    assert pairs(tmp_path, text) == EXPECTED


def test_marks_may_touch_chinese(tmp_path: Path) -> None:
    text = "Q1如何注册\nA1打开官网。\nQ2如何退款\nA2联系客服。\n"
    assert pairs(tmp_path, text) == [("如何注册", "打开官网。"), ("如何退款", "联系客服。")]


def test_paper_and_quarters_are_no_marks(tmp_path: Path) -> None:
    text = "Q1 用什么纸\nA1 如下：\nA4 纸即可。\nQ3 以后用 A3 纸。\nQ2 何时\nA2 明天。\n"
    assert pairs(tmp_path, text) == [
        ("用什么纸", "如下：\nA4 纸即可。\nQ3 以后用 A3 纸。"),
        ("何时", "明天。"),
    ]


def test_drives_are_no_answers(tmp_path: Path) -> None:
    text = "Q: Which drives?\nA: Two:\nS: the share\nC: the system\n\nQ: More?\nA: No.\nS: x\n"
    assert pairs(tmp_path, text)[0] == ("Which drives?", "Two:\nS: the share\nC: the system")


@pytest.mark.parametrize(
    ("asks", "answers"),
    [("第{}问：", "第{}答："), ("Question No. {}: ", "Answer: "), ("问题{}\n", "答案{}\n")],
)
def test_numbers_in_a_mark_and_marks_on_lines_of_their_own(tmp_path: Path, asks: str, answers: str) -> None:
    text = "\n\n".join(
        f"{asks.format(at)}{question}\n{answers.format(at)}{answer}"
        for at, (question, answer) in enumerate(EXPECTED, 1)
    )
    assert pairs(tmp_path, text) == EXPECTED


def test_code_behind_the_first_line_of_an_answer_keeps_all_its_indent(tmp_path: Path) -> None:
    for indent in ("    ", "\t"):
        answer = f"So:\n\n{indent}def f():\n{indent}{indent}return 1"
        assert pairs(tmp_path, f"Q: How?\nA: {answer}\n\nQ: And?\nA: No.\n")[0] == ("How?", answer)


@pytest.mark.parametrize("form", ["**{}. {}**\n\n{}", "{}. **{}**\n\n{}"])
def test_a_bold_line_with_the_next_number_asks_without_a_question_mark(tmp_path: Path, form: str) -> None:
    expected = [
        ("What is a?", "It is a.\n\n**Note**\n\nAnd more."),
        ("Define b", "It is b."),
        ("What is c?", "It is c."),
    ]
    text = "\n\n".join(form.format(at, *pair) for at, pair in enumerate(expected, 1))
    assert pairs(tmp_path, text + "\n") == expected


_UNMARKED = ("## {1}\n\n{2}\n\n", "**{1}**\n\n{2}\n\n")
_MARKED = ("Q{0}: {1}\nA{0}: {2}\n\n", "问：{1}\n答：{2}\n\n", "Frage: {1}\nAntwort: {2}\n\n")


@pytest.mark.parametrize(
    ("form", "answer"),
    [
        *product(
            (*_MARKED, *_UNMARKED),
            ("Sales:\nQ1 2024 was good.\nQ2 2024 was better.\nQ3 2024 fell.", "Ask Susan.\nQ. Miller knows all."),
        ),
        *product(
            _UNMARKED,
            ("Legend:\nF: forward\nA: align\nF: fast\nA: all", "Figures:\nP: 0.05\nR: 0.8\nP: 0.01\nR: 0.9"),
        ),
    ],
)  # fmt: skip
def test_quarters_initials_and_legends_in_an_answer_are_no_marks(
    tmp_path: Path, form: str, answer: str
) -> None:
    expected = [("What is a?", "It is a."), ("What is b?", answer), ("What is c?", "It is c.")]
    text = "".join(form.format(at, *pair) for at, pair in enumerate(expected, 1))
    assert pairs(tmp_path, text) == expected


@pytest.mark.parametrize("form", ["{}、{}\n答：{}\n\n", "F: {1}\nA: {2}\n\n"])
def test_an_initial_makes_no_question_where_marks_are_others(tmp_path: Path, form: str) -> None:
    expected = [("What is a?", "It is a."), ("Who is b?", "Ask.\nQ. Miller knows."), ("What is c?", "c.")]
    text = "".join(form.format(at, *pair) for at, pair in enumerate(expected, 1))
    assert pairs(tmp_path, text) == expected


@pytest.mark.parametrize("options", ["A. Basic\nB. Pro", "\nA) Basic\nB) Pro"])
def test_options_in_an_answer_leave_the_marks_of_the_document(tmp_path: Path, options: str) -> None:
    text = f"Q. What is a?\nA. It is a.\n\nQ. Which plans?\nA. These:\n{options}\n"
    assert pairs(tmp_path, text) == [("What is a?", "It is a."), ("Which plans?", f"These:\n{options}")]


def test_letters_below_other_lines_are_marks_where_one_of_them_asks(tmp_path: Path) -> None:
    text = "Inhalt\n\n" + "".join(
        f"F: {asked}\nA: {said}\n\n"
        for asked, said in [("Wie geht es?", "Gut."), ("Nenne eins", "Das."), ("Nenne zwei", "Die.")]
    )
    assert [asked for asked, _ in pairs_in(tmp_path, "faq.md", text)] == [
        "Wie geht es?",
        "Nenne eins",
        "Nenne zwei",
    ]
