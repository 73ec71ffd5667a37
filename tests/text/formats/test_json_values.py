"""JSON values out of a stream: whole texts however the stream is cut, and one report for one broken record."""

import json
import time

import pytest

from qwen_pipeline.text.formats import json_values
from qwen_pipeline.text.formats.json_values import BadValue, Value, iterate_values


def cut(text, size):
    return iter([text[start : start + size] for start in range(0, len(text), size)])


def read(pieces):
    return iterate_values(pieces, lambda names, key, element: False)


def values_of(text, size=10**9):
    return [one.value for one in read(cut(text, size)) if isinstance(one, Value)]


def seconds_for(action):
    start = time.process_time()
    action()
    return time.process_time() - start


TEXTS = ['it is [1, ] or "a" "b"', "$10{,}000$ for it", "[1,\t]", '"', "\\", "a, } b"]


@pytest.mark.parametrize("size", range(1, 40))
def test_texts_stay_as_they_are_wherever_the_stream_is_cut(size):
    rows = [{"question": text, "answer": text * 2} for text in TEXTS]
    assert values_of(json.dumps(rows), size) == rows


@pytest.mark.parametrize("size", [*range(1, 40), 10**9])
def test_a_trailing_comma_changes_no_text_behind_it(size):
    rows = [{"question": text, "answer": [text]} for text in TEXTS * 2]
    assert values_of(json.dumps(rows).replace("]}", ",],}"), size) == rows
    assert values_of(json.dumps(rows).replace("]}", "],}", 1), size) == rows


def test_a_trailing_comma_before_a_broken_record_changes_no_text_behind_that():
    rows = [{"question": text, "answer": text} for text in TEXTS]
    text = json.dumps(rows)
    broken = '[{"question": "a", "answer": "b",}, {"question": "a " b", "answer": "c"}, ' + text[1:]
    assert values_of(broken)[-len(rows) :] == rows


def test_a_text_cut_inside_of_a_string_with_quotes_takes_time_as_its_length():
    line = '{"question": "q", "answer": "' + 'He said \\"a\\" ' * 20_000
    assert seconds_for(lambda: list(read(iter([line])))) < 5


def test_trailing_commas_in_values_without_an_end_take_time_as_the_text():
    text = "[" + '{"a":[1,],"b":{"c": 1}, {"a":[2,],' * 5_000
    assert seconds_for(lambda: list(read(iter([text])))) < 10


def pretty(number, quote, last=""):
    return f" {{\n  {quote}question{quote}: {quote}{number}?{quote},\n  {quote}answer{quote}: {quote}{'x' * 200}{quote}{last}\n }}"


def array_of(count, quote, last=""):
    return "[\n" + ",\n".join(pretty(number, quote, last) for number in range(count)) + "\n]"


def test_errors_take_time_as_the_text_and_each_has_its_line():
    found = list(read(iter([array_of(20_000, "'")])))
    assert [one.line for one in found if isinstance(one, BadValue)] == [2 + 4 * n for n in range(20_000)]
    assert all(f"(line {one.line + 1})" in one.detail or f"(line {one.line})" in one.detail for one in found)
    assert seconds_for(lambda: list(read(iter([array_of(20_000, "'")])))) < 6


def test_trailing_commas_take_time_as_the_text_and_values_keep_their_places():
    text = array_of(20_000, '"', ",")
    assert seconds_for(lambda: list(read(iter([text])))) < 6
    found = list(read(iter([text])))
    assert [one.line for one in found] == [2 + 4 * n for n in range(20_000)]
    assert all(text[one.offset :].startswith("{") for one in found)


def test_a_long_gap_behind_a_broken_record_takes_time_as_its_length():
    text = "[{'a': 1}" + " " * 40_000 + "x, {'a': 2}, " + '{"a": 3}]'
    assert seconds_for(lambda: list(read(iter([text])))) < 5


CHATS = [
    {
        "messages": [{"role": "user", "content": f"q{n}"}, {"role": "bot", "content": f"a{n}"}],
        "meta": {"n": n},
    }
    for n in range(4)
]
PAIRS = [{"id": n, "turns": [{"q": f"q{n}", "a": f"a{n}"}, {"q": f"q{n}+", "a": f"a{n}+"}]} for n in range(4)]


@pytest.mark.parametrize("indent", [None, 0, 1, 4, "\t"])
@pytest.mark.parametrize("rows", [CHATS, PAIRS])
@pytest.mark.parametrize("at", range(4))
@pytest.mark.parametrize("part", ["q", "a"])
@pytest.mark.parametrize("joint", ["array", "\n", " ", ",\n"])
def test_a_broken_record_is_one_report_and_no_row_is_torn_from_it(indent, rows, at, part, joint):
    is_array = joint == "array"
    text = (
        json.dumps(rows, indent=indent)
        if is_array
        else joint.join(json.dumps(row, indent=indent) for row in rows)
    )
    found = list(read(iter([text.replace(f'"{part}{at}"', f'"{part}"{at}"')])))
    assert [one.value for one in found if isinstance(one, Value)] == [*rows[:at], *rows[at + 1 :]]
    assert len(found) == len(rows)


@pytest.mark.parametrize("size", [50, 500])
def test_a_broken_record_is_one_report_wherever_the_stream_is_cut(size):
    text = json.dumps(CHATS, indent=1).replace('"q1"', '"q"1"')
    assert len(list(read(cut(text, size)))) == len(CHATS)
    assert values_of(text, size) == [CHATS[0], *CHATS[2:]]


@pytest.mark.parametrize("code", ["if (x) {", "}", "a[0", "]}"])
def test_brackets_in_the_text_of_a_broken_record_cost_no_other_row(code):
    rows = [{"question": f"{n}?", "answer": [{"text": f"a{n}"}, code]} for n in range(4)]
    text = json.dumps(rows, indent=1).replace('"1?"', '"1"?"')
    assert values_of(text) == [rows[0], *rows[2:]]


@pytest.mark.parametrize("indent", [None, 1])
def test_a_record_without_its_end_costs_no_other_row(indent):
    rows = [json.dumps(row, indent=indent) for row in CHATS]
    rows[1] = rows[1][: rows[1].index("q1")]
    assert values_of(",\n".join(rows))[-2:] == CHATS[2:]


def test_records_without_their_ends_take_time_as_the_text():
    text = "[" + '{"a": "b", "c": [{ "x" "y"} \n ' * 10_000
    assert seconds_for(lambda: list(read(iter([text])))) < 5


@pytest.mark.parametrize("indent", [None, 1])
def test_rows_inside_of_a_text_that_is_one_broken_object_are_found(indent):
    text = json.dumps(
        {"version": 1, "data": [{"question": f"{n}?", "answer": "a"} for n in range(9)]}, indent=indent
    )
    assert values_of(text.replace('"2?"', '"2"?"'))[:6] == [
        {"question": f"{n}?", "answer": "a"} for n in range(3, 9)
    ]


def test_what_follows_a_broken_record_in_the_next_piece_is_found(monkeypatch):
    monkeypatch.setattr(json_values, "_LONGEST_VALUE", 10)
    text = '{"x": 1}, ' * 5 + '{"a": [1, {"b" 2}, {"c": 3}, {"d": 4}, {"e": 5}'
    assert values_of(text, 75)[5:] == [{"c": 3}, {"d": 4}, {"e": 5}]


def test_a_long_array_on_one_line_takes_time_as_its_length():
    text = json.dumps([{"question": "q", "answer": "word " * 20}] * 60_000)
    assert seconds_for(lambda: values_of(text)) < 5


@pytest.mark.parametrize("seam", ["}|, {", "} ,\n| {", "}\n , |{"])
def test_the_object_behind_a_long_broken_one_is_found_where_a_piece_ends_between_them(seam):
    before, after = seam.split("|")
    pieces = ['[{"a" 1, ' + "x" * 2**21 + before, after + '"question": "b?"}]']
    assert [one.value for one in read(iter(pieces)) if isinstance(one, Value)] == [{"question": "b?"}]


@pytest.mark.parametrize("size", [*range(1, 40), 10**9])
def test_line_ends_and_tabs_in_texts_stay(size):
    rows = [{"question": "a\nb?", "answer": "c\td\n\ne"}, {"question": "f?", "answer": "g"}]
    text = json.dumps(rows).replace("\\n", "\n").replace("\\t", "\t")
    assert values_of(text, size) == rows


def test_a_missing_quote_is_told_where_it_is_and_costs_no_other_row():
    text = '[\n{"question": "a?", "answer": "b\n},\n{"question": "c?", "answer": "d"}\n]'
    bad, good = read(cut(text, 10**9))
    assert isinstance(bad, BadValue)
    assert "(line 2)" in bad.detail
    assert good.value == {"question": "c?", "answer": "d"}
