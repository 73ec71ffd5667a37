"""Commas that trail, the ends of broken records, and rows inside of an object that is broken somewhere."""

import json
import time

import pytest

from documents import read_document
from qwen_pipeline.text.formats.json_broken import (
    Broken,
    drop_trailing_commas,
    first_list,
    without_trailing_commas,
)
from qwen_pipeline.text.formats.row import Found

GOOD = '{{"question": "q{0}", "answer": "a{0}"}}'.format
BROKEN = '{"question": "q9", "answer": "a9" "x"}'


def test_a_comma_in_a_string_that_is_never_closed_stays():
    assert drop_trailing_commas('{"a": [1, ], "b": "c, ] d') == '{"a": [1  ], "b": "c, ] d'


def test_a_line_cut_inside_of_a_string_with_quotes_takes_time_as_its_length():
    line = '{"question": "q", "answer": "' + 'He said \\"a\\" ' * 20_000
    start = time.process_time()
    assert drop_trailing_commas(line) == line
    assert time.process_time() - start < 5


def test_only_the_value_that_begins_there_is_repaired():
    assert without_trailing_commas('x {"a": ["b, ]",],}, [1,]', 2) == '{"a": ["b, ]" ] }'
    assert without_trailing_commas('{"a": [1,], ', 0) is None


@pytest.mark.parametrize(
    ("text", "in_array", "rest"),
    [
        ('{"a": [{"b" 1}]}, {"c": 2}]', True, '{"c": 2}]'),
        ('{"a": [{"b" 1}]}]', True, "]"),
        ('{"a": [{"b" 1}]}]', False, None),
        ('{"a": [{"b" 1}, {"c": 2}]', True, None),
        ('{"a": "}", "b" 1} {"c": 2}', False, '{"c": 2}'),
    ],
)
def test_a_broken_record_ends_where_its_brackets_do(text, in_array, rest):
    with pytest.raises(json.JSONDecodeError) as error:
        json.JSONDecoder().raw_decode(text)
    end = Broken(text, 0, error.value.pos, len(text)).end_by_depth(in_array)
    assert rest == (None if end is None else text[end:])


def read(folder, text):
    rows = read_document(folder, "rows.json", text)
    found = [row for row in rows if isinstance(row, Found)]
    return [row.messages[0][1] for row in found], [row.line for row in rows if not isinstance(row, Found)]


@pytest.mark.parametrize("space", ["", "\n"])
@pytest.mark.parametrize(
    ("opening", "closing"), [('{"data": [', "]}"), ('{"code": 0, "data": {"list": [', "]}}")]
)
def test_one_broken_row_costs_one_row(tmp_path, space, opening, closing):
    rows = f",{space}".join([GOOD(1), GOOD(2), BROKEN, GOOD(3)])
    questions, refused = read(tmp_path, f"{opening}{space}{rows}{closing}")
    assert questions == ["q1", "q2", "q3"]
    assert refused == [4 if space else 1]


def test_the_lists_behind_the_broken_one_are_read(tmp_path):
    text = f'{{"train": [{GOOD(1)}, {BROKEN}, {GOOD(2)}], "test": [{GOOD(3)}]}}'
    assert read(tmp_path, text) == (["q1", "q2", "q3"], [1])


def test_a_file_that_is_cut_off_gives_its_whole_rows(tmp_path):
    assert read(tmp_path, f'{{"data": [{GOOD(1)},\n{GOOD(2)},\n{{"question": "q3", "ans') == (
        ["q1", "q2"],
        [3],
    )


def test_turns_in_a_broken_record_are_no_rows(tmp_path):
    turns = '{"human": "q1", "assistant": "a1"}, {"human": "q2", "assistant": "a" "b"}'
    record = f'{{"id": 1,\n "conversation": [{turns}]\n}}\n'
    good = '{"id": 2,\n "conversation": [{"human": "q3", "assistant": "a3"}]\n}\n'
    assert read(tmp_path, record + good) == (["q3"], [1])


def test_what_is_inside_of_a_text_is_no_list_of_rows():
    text = '{"note": "write \\"rows\\": [{}] here", "x" 1}'
    assert first_list(text, 0, len(text), lambda names, key, element: True) is None


def test_a_list_behind_the_break_is_not_where_the_rows_begin():
    text = '{"a" 1, "rows": [{"question": "q", "answer": "a"}]}'
    assert first_list(text, 0, 5, lambda names, key, element: True) is None


def test_who_decides_is_told_the_names_before_the_list():
    seen = []
    text = '{"code": 0, "data": {"total": 2, "list": [{"a": 1}, x]}}'
    first_list(text, 0, text.index("x"), lambda *given: bool(seen.append(given)))
    assert seen == [(["code", "data", "total"], "list", {"a": 1})]


@pytest.mark.parametrize(("opening", "between", "closing"), [("[", ",\n", "]"), ("", "\n", "")])
def test_the_rows_behind_a_broken_object_that_is_not_alone_stay_rows(tmp_path, opening, between, closing):
    broken = f'{{"about": "a",\n"pairs": [{GOOD(1)}], "n" 1}}'
    talk = '{"messages": [{"role": "user", "content": "q3"},\n{"role": "assistant", "content": "a3"}]}'
    whole = [broken, GOOD(2), talk] if opening else [GOOD(0).replace(", ", ",\n"), broken, GOOD(2), talk]
    questions, refused = read(tmp_path, opening + between.join(whole) + closing)
    assert questions == (["q2", "q3"] if opening else ["q0", "q2", "q3"])
    assert refused == ([1] if opening else [3])
