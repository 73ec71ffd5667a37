"""Plain texts by table against plain texts one by one."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from qwen_pipeline.text.clean_batch import Sketches
from qwen_pipeline.text.plain_text import LONGEST, plain, plain_codes
from qwen_pipeline.text.plain_text_file import PlainTextFile

WRITTEN = st.text(st.characters(exclude_categories=("Cs", "Cn", "Co")))


@given(st.lists(WRITTEN, min_size=1, max_size=8))
@example(
    ["ﬁne ½ ㎏ ﾊﾞ", "é e\u0301", "㍿ ĳ ΑΣ", "", "！？", "x" * (LONGEST + 5), "ㄱㅏ", "한글", "\u1112\u1161"]
)
def test_the_table_gives_what_folding_each_text_gives(texts):
    codes, lengths = plain_codes(texts)
    joined = codes.astype("<u4").tobytes().decode("utf-32-le")
    ends = np.cumsum(lengths)
    assert [joined[end - length : end] for end, length in zip(ends, lengths, strict=True)] == [
        plain(text) for text in texts
    ]


@given(st.lists(st.tuples(WRITTEN, WRITTEN), min_size=1, max_size=5))
def test_rows_come_back_from_the_file(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("texts") / "part.texts"
    sketches = []
    for question, answer in rows:
        codes, lengths = plain_codes([question, answer])
        sketches.append(Sketches(np.zeros((1, 32)), codes, lengths))
    PlainTextFile.write(path, sketches)
    file = PlainTextFile(path)
    read = [tuple("".join(map(chr, codes)) for codes in file.read(at)) for at in range(len(rows))]
    assert read == [(plain(one), plain(two)) for one, two in rows]
