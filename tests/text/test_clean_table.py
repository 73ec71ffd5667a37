"""Duplicates, leakage, splits and the account over whole tables."""

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from qwen_pipeline.text import duplicates
from qwen_pipeline.text.clean_row import CleanRules
from qwen_pipeline.text.clean_table import clean_table
from qwen_pipeline.text.schema import EXAMPLE_SCHEMA
from qwen_pipeline.text.table_reader import row_groups

TRAIN_ONLY = CleanRules(validation_fraction=0, test_fraction=0)
LONG = (
    "先把批大小设为一，再打开梯度检查点；如果显存仍然不够，就缩短最大序列长度，最后再考虑换一张更大的显卡。"
)


def batch(rows):
    made = []
    for number, (question, answer, *file) in enumerate(rows):
        messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        made.append(
            {
                "example_id": str(number),
                "messages": messages,
                "source_file": file[0] if file else "a.md",
                "source_line": number + 1,
                "encoding": "utf-8",
                "encoding_confidence": 1.0,
            }
        )
    return pa.RecordBatch.from_pylist(made, schema=EXAMPLE_SCHEMA)


def clean(tmp_path, rows, rules=TRAIN_ONLY, **options):
    pq.write_table(pa.Table.from_batches([batch(rows)]), tmp_path / "rows.parquet", row_group_size=3)
    tables = clean_table(row_groups(ds.dataset(tmp_path / "rows.parquet")), rules, tmp_path, **options)
    return tables, pq.read_table(tables.examples).to_pylist()


def questions(rows):
    return [row["messages"][0]["content"] for row in rows]


def test_exact_duplicates_are_counted_and_name_their_original(tmp_path):
    tables, kept = clean(tmp_path, [("甲？", "一。"), ("乙？", "二。"), ("甲？ ", "一。")])
    assert questions(kept) == ["甲？", "乙？"]
    (duplicate,) = pq.read_table(tables.duplicates).to_pylist()
    assert (duplicate["kind"], duplicate["duplicate_of"]) == ("exact", "0")


def test_a_trivially_edited_row_goes_and_a_paraphrase_stays(tmp_path):
    rows = [
        ("训练时显存不够应该怎么办呢？", LONG),
        ("训练时显存不够，应该怎么办呢!", LONG.replace("；", "。")),
        ("CUDA out of memory 如何解决？", LONG),
        ("训练时显存不够应该怎么办呢？", "换一台机器。"),
    ]
    tables, kept = clean(tmp_path, rows)
    assert questions(kept) == [rows[0][0], rows[2][0], rows[3][0]]
    assert tables.near["a.md"] == 1


@pytest.mark.parametrize(("rule", "left"), [("drop", 1), ("report", 2), ("keep", 2)])
def test_the_rule_for_near_duplicates(tmp_path, rule, left):
    tables, kept = clean(
        tmp_path, [("显存不够应该怎么办？", LONG), ("显存不够应该怎么办", LONG)], near_duplicates=rule
    )
    assert len(kept) == left
    assert pq.read_metadata(tables.duplicates).num_rows == (rule != "keep")


def test_tasks_that_differ_in_a_number_are_different(tmp_path):
    rows = [(f"请计算 {n} 加上一百的结果是多少，并写出过程。", LONG) for n in (1, 2, 3)]
    assert len(clean(tmp_path, rows)[1]) == 3


def test_test_rows_beat_validation_rows_beat_training_rows(tmp_path):
    rows = [
        ("显存不够应该怎么办？", LONG, "a.md"),
        ("显存不够应该怎么办", LONG, "validation/a.md"),
        ("显存不够，应该怎么办？", LONG, "test/a.md"),
        ("硬盘满了怎么办？", "删掉旧的检查点。", "a.md"),
        ("硬盘满了怎么办？", "删掉旧的检查点。", "test/a.md"),
    ]
    tables, kept = clean(tmp_path, rows)
    assert [(row["split"], row["source_file"]) for row in kept] == [("test", "test/a.md")] * 2
    reasons = [row["reason"] for row in pq.read_table(tables.rejects).to_pylist()]
    assert reasons == ["near_duplicate_of_heldout"] * 2
    assert tables.exact["a.md"] == 1


def test_a_template_of_many_numbers_lets_no_copy_of_a_held_out_row_through(tmp_path):
    report = " ".join(f"{chr(0x4E00 + n * 7)}{chr(0x5E00 + n * 11)}" for n in range(250))
    held_out = [(f"{report} 第 {1000 + n} 号发票是什么？", report, "test/a.md") for n in range(100)]
    copies = [(question, f"{answer} 完", "a.md") for question, answer, _ in held_out]
    tables, kept = clean(tmp_path, [*held_out, *copies])
    assert len(kept) == len(held_out)
    assert tables.rejected["a.md"]["near_duplicate_of_heldout"] == len(copies)


def test_new_rows_move_no_row_to_another_split(tmp_path):
    rules = CleanRules(validation_fraction=0.2, test_fraction=0.2)
    rows = [(f"第{chr(0x4E00 + n * 37)}题是什么？", f"答{chr(0x5E00 + n * 31)}") for n in range(200)]
    before = {row["messages"][0]["content"]: row["split"] for row in clean(tmp_path, rows[50:], rules)[1]}
    (tmp_path / "again").mkdir()
    after = {row["messages"][0]["content"]: row["split"] for row in clean(tmp_path / "again", rows, rules)[1]}
    assert all(after[question] == split for question, split in before.items())
    assert set(before.values()) == {"train", "validation", "test"}


def test_conservation(tmp_path):
    rows = [
        ("甲？", "一。"),
        ("甲？", "一。"),
        ("", "x"),
        ("显存不够应该怎么办？", LONG),
        ("显存不够应该怎么办", LONG),
    ]
    tables, kept = clean(tmp_path, rows)
    gone = sum(tables.rejected["a.md"].values()) + tables.exact["a.md"] + tables.near["a.md"]
    assert len(kept) + gone == len(rows)


def test_a_row_that_stays_though_near_another_has_met_the_held_out_rows(monkeypatch):
    """Rows meet band by band: two training rows may do so before one of them meets a test row."""

    class Index:
        splits, marks = [0, 2, 2], {}

        def equal_bands(self, band):
            group = [[1, 2], [0, 2]][band]
            yield [row for row in group if row not in self.marks]

        def mark(self, row, outcome, original, question, answer):
            self.marks[row] = (outcome, original)

        def texts(self, row):
            return (np.array([20013, 25991, 38382, 39064], dtype=np.uint32),) * 2

    monkeypatch.setattr(duplicates, "BANDS", 2)
    for heldout_first, outcome in ((False, (duplicates.NEAR, 1)), (True, (duplicates.OF_HELDOUT, 0))):
        index = Index()
        index.marks = {}
        duplicates.mark_near(index, 0.7, heldout_first)
        assert index.marks[2] == outcome


def compare_unlike(rows, is_like):
    """How many pairs of a group are compared, and which rows are marked."""

    class Index:
        splits, marks = [2] * rows, {}

        def mark(self, row, outcome, original, *_):
            self.marks[row] = original

    compared = []

    def alike(one, other):
        compared.append((one, other))
        return (1.0, 1.0) if is_like(one, other) else None

    index = Index()
    duplicates._compare_group(list(range(rows)), index, alike, lambda row: (), False)
    return len(compared), index.marks


def test_rows_that_share_a_band_and_are_all_unlike_cost_no_square_of_them():
    compared, _ = compare_unlike(1000, lambda one, other: False)
    assert compared < 64 * 1000


def test_the_row_that_another_is_like_need_not_be_among_the_first_of_its_group():
    assert compare_unlike(50, lambda one, other: (one, other) == (40, 49))[1] == {49: 40}


def test_texts_just_as_alike_as_the_threshold_says_are_near():
    one, other = (["1"], np.arange(0, 9), np.arange(0, 9)), (["1"], np.arange(1, 9), np.arange(1, 9))
    like = pytest.approx((8 / 9, 8 / 9))
    assert duplicates._alike(one, other, 8 / 9) == like
    assert duplicates._alike(one, other, 8.01 / 9) is None
