"""Of several replies the one that people chose is trained; lists of passages and of spellings are no replies."""

import json
from pathlib import Path

import pytest

from documents import read_document
from qwen_pipeline.text.formats.row import Found, Row


def read(folder: Path, record: object) -> list[Row]:
    return read_document(folder, "rows.json", json.dumps([record]))


def texts(folder: Path, record: object) -> list[str]:
    (row,) = read(folder, record)
    assert isinstance(row, Found), row
    return [content for _, content in row.messages]


def reply(text: str, rank: int | None, *replies: object, role: str = "assistant") -> dict[str, object]:
    return {"text": text, "role": role, "rank": rank, "replies": list(replies)}


def test_a_tree_gives_the_path_of_the_best_replies(tmp_path: Path) -> None:
    more = reply("More?", None, reply("Yes.", None), role="prompter")
    gone = {**reply("Gone.", 0), "deleted": True}
    root = reply("Q?", None, gone, reply("Bad.", 2), reply("Good.", 1, more), role="prompter")
    record = {"message_tree_id": "t", "tree_state": "ready_for_export", "prompt": root}
    assert texts(tmp_path, record) == ["Q?", "Good.", "More?", "Yes."]


JUDGED = [
    {"answer_id": 1, "pm_score": 1, "selected": False, "text": "low"},
    {"answer_id": 2, "pm_score": 5, "selected": False, "text": "high"},
]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"qid": 1, "question": "Q?", "answers": JUDGED}, ["Q?", "high"]),
        ({"qid": 1, "question": "Q?", "answers": [{**JUDGED[0], "selected": True}, JUDGED[1]]}, ["Q?", "low"]),
        ({"title": "T?", "body": "B.", "accepted_answer_id": 1, "answers": JUDGED}, ["T?\nB.", "low"]),
        (
            {"title": "T?", "body": "B.", "answers": [{"body": "no", "score": 9}, {"body": "yes", "is_accepted": True}]},
            ["T?\nB.", "yes"],
        ),
        ({"question": "Q?", "answer": "A.", "answers": JUDGED}, ["Q?", "A."]),
        ({"question": "Q?", "answers": [{"text": "a", "answer_start": 3}]}, ["Q?", "a"]),
    ],
)  # fmt: skip
def test_the_chosen_reply_is_trained_else_the_one_with_the_highest_score(
    tmp_path: Path, record: object, expected: list[str]
) -> None:
    assert texts(tmp_path, record) == expected


def test_a_dump_of_questions_with_their_replies_is_read_and_what_is_left_out_is_noted(tmp_path: Path) -> None:
    items = [
        {"title": "T?", "body": "B.", "score": 3, "answers": JUDGED},
        {"title": "No reply", "answers": []},
    ]
    first, second = read(tmp_path, {"items": items, "has_more": False})
    assert isinstance(first, Found)
    assert first.notes == ("other_answers_left_out",)
    assert not isinstance(second, Found)


@pytest.mark.parametrize(
    "context",
    [
        [["T1", ["One. ", "Two."]], ["T2", ["Three."]]],
        {"title": ["T1", "T2"], "sentences": [["One. ", "Two."], ["Three."]]},
    ],
)
def test_passages_with_titles_go_with_the_question(tmp_path: Path, context: object) -> None:
    record = {"question": "Q?", "answer": "A", "context": context, "type": "bridge"}
    assert texts(tmp_path, record) == ["Q?\nT1\nOne. Two.\n\nT2\nThree.", "A"]


def test_an_answer_with_its_spellings_is_its_value(tmp_path: Path) -> None:
    answer = {"value": "Paris", "aliases": ["paris", "Paris, France"], "type": "WikipediaEntity"}
    assert texts(tmp_path, {"question": "Q?", "answer": answer}) == ["Q?", "Paris"]


def test_a_conversation_s_name_beside_question_and_answer_holds_no_turns(tmp_path: Path) -> None:
    assert texts(tmp_path, {"conversation": "c-17", "question": "Q?", "answer": "A."}) == ["Q?", "A."]
