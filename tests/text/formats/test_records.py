"""One record into a conversation: what goes with the question, and that answers nobody wanted are not trained."""

from pathlib import Path
from typing import Any

import pytest

from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.records import row_of_record
from qwen_pipeline.text.formats.row import Found, Refused
from qwen_pipeline.text.raw_file import RawFile
from qwen_pipeline.text.read_files import read_rows
from qwen_pipeline.text.schema import RejectReason

PAIR = {"prompt": "What?", "completion": "That."}


@pytest.mark.parametrize("label", [False, "False", "false", " FALSE ", 0, "0", 0.0])
@pytest.mark.parametrize("name", ["label", "Label"])
def test_an_answer_labelled_false_is_refused(label: Any, name: str) -> None:
    row = row_of_record({**PAIR, name: label}, 1, 0, {}, "refuse")
    assert isinstance(row, Refused), row
    assert row.reason == RejectReason.UNDESIRED_ANSWER


@pytest.mark.parametrize("label", [True, "True", "true", 1, "1", None, "", "no label", float("nan")])
def test_an_answer_with_another_label_is_trained(label: Any) -> None:
    assert isinstance(row_of_record({**PAIR, "label": label}, 1, 0, {}, "refuse"), Found)


@pytest.mark.parametrize("label", [0, "0"])
def test_a_zero_beside_other_fields_is_the_number_of_a_class(label: Any) -> None:
    record = {"question": "What?", "answer": "That.", "label": label}
    assert isinstance(row_of_record(record, 1, 0, {}, "refuse"), Found)


def test_a_label_in_a_table_of_text_counts(tmp_path: Path) -> None:
    path = tmp_path / "kto.csv"
    path.write_text("prompt,completion,label\nWhat?,Bad.,False\nWhere?,Good.,True\n")
    rows = list(read_rows(Content(RawFile(path.name, path, path.stat().st_size))))
    assert [type(row) for row in rows] == [Refused, Found]


@pytest.mark.parametrize(("value", "text"), [(True, "true"), (False, "false"), (0, "0"), (1.5, "1.5")])
def test_an_answer_that_is_no_text_is_written_as_in_json(value, text):
    row = row_of_record({"question": "Is it?", "answer": value}, 1, 0, {}, "refuse")
    assert row.messages[-1] == ("assistant", text)


def conversation_with(**mark: Any) -> dict[str, Any]:
    turns = [("user", "Is it?"), ("assistant", "Bad."), ("user", "Really?"), ("assistant", "Good.")]
    messages: list[dict[str, Any]] = [{"role": role, "content": text} for role, text in turns]
    messages[1] |= mark
    return {"messages": messages}


@pytest.mark.parametrize("mark", [{"weight": 0}, {"weight": 0.0}, {"train": False}, {"loss": False}])
def test_an_answer_marked_as_context_only_is_not_trained_in_silence(mark: dict[str, Any]) -> None:
    row = row_of_record(conversation_with(**mark), 1, 0, {}, "refuse")
    assert isinstance(row, Refused), row
    assert row.reason == RejectReason.UNDESIRED_ANSWER
    assert f"remove {next(iter(mark))} and set train_on_turns=last" in row.detail


@pytest.mark.parametrize(
    "mark", [{}, {"weight": 1}, {"train": True}, {"loss": None}, {"loss": 0.7}, {"weight": "0 kg"}]
)
def test_other_marks_of_an_answer_change_nothing(mark: dict[str, Any]) -> None:
    assert isinstance(row_of_record(conversation_with(**mark), 1, 0, {}, "refuse"), Found)


def test_marks_of_questions_change_nothing() -> None:
    record = conversation_with()
    record["messages"][0] |= {"weight": 0, "loss": False}
    assert isinstance(row_of_record(record, 1, 0, {}, "refuse"), Found)


def texts_of(record: dict[str, Any]) -> list[str]:
    row = row_of_record(record, 1, 0, {}, "refuse")
    assert isinstance(row, Found), row
    return [text for _, text in row.messages]


@pytest.mark.parametrize(
    "context",
    [
        [["T1", ["One. ", "Two."]], ["T2", ["Three."]]],
        {"title": ["T1", "T2"], "sentences": [["One. ", "Two."], ["Three."]]},
    ],
)
def test_passages_with_titles_go_with_the_question(context: object) -> None:
    record = {"question": "Q?", "answer": "A", "context": context, "type": "bridge"}
    assert texts_of(record) == ["Q?\nT1\nOne. Two.\n\nT2\nThree.", "A"]


def test_a_conversation_s_name_beside_question_and_answer_holds_no_turns() -> None:
    assert texts_of({"conversation": "c-17", "question": "Q?", "answer": "A."}) == ["Q?", "A."]


@pytest.mark.parametrize("error", ["#N/A", "#REF!", " #div/0! "])
def test_an_answer_that_is_only_the_error_of_a_spreadsheet_is_refused(error: str) -> None:
    row = row_of_record({"question": "What?", "answer": error}, 7, 0, {}, "refuse")
    assert isinstance(row, Refused) and (row.line, row.reason.value) == (7, "missing_answer")
    assert error.strip() in row.detail
    told = row_of_record({"question": "What?", "answer": f"It shows {error}"}, 7, 0, {}, "refuse")
    assert isinstance(told, Found)
