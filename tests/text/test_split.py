"""The split is a function of the content alone."""

import sys

from hypothesis import given
from hypothesis import strategies as st

from qwen_pipeline.text.split import _single_spaced, content_key, given_split, hash_split


@given(st.text(st.sampled_from("ab问 　\n\t\xa0\x1c\u2028\u200b")) | st.text())
def test_white_space_counts_as_one_space_however_it_is_told(text):
    assert _single_spaced(text) == " ".join(text.split())


def test_no_character_but_the_space_is_both_printable_and_white():
    assert [c for c in map(chr, range(sys.maxunicode + 1)) if c.isspace() and c.isprintable()] == [" "]


def test_keys_depend_on_roles_and_contents_and_not_on_layout():
    key = content_key([("user", "甲  乙"), ("assistant", "一\n")])
    assert key == content_key([("user", " 甲 乙"), ("assistant", "一")])
    assert key != content_key([("user", "甲 乙"), ("system", "一")])


def test_splits_have_about_the_shares_asked_for():
    keys = [content_key([("user", str(n))]) for n in range(20_000)]
    splits = [hash_split(key, 0.05, 0.1) for key in keys]
    assert abs(splits.count("test") - 2000) < 200
    assert abs(splits.count("validation") - 1000) < 150


def test_folders_give_the_split_only_at_the_top():
    assert given_split("validation/a.md") == "validation"
    assert given_split("test/deep/a.md") == "test"
    assert given_split("test.md") is None
    assert given_split("validation") is None
    assert given_split("other/test/a.md") is None


def test_a_key_gives_the_same_split_in_every_version_of_this_project():
    first_byte = [hash_split(bytes([byte, *[0] * 15]), 0.25, 0.5) for byte in (0, 127, 128, 191, 192, 255)]
    assert first_byte == ["test", "test", "validation", "validation", "train", "train"]
