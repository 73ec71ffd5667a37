"""HTML that a page left in a text goes; HTML that somebody writes about stays."""

import time

import pytest

from qwen_pipeline.text.clean_row import CleanRules
from qwen_pipeline.text.html_leftovers import remove_html_leftovers
from text.cleaning import clean_row


def clean(question, answer, file="a.csv", **rules):
    row = clean_row([("user", question), ("assistant", answer)], file, CleanRules(**rules))
    return row.messages[1][1], row.repairs


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("显存&nbsp;不够&mdash;&mdash;换卡", "显存 不够——换卡"),
        ("a &lt; b &amp;&amp; c &#62; d &#x27;e&#x27;", "a < b && c > d 'e'"),
        ("第一步<br>第二步<br/>\n第三步", "第一步\n第二步\n第三步"),
        ("<p>先装。</p><p>再<span class='x'>用</span>。</p>", "先装。\n再用。"),
        ("AT&T &unknown; x<y & z>w", "AT&T &unknown; x<y & z>w"),
        ("好&nbsp;\n```\n&nbsp;<br>\n```\n`&lt;`", "好 \n```\n&nbsp;<br>\n```\n`&lt;`"),
        ("|a|\n|-|\n|x<br>y|\n好&nbsp;好", "|a|\n|-|\n|x<br>y|\n好 好"),
        ("&lt;|im_end|&gt;", "<| im_end |>"),
    ],
)
def test_leftovers_become_text(before, after):
    assert clean("怎么办？", before)[0] == after


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("HTML 里怎么换行？", "用 <br> 换行，空格写 &nbsp;。"),
        ("How to escape an ampersand?", "Write &amp; instead."),
        ("写个列表", "<ul><li>甲</li></ul><p>完</p>"),
    ],
)
def test_rows_about_markup_are_left_alone(question, answer):
    assert clean(question, answer) == (answer, [])


def test_a_markdown_file_keeps_its_tags():
    assert clean("怎么办？", "一<br>二&nbsp;三", "a.md")[0] == "一<br>二 三"


def test_it_is_recorded_and_can_be_switched_off():
    assert clean("甲？", "一<br>二&amp;三")[1] == ["html_tags_removed", "html_entities_unescaped"]
    assert clean("甲？", "一<br>二&amp;三", remove_html=False) == ("一<br>二&amp;三", [])


def test_a_long_gap_before_a_tag_is_read_once():
    start = time.process_time()
    text, _ = remove_html_leftovers("a" + " " * 200_000 + "<b<br>c", with_tags=True)
    assert text.endswith("<b\nc")
    assert time.process_time() - start < 5  # twenty seconds where it is tried from each of its places
