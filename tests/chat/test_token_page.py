"""The page about the tokenized rows."""

from qwen_pipeline.chat.account import SplitAccount
from qwen_pipeline.chat.labels import EncodedTurn
from qwen_pipeline.chat.token_page import render_token_page


def account(lengths):
    made = SplitAccount()
    for length in lengths:
        made.add([EncodedTurn([1] * length, [-100] * (length - 1) + [1], length - 1)])
    return made.as_dict()


def test_the_page_shows_the_lengths_of_each_split():
    report = {
        "max_sequence_length": 64,
        "total": {"found": 5, "kept": 4, "rejected": {"answer_too_long": 1}},
        "splits": {"train": account([5, 6, 40]), "test": account([9])},
    }
    assert report["splits"]["train"]["row_tokens_by_power_of_two"] == {"2": 2, "5": 1}
    page = render_token_page(report)
    assert "4 of 5 examples tokenized" in page
    assert "rows of train (tokens)" in page
    assert "4–7 2" in page
    assert "answer_too_long" in page
