"""Earlier turns beside a question are trained, or it is said that they are not."""

from typing import Any

import pytest

from qwen_pipeline.text.formats.records import row_of_record
from qwen_pipeline.text.formats.row import Found
from qwen_pipeline.text.formats.turns import turns_of_history

TURNS = [("user", "Hi?"), ("assistant", "Yes.")]


@pytest.mark.parametrize(
    "given",
    [
        [["Hi?", "Yes."]],
        '[["Hi?", "Yes."]]',
        ["Hi?", "Yes."],
        [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Yes."}],
    ],
)
def test_earlier_turns_are_read_however_they_are_written(given: Any) -> None:
    assert turns_of_history(given) == TURNS


@pytest.mark.parametrize("given", [None, "", " ", [], "[]", float("nan")])
def test_an_empty_history_is_no_turn(given: Any) -> None:
    assert turns_of_history(given) == []


@pytest.mark.parametrize("given", ["They spoke of LoRA.", "[broken", ["a", "b", "c"], [["a", "b"], "c"], 7])
def test_a_history_that_is_left_out_is_noted(given: Any) -> None:
    row = row_of_record({"instruction": "What?", "output": "That.", "history": given}, 1, 0, {}, "refuse")
    assert isinstance(row, Found)
    assert row.messages == (("user", "What?"), ("assistant", "That."))
    assert row.notes == ("history_left_out",)


def test_a_system_text_beside_the_first_pair_of_a_conversation_is_read() -> None:
    turns = [{"system": "Be brief.", "input": "Hi?", "output": "Yes."}, {"input": "More?", "output": "No."}]
    row = row_of_record({"conversation": turns}, 1, 0, {}, "refuse")
    assert isinstance(row, Found)
    assert row.messages == (("system", "Be brief."), *TURNS, ("user", "More?"), ("assistant", "No."))


def test_what_is_said_beside_a_call_is_kept_where_calls_are_dropped() -> None:
    call = {"function": {"name": "look", "arguments": "{}"}}
    turns = [
        {"role": "user", "content": "Hi?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "found"},
        {"role": "assistant", "content": "Yes.", "tool_calls": [call]},
    ]
    row = row_of_record({"messages": turns}, 1, 0, {}, "drop")
    assert isinstance(row, Found) and row.messages == tuple(TURNS)


def test_the_results_of_two_calls_stay_two() -> None:
    call = {"function": {"name": "look", "arguments": "{}"}}
    turns = [
        {"role": "user", "content": "Hi?"},
        {"role": "assistant", "content": "", "tool_calls": [call, call]},
        {"role": "tool", "content": "one"},
        {"role": "tool", "content": "two"},
        {"role": "assistant", "content": "Yes."},
    ]
    row = row_of_record({"messages": turns}, 1, 0, {}, "keep")
    assert isinstance(row, Found)
    assert [content for role, content in row.messages if role == "tool"] == ["one", "two"]
