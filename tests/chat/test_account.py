"""The counts of a split's examples and rows."""

from qwen_pipeline.chat.account import SplitAccount
from qwen_pipeline.chat.labels import EncodedTurn, RefusedTurn, Unusable


def row(length: int, trained: int, **cuts: bool) -> EncodedTurn:
    return EncodedTurn([1] * length, [-100] * (length - trained) + [1] * trained, length - trained, **cuts)


TOO_LONG = RefusedTurn(Unusable.ANSWER_TOO_LONG, "", 90)


def test_rows_are_counted_with_their_tokens_cuts_and_lengths() -> None:
    account = SplitAccount()
    for length in range(1, 101):
        account.add([row(length, 1, question_cut=length > 95, answer_cut=length > 98)])
    told = account.as_dict()
    assert (told["examples"], told["kept"], told["rows"]) == (100, 100, 100)
    assert (told["tokens"], told["trained_tokens"]) == (5050, 100)
    assert (told["questions_cut"], told["answers_cut"]) == (5, 2)
    assert told["row_tokens"] == {"p50": 50, "p90": 90, "p99": 99, "max": 100}
    assert told["row_tokens_by_power_of_two"] == {
        "0": 1, "1": 2, "2": 4, "3": 8, "4": 16, "5": 32, "6": 37,
    }  # fmt: skip


def test_an_example_is_kept_with_one_of_its_turns_and_rejected_with_none() -> None:
    account = SplitAccount()
    account.add([TOO_LONG, row(5, 2)])
    account.add([TOO_LONG, RefusedTurn(Unusable.NO_REASONING, "")])
    told = account.as_dict()
    assert (told["examples"], told["kept"], told["rows"]) == (2, 1, 1)
    assert told["turns_refused_in_kept_examples"] == {"answer_too_long": 1}
    assert told["rejected"] == {"answer_too_long": 1}


def test_accounts_of_parts_add_up_to_that_of_the_whole() -> None:
    examples = [
        [row(5, 2, question_cut=True)],
        [TOO_LONG, row(7, 3, answer_cut=True)],
        [RefusedTurn(Unusable.ANSWER_TOO_LONG, "", 80)],
        [RefusedTurn(Unusable.NO_REASONING, "")],
        [row(5, 1)],
    ]
    whole, merged = SplitAccount(), SplitAccount()
    for example in examples:
        whole.add(example)
        part = SplitAccount()
        part.add(example)
        merged.merge(part)
    assert merged == whole
    assert whole.shortest_needed == 80


def test_a_split_without_rows_has_lengths_of_zero() -> None:
    assert SplitAccount().as_dict()["row_tokens"] == {"p50": 0, "p90": 0, "p99": 0, "max": 0}
