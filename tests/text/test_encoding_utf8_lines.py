"""Files that are UTF-8 in part: the other part tells its encoding, and accents do not pass for single ideographs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwen_pipeline.text.decode import decode
from qwen_pipeline.text.encoding_utf8_lines import find_utf8_lines

CHINESE = "问：试用期最长多久？\n答：三年以上固定期限的劳动合同，试用期不得超过六个月。\n\n"
GERMAN = (
    "Q: Wie lange müssen Klöße ziehen?\nA: Klöße ziehen etwa zwanzig Minuten in heißem, nicht kochendem Salzwasser.\n\n"
    "Q: Weshalb fällt der Käsekuchen zusammen?\nA: Öffnen Sie die Ofentür nicht zu früh.\n\n"
)
FRENCH = "Q: Comment réussir une pâte brisée ?\nA: Travaillez le beurre très froid, puis ajoutez l’eau peu à peu.\n\n"
POLISH = "Q: Jak długo gotować żurek?\nA: Żurek gotuj na małym ogniu około trzydziestu minut, często mieszając.\n\n"
RUSSIAN = "Q: Чем подкормить огурцы?\nA: Раз в две недели настоем коровяка или золы, после полива.\n\n"
GREEK = (
    "Q: Πότε ωριμάζουν οι ελιές;\nA: Συνήθως από τον Οκτώβριο έως τον Ιανουάριο, ανάλογα με την ποικιλία.\n\n"
)


@pytest.mark.parametrize("accented", [GERMAN, FRENCH])
@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("times", [1, 200])
def test_a_few_accents_in_utf8_are_no_ideographs(accented, is_first, times):
    parts = [(accented * times, "utf-8"), (CHINESE * times, "gb18030")]
    parts = parts if is_first else parts[::-1]
    decoded = decode(b"".join(text.encode(encoding) for text, encoding in parts))
    assert decoded.text == "".join(text for text, _ in parts)
    assert not decoded.losses


@pytest.mark.parametrize(
    ("text", "encoding"),
    [(GERMAN, "cp1252"), (FRENCH, "cp1252"), (POLISH, "cp1250"), (RUSSIAN, "cp1251"), (GREEK, "cp1253")],
)
@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("times", [1, 200])
def test_the_rest_of_a_file_tells_the_encoding_beside_utf8(text, encoding, is_first, times):
    encodings = ("utf-8", encoding) if is_first else (encoding, "utf-8")
    decoded = decode(b"".join((text * times).encode(name) for name in encodings))
    assert decoded.text == text * times * 2
    assert {span.encoding for span in decoded.spans} == {"utf-8", encoding}


def test_ideographs_whose_bytes_are_valid_utf8_stay_chinese():
    text = "值 为true\n标志 为1\n" * 300 + CHINESE
    assert "为".encode("gb18030").decode("utf-8") == "Ϊ"
    assert decode(text.encode("gb18030")).text == text


@given(st.lists(st.one_of(st.text(max_size=6).map(str.encode), st.binary(max_size=6)), max_size=8))
def test_lines_found_are_those_that_decode(parts):
    data = b"\n".join(parts)
    valid = [line for line in _lines(data) if not line.isascii() and _is_utf8(line)]
    assert [data[start:end] for start, end, _ in find_utf8_lines(data)] == valid


def _lines(data):
    *ended, last = data.split(b"\n")
    return [line + b"\n" for line in ended] + [last]


def _is_utf8(line):
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
