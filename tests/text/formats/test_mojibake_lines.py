"""Documents whose marks were read wrongly and saved so."""

from pathlib import Path

import pytest

from documents import read_document
from qwen_pipeline.text.formats.row import Found, Refused
from qwen_pipeline.text.schema import RejectReason

TEXT = "问：忘记密码怎么办？\n答：请点击登录页的找回密码。\n\n问：快递多久能到？\n答：一般三天送达，偏远地区五天。\n"


@pytest.mark.parametrize("written", ["utf-8", "gb18030"])
def test_marks_that_were_read_wrongly_are_found(tmp_path: Path, written: str) -> None:
    rows = read_document(tmp_path, "faq.txt", TEXT.encode(written).decode("latin-1"))
    assert [row.line for row in rows] == [1, 4]
    assert all(isinstance(row, Found) and row.notes == ("wrong_reading_taken_back",) for row in rows)
    assert rows[1].messages == (("user", "快递多久能到？"), ("assistant", "一般三天送达，偏远地区五天。"))


def test_a_text_without_pairs_stays_one_refusal(tmp_path: Path) -> None:
    text = "今天天气很好，我们去公园散步。\n湖边有很多人。\n".encode().decode("latin-1")
    (row,) = read_document(tmp_path, "day.txt", text)
    assert isinstance(row, Refused)
    assert row.reason == RejectReason.NO_PAIRS
