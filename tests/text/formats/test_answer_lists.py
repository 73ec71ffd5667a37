"""Lists in a record's fields: many questions with their answers, or many answers to one question, of which people chose one."""

import json
from pathlib import Path
from typing import Any

import pytest

from documents import read_document
from qwen_pipeline.text.formats.records import row_of_record
from qwen_pipeline.text.formats.row import Found, Message, Refused
from qwen_pipeline.text.schema import RejectReason


def messages_of(record: dict[str, Any]) -> tuple[Message, ...]:
    row = row_of_record(record, 1, 0, {}, "refuse")
    assert isinstance(row, Found), row
    return row.messages


def texts_of(record: dict[str, Any]) -> list[str]:
    return [text for _, text in messages_of(record)]


def test_each_question_of_a_list_is_followed_by_its_answer() -> None:
    record = {"questions": ["What is it?", "Where is it?"], "answers": ["A cat.", "In Rome."]}
    assert messages_of(record) == (
        ("user", "What is it?"), ("assistant", "A cat."), ("user", "Where is it?"), ("assistant", "In Rome."),
    )  # fmt: skip


def test_a_passage_goes_with_the_first_question_and_a_list_with_each() -> None:
    lists = {"questions": ["What?", "Where?"], "answers": ["A cat.", "In Rome."]}
    asked = [text for role, text in messages_of({**lists, "context": "A cat in Rome."}) if role == "user"]
    assert asked == ["What?\nA cat in Rome.", "Where?"]
    asked = [text for role, text in messages_of({**lists, "input": ["1", "2"]}) if role == "user"]
    assert asked == ["What?\n1", "Where?\n2"]


@pytest.mark.parametrize(
    "record",
    [
        {"questions": ["What?", "Where?"], "answers": ["A cat."]},
        {"questions": ["What?"], "answers": ["A cat.", "In Rome."]},
        {"questions": ["What?", "Where?"], "answers": ["A cat.", "In Rome."], "input": ["1"]},
    ],
)
def test_lists_of_other_lengths_are_refused_with_the_counts(record: dict[str, Any]) -> None:
    row = row_of_record(record, 1, 0, {}, "refuse")
    assert isinstance(row, Refused)
    assert row.reason == RejectReason.MALFORMED_ROW
    assert "beside a list of" in row.detail


@pytest.mark.parametrize(
    "answers",
    [
        {"text": ["Denver Broncos", "The Broncos"], "answer_start": [4, 0]},  # SQuAD of Hugging Face
        [{"text": "Denver Broncos", "answer_start": 4}, {"text": "The Broncos", "answer_start": 0}],
        ["Denver Broncos", "The Broncos"],  # Natural Questions
    ],
)
def test_of_several_right_answers_to_a_question_the_first_is_trained(answers: Any) -> None:
    row = row_of_record({"question": "Who won?", "answers": answers}, 1, 0, {}, "refuse")
    assert isinstance(row, Found)
    assert row.messages[-1] == ("assistant", "Denver Broncos")
    assert row.notes == ("other_answers_left_out",)


def test_the_same_answer_given_by_several_people_is_one() -> None:
    row = row_of_record({"question": "Who?", "answers": ["We.", "We."]}, 1, 0, {}, "refuse")
    assert isinstance(row, Found)
    assert row.notes == ()


@pytest.mark.parametrize("answers", [{"text": [], "answer_start": []}, []])
def test_a_question_without_any_right_answer_is_refused(answers: Any) -> None:
    row = row_of_record({"question": "Who won?", "answers": answers}, 1, 0, {}, "refuse")
    assert isinstance(row, Refused)
    assert row.reason == RejectReason.MISSING_ANSWER


def test_parts_of_one_answer_stay_together() -> None:
    parts = [{"type": "text", "text": "One"}, {"type": "text", "text": "two."}]
    assert messages_of({"question": "Who?", "answer": parts})[-1] == ("assistant", "One\ntwo.")


@pytest.mark.parametrize("name", ["answer_text", "answer"])
def test_of_answers_in_objects_the_first_is_read(name: str) -> None:
    record = {"question": "What?", "answers": [{name: "A cat."}, {name: "A dog."}]}
    row = row_of_record(record, 1, 0, {}, "refuse")
    assert isinstance(row, Found), row
    assert row.messages == (("user", "What?"), ("assistant", "A cat."))
    assert row.notes == ("other_answers_left_out",)


def test_the_description_of_a_question_in_psyqa_is_asked_with_it() -> None:
    record = {
        "question": "怎么办？",
        "description": "最近很累。",
        "keywords": "情绪",
        "answers": [{"answer_text": "休息。"}],
    }
    assert messages_of(record) == (("user", "怎么办？\n最近很累。"), ("assistant", "休息。"))


def reply(text: str, rank: int | None, *replies: object, role: str = "assistant") -> dict[str, object]:
    return {"text": text, "role": role, "rank": rank, "replies": list(replies)}


def test_a_tree_gives_the_path_of_the_best_replies() -> None:
    more = reply("More?", None, reply("Yes.", None), role="prompter")
    gone = {**reply("Gone.", 0), "deleted": True}
    root = reply("Q?", None, gone, reply("Bad.", 2), reply("Good.", 1, more), role="prompter")
    record = {"message_tree_id": "t", "tree_state": "ready_for_export", "prompt": root}
    assert texts_of(record) == ["Q?", "Good.", "More?", "Yes."]


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
        ({"prompt": "P?", "answers": JUDGED}, ["P?", "high"]),
        (
            {"title": "T?", "body": "B.", "answers": [{"body": "no", "score": 9}, {"body": "yes", "is_accepted": True}]},
            ["T?\nB.", "yes"],
        ),
        ({"question": "Q?", "answer": "A.", "answers": JUDGED}, ["Q?", "A."]),
        ({"question": "Q?", "answers": [{"text": "a", "answer_start": 3}]}, ["Q?", "a"]),
    ],
)  # fmt: skip
def test_the_chosen_reply_is_trained_else_the_one_with_the_highest_score(
    record: dict[str, Any], expected: list[str]
) -> None:
    assert texts_of(record) == expected


def test_a_dump_of_questions_with_their_replies_is_read_and_what_is_left_out_is_noted(tmp_path: Path) -> None:
    items = [
        {"title": "T?", "body": "B.", "score": 3, "answers": JUDGED},
        {"title": "No reply", "answers": []},
    ]
    first, second = read_document(tmp_path, "rows.json", json.dumps({"items": items, "has_more": False}))
    assert isinstance(first, Found)
    assert first.notes == ("other_answers_left_out",)
    assert not isinstance(second, Found)


def test_an_answer_with_its_spellings_is_its_value() -> None:
    answer = {"value": "Paris", "aliases": ["paris", "Paris, France"], "type": "WikipediaEntity"}
    assert texts_of({"question": "Q?", "answer": answer}) == ["Q?", "Paris"]


@pytest.mark.parametrize(("body", "asked"), [("", "Why blue?"), ("I see it.", "Why blue?\nI see it.")])
def test_of_replies_in_columns_the_best_is_read(body: str, asked: str) -> None:
    replies = {"a_id": ["c1", "c2"], "text": ["Magic.", "Scattering."], "score": [3, 9]}
    record = {"q_id": "x", "title": "Why blue?", "selftext": body, "answers": replies}
    assert texts_of(record) == [asked, "Scattering."]
