"""Commas that trail, and the ends of broken records."""

import json
import time

import pytest

from qwen_pipeline.text.formats.json_broken import Broken, drop_trailing_commas, without_trailing_commas


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
