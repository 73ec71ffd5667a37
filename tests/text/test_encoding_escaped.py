"""Japanese in seven bits is told by its escape sequences, and other sequences are left alone."""

from pathlib import Path

import pytest

from qwen_pipeline.text.decode import decode
from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.row import Found
from qwen_pipeline.text.raw_file import RawFile
from qwen_pipeline.text.read_files import read_rows

TEXT = "質問：なぜ？\n答え：ﾒﾓﾘ不足。\n"


def test_the_form_that_fits_is_named() -> None:
    plain = decode("質問：なぜ？\n".encode("iso2022_jp"))
    wider = decode(TEXT.encode("iso2022_jp_ext"))
    assert (plain.text, plain.spans[0].encoding) == ("質問：なぜ？\n", "iso2022_jp")
    assert (wider.text, wider.spans[0].encoding) == (TEXT, "iso2022_jp_ext")


def test_one_character_is_enough() -> None:
    assert decode("A: 旧 ABI\n".encode("iso2022_jp")).text == "A: 旧 ABI\n"


def test_a_file_gives_its_pairs(tmp_path: Path) -> None:
    path = tmp_path / "faq.txt"
    path.write_bytes("Q1: 学習率とは？\nA1: 更新の幅です。\n".encode("iso2022_jp"))
    (row,) = read_rows(Content(RawFile(path.name, path, path.stat().st_size)))
    assert isinstance(row, Found)
    assert row.messages == (("user", "学習率とは？"), ("assistant", "更新の幅です。"))


@pytest.mark.parametrize(
    "data",
    [
        b"\x1b[31mred\x1b[0m\n",
        b"costs \x1b$5\n",
        b"\x1b$B\x1b(B\n",
        b"\x1b$Bodd\n",
        b"ESC $ B is a sequence\n",
    ],
)
def test_other_sequences_are_no_japanese(data: bytes) -> None:
    assert decode(data).text == data.decode("ascii")
