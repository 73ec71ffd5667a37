"""Tables with a row for each turn become conversations."""

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from qwen_pipeline.text.formats import single_turns
from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.row import Found, Refused, Result
from qwen_pipeline.text.raw_file import RawFile
from qwen_pipeline.text.read_files import read_rows
from workbook_files import workbook_of

LOG = [
    ("会话ID", "时间", "发送方", "内容"),
    ("1", "10:00", "客户", "在吗？"),
    ("2", "10:00", "客户", "有优惠吗？"),
    ("1", "10:01", "客服", "在的，请讲。"),
    ("2", "10:02", "客服", "满100减10。"),
    ("1", "10:03", "客户", "怎么退款？"),
    ("1", "10:04", "客服", "订单页申请。"),
]
FIRST = (
    ("user", "在吗？"),
    ("assistant", "在的，请讲。"),
    ("user", "怎么退款？"),
    ("assistant", "订单页申请。"),
)
SECOND = ("user", "有优惠吗？"), ("assistant", "满100减10。")


def read(tmp_path: Path, name: str, data: bytes | str, **options: Any) -> list[Result]:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return list(read_rows(Content(RawFile(name, path, path.stat().st_size), **options)))


def csv_of(rows: list[tuple[str, ...]]) -> str:
    return "".join(",".join(row) + "\n" for row in rows)


def records_of(rows: list[tuple[str, ...]]) -> list[dict[str, str]]:
    return [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]


def parquet_of(rows: list[dict[str, Any]]) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "first_line"),
    [
        ("log.csv", csv_of(LOG), 2),
        ("log.jsonl", "".join(json.dumps(row) + "\n" for row in records_of(LOG)), 1),
        ("log.json", json.dumps(records_of(LOG), indent=1), 2),
        ("log.xlsx", workbook_of(LOG), 2),
        ("log.parquet", parquet_of(records_of(LOG)), 1),
    ],
)
def test_rows_that_name_one_conversation_are_one_though_others_stand_between(
    tmp_path: Path, name: str, data: bytes | str, first_line: int
) -> None:
    rows = read(tmp_path, name, data)
    assert [row.messages for row in rows if isinstance(row, Found)] == [FIRST, SECOND]
    assert len(rows) == 2 and rows[0].line == first_line


@pytest.mark.parametrize(
    "wrap", [lambda rows: rows, lambda rows: {"data": rows}, lambda rows: {"messages": rows}]
)
def test_turns_of_several_conversations_in_one_json_value_are_told_apart(tmp_path: Path, wrap: Any) -> None:
    header = ("conversation_id", "time", "role", "content")
    rows = read(tmp_path, "log.json", json.dumps(wrap(records_of([header, *LOG[1:]]))))
    assert [row.messages for row in rows if isinstance(row, Found)] == [FIRST, SECOND]


def test_a_conversation_without_an_answer_is_refused_with_its_line(tmp_path: Path) -> None:
    rows = read(
        tmp_path, "log.csv", csv_of([*LOG, ("3", "11:00", "客户", "有人吗？"), ("", "11:01", "客户", "喂？")])
    )
    refused = [(row.line, row.reason.value) for row in rows if isinstance(row, Refused)]
    assert sorted(refused) == [(8, "missing_answer"), (9, "malformed_row")]


def test_an_unknown_sender_is_named_with_the_parameter_that_tells_its_role(tmp_path: Path) -> None:
    text = csv_of([LOG[0], ("7", "9:00", "小王", "几点开门？"), ("7", "9:01", "客服", "九点。")])
    (row,) = read(tmp_path, "log.csv", text)
    assert isinstance(row, Refused) and (row.line, row.reason.value) == (2, "unknown_role")
    assert "小王" in row.detail and "speakers: {小王: user}" in row.detail
    (row,) = read(tmp_path, "log.csv", text, speakers={"小王": "user"})
    assert isinstance(row, Found) and row.messages == (("user", "几点开门？"), ("assistant", "九点。"))


def test_columns_of_other_names_can_be_mapped_and_a_missing_one_is_named(tmp_path: Path) -> None:
    text = csv_of([("单子", "时间", "发送方", "内容"), *LOG[1:]])
    assert all(
        "conversation_id" in row.detail for row in read(tmp_path, "log.csv", text) if isinstance(row, Refused)
    )
    rows = read(tmp_path, "log.csv", text, column_map={"conversation_id": "单子"})
    assert [row.messages for row in rows if isinstance(row, Found)] == [FIRST, SECOND]


@pytest.mark.parametrize(
    "times",
    [("2024-05-01 10:02", "2024-05-01 10:02", "2024-05-01 9:59", "2024-05-01 9:58"), ("4", "3", "2", "1")],
)
def test_a_log_whose_newest_row_is_first_is_read_from_its_oldest(
    tmp_path: Path, times: tuple[str, ...]
) -> None:
    newest = [("9", time, role, text) for time, (role, text) in zip(times, FIRST[::-1], strict=True)]
    (row,) = read(tmp_path, "log.csv", csv_of([("session_id", "timestamp", "role", "text"), *newest]))
    assert isinstance(row, Found) and row.messages == FIRST and row.line == 5


def test_times_without_a_day_order_nothing(tmp_path: Path) -> None:
    late = [("9", time, role, text) for time, (role, text) in zip(("23:59", "0:01"), SECOND, strict=True)]
    (row,) = read(tmp_path, "log.csv", csv_of([("session_id", "time", "role", "text"), *late]))
    assert isinstance(row, Found) and row.messages == SECOND


def message(own: str, parent: str | None, text: str, rank: int | None = None) -> dict[str, Any]:
    role = "assistant" if own[0] == "a" else "prompter"
    return {
        "message_id": own,
        "parent_id": parent,
        "text": text,
        "role": role,
        "lang": "en",
        "rank": rank,
        "message_tree_id": "q1",
    }


def test_of_a_flat_tree_the_best_replies_are_read(tmp_path: Path) -> None:
    rows = [
        message("q1", None, "What is a monopsony?"),
        message("a1", "q1", "A shop.", 1),
        message("q2", "a1", "Why?"),
        message("a3", "q3", "A company town."),
        message("q3", "a2", "An example?"),
        message("a2", "q1", "A market with one buyer.", 0),
        {**message("q9", None, "Nobody answered."), "message_tree_id": "q9"},
    ]
    for name, data in [
        ("t.parquet", parquet_of(rows)),
        ("t.jsonl", "".join(json.dumps(row) + "\n" for row in rows)),
    ]:
        found, refused = read(tmp_path, name, data)
        assert isinstance(found, Found) and (found.line, len(found.messages)) == (1, 4)
        assert [text for _, text in found.messages][1:] == [
            "A market with one buyer.",
            "An example?",
            "A company town.",
        ]
        assert isinstance(refused, Refused) and (refused.line, refused.reason.value) == (7, "missing_answer")


def test_replies_in_a_circle_are_refused(tmp_path: Path) -> None:
    rows = [message("q1", "a1", "Q?"), message("a1", "q1", "A.")]
    (row,) = read(tmp_path, "t.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    assert isinstance(row, Refused) and (row.line, row.reason.value) == (1, "malformed_row")


def test_what_is_held_is_bounded_and_the_conversation_silent_longest_is_closed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def pair(number: int) -> list[tuple[str, ...]]:
        return [(str(number), "", "客户", f"{number}问？"), (str(number - 1), "", "客服", "答。")]

    rows = [LOG[0], *(row for number in range(60) for row in pair(number)), ("0", "", "客户", "还在？")]
    monkeypatch.setattr(single_turns, "MOST_HELD", 20 * 505)
    found = read(tmp_path, "log.csv", csv_of(rows))
    assert len(found) == 62  # the last row came too late for its conversation
    assert [row.reason.value for row in found if isinstance(row, Refused)] == [
        "missing_question",
        "missing_answer",
        "missing_answer",
    ]


def test_the_encoding_of_a_conversation_that_began_long_ago_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("qwen_pipeline.text.formats.content.WHOLE_FILE_BYTES", 4000)
    rows = [LOG[0], ("a", "", "客户", "怎么退款？"), ("a", "", "客服", "订单页申请。")]
    rows += [(str(at), "", role, text) for at in range(400) for role, text in SECOND]
    path = tmp_path / "log.csv"
    path.write_bytes(csv_of(rows).encode("gb18030"))
    content = Content(RawFile("log.csv", path, path.stat().st_size))
    assert {content.encoding_at(row.offset)[0] for row in read_rows(content) if isinstance(row, Found)} == {
        "gb18030"
    }
