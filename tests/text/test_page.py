"""Pages of pictures."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from browser import Browser
from qwen_pipeline.text.page import Bars, Rows, length_bins, render_page


def pictures(page):
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page)]


def test_bars_are_as_long_as_their_counts():
    (picture,) = pictures(render_page("t", [], [Bars("b", {"a": 1, "b": 4})]))
    widths = [float(bar.get("width")) for bar in picture.iter("rect")]
    assert widths[0] == 4 * widths[1]
    assert [text.text for text in picture.iter("text")] == ["b", "4 (80.0%)", "a", "1 (20.0%)"]


def test_lengths_keep_their_order_and_their_gaps():
    assert length_bins({0: 1, 3: 2}) == {"1": 1, "2–3": 0, "4–7": 0, "8–15": 2}
    assert length_bins({}) == {}


def test_everything_is_escaped_and_nothing_comes_from_outside():
    page = render_page("<t>", ["<r>"], [Bars("<b>", {"<x>": 1}), Rows("<h>", ["<c>"], [["<d>"]])])
    assert not re.search(r"<(?:t|r|b|x|c|d)>", page)
    assert "http" not in page


def test_no_counts_is_said():
    assert "<p>none</p>" in render_page("t", [], [Bars("b", {"a": 0})])


def test_texts_stay_inside_the_picture():
    names = {"unanswered_last_turn_left_out_and_more": 10**6, "mojibake:utf-8 read as gb18030": 3}
    (picture,) = pictures(render_page("t", [], [Bars("b", names)]))
    assert all(len(text.text) <= 34 for text in picture.iter("text"))
    assert float(picture.get("width")) <= 700


def test_a_reader_sees_the_whole_of_every_name_and_figure(tmp_path):
    path = tmp_path / "page.html"
    counts = {"unanswered_last_turn_left_out_and_more": 12_345_678, "一段很长的说明文字" * 5: 1}
    path.write_text(render_page("t", [], [Bars("b", counts)]), encoding="utf-8")
    with Browser() as browser:
        browser.open(path.as_uri())
        edges = browser.evaluate(
            "[...document.querySelectorAll('text')].map(text => [text.getBBox().x, text.getBBox().x + text.getBBox().width])"
        )
    assert min(left for left, _ in edges) >= 0
    assert max(right for _, right in edges) <= 700


@pytest.mark.parametrize("width", [360, 800])
def test_the_page_is_as_wide_as_the_window(tmp_path, width):
    heads = [
        "split",
        "examples",
        "kept",
        "rows",
        "questions cut",
        "answers cut",
        "tokens",
        "trained tokens",
        "max",
    ]
    sections = [Bars("b", {"a": 1}), Rows("h", heads, [["validation", *[1234567] * 8]])]
    path = tmp_path / "page.html"
    path.write_text(render_page("t", [], sections), encoding="utf-8")
    with Browser(width=width) as browser:
        browser.open(path.as_uri())
        assert browser.evaluate("document.documentElement.scrollWidth") == width
        assert browser.evaluate("document.querySelector('svg').getBoundingClientRect().width") >= 560
        assert browser.evaluate("document.querySelector('meta[name=viewport]') !== null")
