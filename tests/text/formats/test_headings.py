"""Which headings of a document are its questions."""

from pathlib import Path

import pytest

from documents import pairs_in

ASKED = ["How do I install it?", "What is a rank?"]
OTHERS = ["Proxies", "Memory", "Disks"]


def document(title: str, headings: list[str]) -> str:
    return f"# {title}\n\n" + "".join(f"## {heading}\n\nLike this.\n\n" for heading in headings)


@pytest.mark.parametrize(("title", "others", "found"), [("FAQ", 3, 5), ("Manual", 3, 0), ("Manual", 2, 4)])
def test_headings_are_questions_if_half_of_them_ask_or_fewer_under_a_title_that_says_so(
    tmp_path: Path, title: str, others: int, found: int
) -> None:
    text = document(title, [*ASKED, *OTHERS[:others]])
    assert len(pairs_in(tmp_path, "text.md", text)) == found


@pytest.mark.parametrize(("numbered", "found"), [(5, 5), (2, 0)])
def test_numbered_headings_are_questions_under_such_a_title_if_nearly_all_have_a_number(
    tmp_path: Path, numbered: int, found: int
) -> None:
    titles = ["Installation", "Rank", *OTHERS]
    headings = [f"{at}. {title}" if at <= numbered else title for at, title in enumerate(titles, 1)]
    assert len(pairs_in(tmp_path, "text.md", document("FAQ", headings))) == found


@pytest.mark.parametrize(("title", "found"), [("FAQ", 3), ("Manual", 0)])
def test_a_heading_that_tells_a_trouble_is_a_question_of_a_faq(
    tmp_path: Path, title: str, found: int
) -> None:
    headings = ["启动时报错：bad interpreter", "The page cannot be opened", "Proxies"]
    assert len(pairs_in(tmp_path, "text.md", document(title, headings))) == found


@pytest.mark.parametrize(("title", "headings", "found"), [("FAQ", 1, 1), ("Manual", 1, 0), ("FAQ", 2, 0)])
def test_a_faq_may_have_one_question(tmp_path: Path, title: str, headings: int, found: int) -> None:
    text = document(title, [ASKED[0], OTHERS[0]][:headings])
    assert len(pairs_in(tmp_path, "text.md", text)) == found


@pytest.mark.parametrize("number", ["8.{} ", "8.{} 问题{}：", "9.1.{} ", "{}、", "{}. Q{}: "])
def test_no_part_of_a_number_stays_in_a_question(tmp_path: Path, number: str) -> None:
    headings = [f"{number.format(at, at)}{asked}" for at, asked in enumerate(ASKED, 1)]
    assert [question for question, _ in pairs_in(tmp_path, "text.md", document("FAQ", headings))] == ASKED
