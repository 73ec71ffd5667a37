"""Files larger than one piece are read to their end, whatever their newlines and encoding."""

import gzip
import json

import pytest

from qwen_pipeline.text.formats import content as content_module
from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.row import Found
from qwen_pipeline.text.parts import read_stream
from qwen_pipeline.text.raw_file import RawFile
from qwen_pipeline.text.read_files import ReadOptions, read_file, read_rows

ROWS = 300
KINDS = {
    "jsonl": lambda n: json.dumps({"question": f"第{n}题？", "answer": f"答案{n}。" * 3}, ensure_ascii=False),
    "md": lambda n: f"Q{n}: 第{n}题？\nA{n}: 答案{n}。" + "好" * 9 + "\n",
    "csv": lambda n: f'第{n}题？,"答案{n}，\n又{n}"' if n else "question,answer",
}


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(content_module, "WHOLE_FILE_BYTES", 1024)


def content_of(tmp_path, name, data, **options):
    path = tmp_path / name
    path.write_bytes(data)
    return Content(RawFile(name, path, len(data)), **options)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_row_of_a_large_file_is_found(tmp_path, kind, packed, encoding):
    data = "\n".join(KINDS[kind](n) for n in range(ROWS)).encode(encoding)
    content = content_of(tmp_path, f"a.{kind}", gzip.compress(data) if packed else data)
    rows = list(read_rows(content))
    assert all(isinstance(row, Found) for row in rows)
    assert len(rows) == ROWS - (kind == "csv")
    lines = {"jsonl": ROWS, "md": 3 * ROWS - 2, "csv": 2 * ROWS - 2}
    assert rows[-1].line == lines[kind]


@pytest.mark.parametrize(
    ("written", "mark", "forced"),
    [
        ("utf-16-be", b"\xfe\xff", "utf-16"),
        ("utf-16-le", b"\xff\xfe", "UTF-16"),
        ("utf-16-le", b"", "utf-16"),
        ("utf-16-be", b"\xfe\xff", "utf-16-be"),
        ("utf-32-be", b"\x00\x00\xfe\xff", "utf_32"),
        ("utf-32-le", b"", "utf-32"),
        ("gb18030", b"", "gb18030"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_an_encoding_that_the_user_names_holds_to_the_end(tmp_path, written, mark, forced, packed):
    data = mark + "\n".join(KINDS["jsonl"](n) for n in range(ROWS)).encode(written)
    rows = list(
        read_rows(content_of(tmp_path, "a.jsonl", gzip.compress(data) if packed else data, encoding=forced))
    )
    assert [row.messages[0][1] for row in rows] == [f"第{n}题？" for n in range(ROWS)]


def test_utf16_of_nothing_but_ideographs_is_cut_between_them(tmp_path):
    text = "\n".join(f"问：{'上海的天气' * 30}？\n答：{'今天有雨' * 40}。" for _ in range(60))
    rows = list(read_rows(content_of(tmp_path, "a.md", text.encode("utf-16-le"))))
    assert [row.messages[1][1] for row in rows] == ["今天有雨" * 40 + "。"] * 60


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_keep_their_numbers_over_the_cuts(tmp_path, newline):
    text = newline.join(f"line {n}" for n in range(1, 999))
    lines = list(content_of(tmp_path, "a.txt", text.encode()).lines())
    assert [(line.number, line.text) for line in lines] == [(n, f"line {n}") for n in range(1, 999)]
    assert all(text[line.offset :].startswith(line.text) for line in lines)


def test_looking_at_the_beginning_first_changes_nothing(tmp_path):
    content = content_of(tmp_path, "a.txt", b"word\n" * 5000)
    assert len(content.first_text) <= 1024
    assert len(list(content.lines())) == len(list(content.lines())) == 5000


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "utf-16-le", "utf-16"])
def test_an_array_on_one_line_is_cut_between_characters(tmp_path, encoding):
    rows = [{"question": f"第{n}题？", "answer": "答案，好。" * 9} for n in range(ROWS)]
    data = json.dumps(rows, ensure_ascii=False).encode(encoding)
    found = list(read_rows(content_of(tmp_path, "a.json", data)))
    assert [row.messages[1][1] for row in found] == ["答案，好。" * 9] * ROWS


def test_a_line_longer_than_a_piece_stays_one(tmp_path):
    data = json.dumps({"question": "甲？", "answer": "一 " * 3000}, ensure_ascii=False).encode()
    rows = list(read_rows(content_of(tmp_path, "a.jsonl", data + b"\n" + data)))
    assert [(row.line, len(row.messages[1][1])) for row in rows] == [(1, 6000), (2, 6000)]


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
@pytest.mark.parametrize("damage", ["cut", "garbage"])
@pytest.mark.parametrize("piece", [1024, 2**20])
def test_rows_before_the_damage_of_a_packed_file_are_kept(tmp_path, monkeypatch, kind, damage, piece):
    monkeypatch.setattr(content_module, "WHOLE_FILE_BYTES", piece)
    packed = gzip.compress("\n".join(KINDS[kind](n) for n in range(ROWS)).encode() + b"\n")
    data = packed[: len(packed) * 3 // 4] if damage == "cut" else packed + b"no gzip"
    *rows, last = read_rows(content_of(tmp_path, f"a.{kind}.gz", data))
    assert all(isinstance(row, Found) for row in rows)
    assert ROWS // 2 < len(rows) <= ROWS
    assert len(rows) >= ROWS - 2 or damage == "cut"
    assert last.reason.value == "unreadable_file"
    assert last.detail.startswith(f"after row {len(rows)}: ")


@pytest.mark.parametrize(("encoding", "newline"), [("utf-16-le", b"\n\0"), ("utf-16-be", b"\0\n")])
def test_a_line_end_is_found_between_units_and_not_across_two(encoding, newline):
    across = {"utf-16-le": "\u0a41\u4e00", "utf-16-be": "\u4100\u0a4e"}[encoding]
    data = f"ab\n{across}".encode(encoding)
    assert newline in data[6:]
    assert content_module._last_line_end(data, newline) == 6


def test_long_texts_are_written_in_batches_of_a_few(tmp_path, monkeypatch):
    monkeypatch.setattr(content_module, "WHOLE_FILE_BYTES", 8 * 2**20)
    row = json.dumps({"question": "a?", "answer": "x" * 2**20}) + "\n"
    path = tmp_path / "a.jsonl"
    path.write_text(row * 9)
    read_file(RawFile(path.name, path, 9 * len(row)), ReadOptions(), tmp_path / "part")
    assert [batch.num_rows for batch in read_stream(tmp_path / "part.examples")] == [4, 4, 1]
