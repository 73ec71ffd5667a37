"""Every parameter of ingest and clean changes what comes out, and each in its own way."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

from qwen_pipeline.params.clean import CleanParameters
from qwen_pipeline.params.ingest import IngestParameters
from qwen_pipeline.pipelines.clean.nodes import clean_examples
from qwen_pipeline.pipelines.ingest.nodes import ingest_files
from qwen_pipeline.text.raw_file import RawFile

LONG = "损失不再下降时先看学习率，再看梯度的范数，最后看数据里有没有写错的行，一样一样地排除。"
ROWS = {
    "plain": ("怎样判断训练停滞了？", LONG),
    "short question": ("啊？", "这一行的问题只有两个字，可是答案不短。"),
    "short answer": ("要不要打开梯度检查点？", "要。"),
    "repeats": ("为什么它一直说同一句话？", "因为它只会说这一句。" * 40),
    "english": ("What does warmup do?", "It raises the learning rate slowly in the first steps."),
    "near the first": ("怎样判断训练停滞了呢？", LONG + "完。"),
    "mojibake": ("这一行被读错过吗？", "是的，被读错过一次。".encode().decode("latin-1")),
    "html": ("空格怎么写？", "写成&nbsp;就可以<br>换行另写。"),
    "boilerplate": ("谁写的这一段？", "回答：是值班的人写的。"),
    "personal": ("怎么联系你们？", "写信到 someone@example.com 就可以了，一天之内回复。"),
}


def run(
    folder: Path, clean: Mapping[str, Any] | None = None, ingest: Mapping[str, Any] | None = None
) -> tuple[dict[str, list[str]], dict[str, Any]]:
    """Answers by question after both stages, and the report."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    raw = {path.name: RawFile(path.name, path, path.stat().st_size) for path in paths}
    examples, rejects, ingested = ingest_files(raw, IngestParameters(**(ingest or {})))
    settings = {"validation_fraction": 0.0, "test_fraction": 0.0, **(clean or {})}
    kept, _, _, report = clean_examples(
        ds.dataset(examples), ds.dataset(rejects), ingested, CleanParameters(**settings)
    )
    found: dict[str, list[str]] = {}
    for row in ds.dataset(kept).to_table().to_pylist():
        contents = [message["content"] for message in row["messages"]]
        found.setdefault(contents[0], []).extend(contents[1:])
    return found, report


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    lines = [json.dumps({"question": q, "answer": a}, ensure_ascii=False) for q, a in ROWS.values()]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "value", "reason", "gone"),
    [
        ("min_question_characters", 4, "too_short", {"short question"}),
        ("min_answer_characters", 5, "too_short", {"short answer"}),
        ("max_question_characters", 11, "too_long", {"english", "repeats"}),
        ("max_answer_characters", 100, "too_long", {"repeats"}),
        ("max_repetition", 0.9, "repetitive", {"repeats"}),
        ("languages", "zh", "wrong_language", {"english"}),
    ],
)
def test_a_rule_rejects_what_it_names(
    folder: Path, name: str, value: Any, reason: str, gone: set[str]
) -> None:
    before, report = run(folder)
    assert reason not in report["total"]["rejected"]
    after, report = run(folder, {name: value})
    lost = {key for key, (question, _) in ROWS.items() if question in before and question not in after}
    assert lost == gone
    assert report["total"]["rejected"] == {reason: len(gone)}


@pytest.mark.parametrize(
    ("name", "row", "with_it", "without"),
    [
        ("remove_html", "html", "写成 就可以\n换行另写。", ROWS["html"][1]),
        ("remove_boilerplate", "boilerplate", "是值班的人写的。", ROWS["boilerplate"][1]),
        ("mask_personal_data", "personal", None, ROWS["personal"][1]),
    ],
)
def test_a_treatment_can_be_switched(
    folder: Path, name: str, row: str, with_it: str | None, without: str
) -> None:
    question = ROWS[row][0]
    (on,), (off,) = (run(folder, {name: value})[0][question] for value in (True, False))
    assert off == without
    if with_it is None:
        assert "someone@example.com" not in on
    else:
        assert on == with_it
    assert on != off


def test_text_that_was_read_wrongly_is_repaired_or_else_refused(folder: Path) -> None:
    question, _ = ROWS["mojibake"]
    assert run(folder, {"repair_mojibake": True})[0][question] == ["是的，被读错过一次。"]
    found, report = run(folder, {"repair_mojibake": False})
    assert question not in found
    assert report["total"]["rejected"] == {"unrepairable_text": 1}


def test_near_duplicates_are_dropped_kept_or_listed(folder: Path) -> None:
    near = ROWS["near the first"][0]
    counts = {}
    for choice in ("drop", "keep", "report"):
        found, report = run(folder, {"near_duplicates": choice})
        counts[choice] = (near in found, report["total"]["duplicates_near"])
    assert counts["drop"] == (False, 1)
    assert counts["keep"] == (True, 0)
    assert counts["report"][0]


def test_the_threshold_says_how_near_is_near(folder: Path) -> None:
    assert run(folder, {"near_duplicate_threshold": 0.6})[1]["total"]["duplicates_near"] == 1
    assert run(folder, {"near_duplicate_threshold": 1.0})[1]["total"]["duplicates_near"] == 0


def test_the_fractions_decide_how_many_rows_are_held_out(tmp_path: Path) -> None:
    rows = [
        json.dumps({"question": f"第{n}个问题问什么呢？{n * 7919}", "answer": f"它问的是{n * 104729}号。"})
        for n in range(200)
    ]
    (tmp_path / "rows.jsonl").write_text("\n".join(rows), encoding="utf-8")

    def splits(**fractions: float) -> dict[str, int]:
        report = run(tmp_path, {"near_duplicates": "keep", **fractions})[1]
        return dict(report["total"]["splits"])

    few, many = (
        splits(validation_fraction=0.05, test_fraction=0.05),
        splits(validation_fraction=0.3, test_fraction=0.4),
    )
    assert 0 < few["validation"] < many["validation"]
    assert 0 < few["test"] < many["test"]


@pytest.mark.parametrize("workers", [{"clean_workers": 2}, {"clean_workers": 1}])
def test_workers_change_no_result(folder: Path, workers: dict[str, int]) -> None:
    assert run(folder, workers) == run(folder)
    assert run(folder, ingest={"ingest_workers": workers["clean_workers"]}) == run(folder)


def test_columns_and_speakers_are_what_the_user_says(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("标题,内容\n怎么开机？,按下电源键三秒钟。\n", encoding="utf-8")
    (tmp_path / "b.txt").write_text("船客：我睡不好。\n船长：从什么时候开始的？\n", encoding="utf-8")
    (tmp_path / "c.md").write_text("Q: 一直读得到的一行？\nA: 是的，一直读得到。\n", encoding="utf-8")
    assert len(run(tmp_path)[0]) == 1
    found, _ = run(
        tmp_path,
        ingest={
            "column_map": {"question": "标题", "answer": "内容"},
            "speakers": {"船客": "user", "船长": "assistant"},
        },
    )
    assert found["怎么开机？"] == ["按下电源键三秒钟。"]
    assert found["我睡不好。"] == ["从什么时候开始的？"]


def test_tool_turns_are_refused_dropped_or_kept(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "上海现在天气怎么样？"},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "weather", "arguments": "{}"}}]},
        {"role": "tool", "content": "晴，二十度"},
        {"role": "assistant", "content": "上海现在是晴天。"},
    ]  # fmt: skip
    plain = {"question": "一直读得到的一行？", "answer": "是的，一直读得到。"}
    lines = [json.dumps(row, ensure_ascii=False) for row in ({"messages": turns}, plain)]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines), encoding="utf-8")
    asked = turns[0]["content"]
    refused, report = run(tmp_path, ingest={"tool_turns": "refuse"})
    assert asked not in refused
    assert report["total"]["rejected"] == {"tool_turns": 1}
    assert run(tmp_path, ingest={"tool_turns": "drop"})[0][asked] == ["上海现在是晴天。"]
    kept = run(tmp_path, ingest={"tool_turns": "keep"})[0][asked]
    assert "weather" in kept[0]
    assert "晴，二十度" in kept[1]
