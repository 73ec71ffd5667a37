"""Rows in the shapes that people have: what is asked and answered, and that nothing is lost in silence."""

import json
from pathlib import Path
from typing import Any

import pytest

from documents import read_document
from qwen_pipeline.text.formats.records import row_of_record
from qwen_pipeline.text.formats.row import Found, Refused, Row
from qwen_pipeline.text.formats.value_rows import rows_inside

ASKED, ANSWERED = "What is LoRA?", "A low-rank adapter."
USER, ASSISTANT = {"role": "user", "content": ASKED}, {"role": "assistant", "content": ANSWERED}
PAIR = {"question": ASKED, "answer": ANSWERED}


def read(folder: Path, name: str, value: Any, indent: int | None = None) -> list[Row]:
    return read_document(folder, name, json.dumps(value, ensure_ascii=False, indent=indent))


def said(text: str) -> dict[str, Any]:
    return {"content_type": "text", "parts": [text]}


SAME_CONVERSATION: dict[str, dict[str, Any]] = {
    "gemini": {
        "contents": [
            {"role": "user", "parts": [{"text": ASKED}]},
            {"role": "model", "parts": [{"text": ANSWERED}]},
        ]
    },
    "chatgpt export": {
        "title": "Chat",
        "current_node": "c",
        "mapping": {
            "a": {"message": None, "parent": None, "children": ["b"]},
            "b": {
                "message": {"author": {"role": "user"}, "content": said(ASKED)},
                "parent": "a",
                "children": ["x", "c"],
            },
            "x": {
                "message": {"author": {"role": "assistant"}, "content": said("Old.")},
                "parent": "b",
                "children": [],
            },
            "c": {
                "message": {"author": {"role": "assistant"}, "content": said(ANSWERED)},
                "parent": "b",
                "children": [],
            },
        },
    },
    "preference with a prompt": {"prompt": ASKED, "chosen": ANSWERED, "rejected": "A radio."},
    "preference of turns": {
        "prompt": [USER],
        "chosen": [ASSISTANT],
        "rejected": [{**ASSISTANT, "content": "A radio."}],
    },
    "preference behind turns": {
        "conversations": [{"from": "human", "value": ASKED}],
        "chosen": {"from": "gpt", "value": ANSWERED},
        "rejected": {"from": "gpt", "value": "A radio."},
    },
    "preference of texts behind turns": {"messages": [USER], "chosen": ANSWERED, "rejected": "A radio."},
    "preference of lists behind turns": {
        "messages": [USER],
        "chosen": [ASSISTANT],
        "rejected": [{**ASSISTANT, "content": "No."}],
    },
    "preference that repeats the turns": {
        "messages": [USER],
        "chosen": [USER, ASSISTANT],
        "rejected": [USER, {**ASSISTANT, "content": "No."}],
    },
    "preference of messages": {
        "prompt": ASKED,
        "chosen": ASSISTANT,
        "rejected": {**ASSISTANT, "content": "No."},
    },
    "belle": {"instruction": f"Human: {ASKED}\n\nAssistant: ", "input": "", "output": ANSWERED},
    "preference of conversations": {
        "chosen": [USER, ASSISTANT],
        "rejected": [USER, {**ASSISTANT, "content": "No."}],
    },
    "preference of transcripts": {
        "chosen": f"\n\nHuman: {ASKED}\n\nAssistant: {ANSWERED}",
        "rejected": f"\n\nHuman: {ASKED}\n\nAssistant: No.",
    },
    "text with hashes": {"text": f"### Human: {ASKED}### Assistant: {ANSWERED}"},
    "text of alpaca": {"text": f"### Instruction:\n{ASKED}\n\n### Response:\n{ANSWERED}"},
    "text of chatml": {
        "text": f"<|im_start|>user\n{ASKED}<|im_end|>\n<|im_start|>assistant\n{ANSWERED}<|im_end|>\n"
    },
    "text of llama": {"text": f"<s>[INST] {ASKED} [/INST] {ANSWERED}</s>"},
    "multi-part content": {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": ASKED}]},
            {"role": "assistant", "content": [{"type": "text", "text": ANSWERED}]},
        ]
    },
    "first of several marked answers": {
        "question": ASKED,
        "answers": [{"text": ANSWERED, "answer_start": 3}, {"text": "An adapter.", "answer_start": 5}],
    },
}


@pytest.mark.parametrize("name", SAME_CONVERSATION)
def test_a_record_of_any_shape_is_the_same_conversation(name: str) -> None:
    row = row_of_record(SAME_CONVERSATION[name], 1, 0, {}, "refuse")
    assert isinstance(row, Found), row
    assert row.messages == (("user", ASKED), ("assistant", ANSWERED))


def test_a_text_before_the_first_speaker_is_the_systems() -> None:
    record = {"text": "Below is a task.\n\n### Instruction:\nAdd.\n\n### Input:\n1 and 2\n\n### Response:\n3"}
    row = row_of_record(record, 1, 0, {}, "refuse")
    assert isinstance(row, Found)
    assert row.messages == (("system", "Below is a task."), ("user", "Add.\n1 and 2"), ("assistant", "3"))


def test_earlier_turns_in_an_instruction_are_turns() -> None:
    asked = f"Human: {ASKED}\nAssistant: {ANSWERED}\nHuman: And QLoRA?\nAssistant:"
    row = row_of_record({"instruction": asked, "input": "", "output": "In four bits."}, 1, 0, {}, "refuse")
    assert isinstance(row, Found)
    assert row.messages == (
        ("user", ASKED), ("assistant", ANSWERED), ("user", "And QLoRA?"), ("assistant", "In four bits."),
    )  # fmt: skip


def test_an_instruction_that_speaks_of_speakers_stays_whole() -> None:
    asked = "Continue.\nHuman: hi\nAssistant: hello\nHow does it go on?"
    row = row_of_record({"instruction": asked, "output": "So."}, 1, 0, {}, "refuse")
    assert isinstance(row, Found)
    assert row.messages == (("user", asked), ("assistant", "So."))


def test_turns_that_end_with_an_answer_are_the_chosen_ones() -> None:
    row = row_of_record(
        {"messages": [USER, ASSISTANT], "chosen": [USER, ASSISTANT], "rejected": []}, 1, 0, {}, "refuse"
    )
    assert isinstance(row, Found)
    assert row.messages == (("user", ASKED), ("assistant", ANSWERED))


def test_prose_with_a_colon_is_no_transcript() -> None:
    row = row_of_record({"text": "Note: the user: nobody. Answer: none."}, 1, 0, {}, "refuse")
    assert isinstance(row, Refused)


CONTAINERS: dict[str, tuple[Any, int, int]] = {  # what, rows, rows refused
    "splits": ({"train": [PAIR, PAIR], "validation": [PAIR], "test": [PAIR]}, 4, 0),
    "splits under data": ({"data": {"train": [PAIR], "dev": [PAIR]}}, 2, 0),
    "metadata": ({"version": "1.0", "authors": [{"name": "x"}], "data": [PAIR]}, 1, 0),
    "categories": (
        {"categories": [{"name": "a", "items": [PAIR, PAIR]}, {"name": "b", "items": [PAIR]}]},
        3,
        0,
    ),
    "numbers": ({"1": PAIR, "2": PAIR}, 2, 0),
    "dataset viewer": ({"features": [{"name": "question"}], "rows": [{"row_idx": 0, "row": PAIR}]}, 1, 0),
    "a stranger among rows": ({"data": [PAIR, {"title": "x"}, PAIR]}, 3, 1),
    "questions as keys": ({"什么是LoRA？": "低秩适配。", "QLoRA 呢？": "四位。"}, 2, 0),
    "squad": (
        {
            "data": [
                {
                    "title": "T",
                    "paragraphs": [
                        {
                            "context": "Rome.",
                            "qas": [{"question": "Where?", "answers": [{"text": "Rome", "answer_start": 0}]}],
                        }
                    ],
                }
            ]
        },
        1,
        0,
    ),
}


@pytest.mark.parametrize("name", CONTAINERS)
@pytest.mark.parametrize("indent", [None, 1])
def test_every_row_inside_an_object_is_found(name: str, indent: int | None, tmp_path: Path) -> None:
    value, rows, refused = CONTAINERS[name]
    found = read(tmp_path, "data.json", value, indent)
    assert len(found) == rows
    assert sum(isinstance(row, Refused) for row in found) == refused


def test_the_passage_goes_with_its_question(tmp_path: Path) -> None:
    value, _, _ = CONTAINERS["squad"]
    (row,) = read(tmp_path, "squad.json", value)
    assert isinstance(row, Found)
    assert row.messages == (("user", "Where?\nRome."), ("assistant", "Rome"))


def test_an_object_without_rows_is_refused_as_a_whole() -> None:
    assert rows_inside({"name": "x", "scripts": {"test": "y"}, "list": [{"a": 1}]}, {}) is None


def test_an_object_that_holds_itself_many_times_is_not_searched_for_ever() -> None:
    value: Any = {"end": 1}
    for _ in range(200):
        value = {"in": [value]}
    assert rows_inside(value, {}) is None


def turns_about(number: int) -> list[dict[str, str]]:
    return [{"role": "user", "content": f"q{number}"}, {"role": "assistant", "content": f"a{number}"}]


@pytest.mark.parametrize(
    "value",
    [
        {"conversations": [{"messages": turns_about(1)}, {"messages": turns_about(2)}]},
        {"messages": [{"id": 1, "turns": turns_about(1)}, {"id": 2, "turns": turns_about(2)}]},
        {"conversations": [turns_about(1), turns_about(2)]},
    ],
)
@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_a_list_of_conversations_under_a_name_for_turns_is_several_rows(
    tmp_path: Path, value: Any, name: str
) -> None:
    rows = [row for row in read(tmp_path, name, value) if isinstance(row, Found)]
    assert [row.messages for row in rows] == [
        (("user", f"q{number}"), ("assistant", f"a{number}")) for number in (1, 2)
    ]


def test_pairs_under_such_a_name_stay_the_turns_of_one_conversation(tmp_path: Path) -> None:
    value = {"conversations": [{"question": "q1", "answer": "a1"}, {"question": "q2", "answer": "a2"}]}
    (row,) = read(tmp_path, "a.json", value)
    assert isinstance(row, Found) and len(row.messages) == 4


def test_the_first_of_a_questions_wordings_is_read_and_the_others_noted(tmp_path: Path) -> None:
    record = {"questions": [[ASKED, "LoRA?"]], "answers": [ANSWERED]}
    (row,) = read(tmp_path, "huatuo.jsonl", record)
    assert isinstance(row, Found)
    assert row.messages == (("user", ASKED), ("assistant", ANSWERED))
    assert row.notes == ("other_wordings_left_out",)


def moss(turn: dict[str, str]) -> dict[str, Any]:
    chat = {
        "turn_1": {"Human": f"<|Human|>: {ASKED}<eoh>\n", **turn, "MOSS": f"<|MOSS|>: {ANSWERED}<eom>\n"},
        "turn_2": {"Human": "<|Human|>: Thanks.<eoh>", "MOSS": "<|MOSS|>: You are welcome.<eom>"},
    }
    return {"conversation_id": 1, "meta_instruction": "Be brief.", "chat": chat}


def test_the_turns_of_moss_lose_their_marks(tmp_path: Path) -> None:
    (row,) = read(tmp_path, "moss.json", [moss({"Commands": "<|Commands|>: None<eoc>\n"})])
    assert isinstance(row, Found)
    assert row.messages == (
        ("system", "Be brief."),
        ("user", ASKED),
        ("assistant", ANSWERED),
        ("user", "Thanks."),
        ("assistant", "You are welcome."),
    )


def test_the_tools_of_moss_are_tools(tmp_path: Path) -> None:
    command = {
        "Commands": '<|Commands|>: Search("LoRA")<eoc>\n',
        "Tool Responses": "<|Results|>: A paper.<eor>",
    }
    (row,) = read(tmp_path, "moss.json", [moss(command)])
    assert isinstance(row, Refused)
    assert row.reason.value == "tool_turns"


def test_an_object_that_says_which_column_is_what_is_no_row() -> None:
    names = {"prompt": "instruction", "query": "input", "response": "output"}
    info = {"mine": {"file_name": "mine.json", "columns": names}}  # LLaMA-Factory's dataset_info.json
    assert rows_inside(info, {}) is None
    table = {"columns": {"question": ["What?"], "answer": ["That."]}}
    assert rows_inside(table, {}) == [table["columns"]]
    rows = [{"question": "What?", "answer": "That."}]
    assert rows_inside({"columns": ["question", "answer"], "rows": rows}, {}) == rows


def test_questions_as_pages_tell_them_to_search_engines_are_read(tmp_path: Path) -> None:
    asked = {"@type": "Question", "name": ASKED, "acceptedAnswer": {"@type": "Answer", "text": ANSWERED}}
    silent = {"@type": "Question", "name": "Who?", "acceptedAnswer": {"@type": "Answer"}}
    page = {"@context": "https://schema.org", "@type": "FAQPage", "mainEntity": [asked, silent]}
    for value in (page, {"@graph": [page]}):
        found, refused = read(tmp_path, "page.json", value)
        assert isinstance(found, Found) and found.messages == (("user", ASKED), ("assistant", ANSWERED))
        assert isinstance(refused, Refused) and refused.reason.value == "missing_answer"


def test_of_a_page_with_one_question_the_accepted_answer_is_read(tmp_path: Path) -> None:
    answers = {"suggestedAnswer": [{"text": "No."}], "acceptedAnswer": {"text": ANSWERED}}
    asked = {"@type": "Question", "name": "LoRA", "text": ASKED, **answers}
    (row,) = read(tmp_path, "page.json", {"@type": "QAPage", "mainEntity": asked})
    assert isinstance(row, Found)
    assert row.messages == (("user", f"LoRA\n{ASKED}"), ("assistant", ANSWERED))
    assert row.notes == ("other_answers_left_out",)


@pytest.mark.parametrize(
    "given",
    [
        {"question": ASKED, "context": {"contexts": ["One.", "Two."], "labels": ["A", "B"]}},
        {"QUESTION": ASKED, "CONTEXTS": ["One.", "Two."]},
    ],
)
def test_a_question_of_pubmedqa_is_asked_with_its_passages(given: dict[str, Any]) -> None:
    row = row_of_record({**given, "final_decision": "yes", "long_answer": ANSWERED}, 1, 0, {}, "refuse")
    assert isinstance(row, Found) and row.messages == (
        ("user", f"{ASKED}\nOne.\nTwo."),
        ("assistant", ANSWERED),
    )


def test_a_dialogue_between_usr_and_sys_is_read(tmp_path: Path) -> None:
    turns = [{"content": ASKED, "role": "usr"}, {"content": ANSWERED, "role": "sys"}]
    (row,) = read(tmp_path, "crosswoz.json", {"391": {"sys-usr": [43, 12], "goal": [], "messages": turns}})
    assert isinstance(row, Found) and row.messages == (("user", ASKED), ("assistant", ANSWERED))
