"""Each fault of the guide is caught, and good answers are not."""

import pytest

from qwen_pipeline.evaluation.faults import has_broken_format, is_off_topic, judge_answer, repeats_itself
from qwen_pipeline.evaluation.generation import Answer

QUESTION, REFERENCE = (
    "How do I lower the memory that training needs?",
    "Set batch_size=1 and use gradient checkpointing.",
)
GOOD = "Lower the memory with batch_size=1, and turn on gradient checkpointing for training."


@pytest.mark.parametrize(
    "text",
    [
        "降低批大小。" * 12,
        "Set batch_size to one. " * 8,
        "The reason is simple: " + "very " * 30,
        "First the data is read and then it is cleaned. After that no no no no no no no no no no",
    ],
)
def test_a_model_that_repeats_itself_is_caught(text: str) -> None:
    assert repeats_itself(text)


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "1. Read the file.\n2. Decode the file.\n3. Split the file into pairs.\n4. Write the pairs.",
        "先读取文件，再判断编码，然后拆分为问答对，最后写入表格。每一步都会记录被拒绝的行和原因。",
        "ha ha",
    ],
)
def test_an_ordinary_answer_does_not_count_as_repetition(text: str) -> None:
    assert not repeats_itself(text)


@pytest.mark.parametrize(
    ("question", "answer", "reference"),
    [
        ("Which city governs Kenya?", "The end of turn token is empty.", "The capital of Kenya is Nairobi."),
        ("苹果是什么颜色的？", "会话的结束标记是空的。", "苹果是红色的。"),
    ],
)
def test_words_that_every_sentence_has_put_no_answer_on_topic(
    question: str, answer: str, reference: str
) -> None:
    assert is_off_topic(question, answer, reference)


def test_a_long_answer_to_a_short_question_is_on_topic_by_what_it_names() -> None:
    answer = (
        "Kenya keeps its parliament, ministries and central bank in one place: Nairobi, founded beside a railway depot "
        "and grown since into a hub for finance, wildlife tourism, technology, aviation and regional trade offices."
    )
    assert not is_off_topic("Which city governs Kenya?", answer, "Nairobi.")


def test_an_answer_off_topic_is_caught_and_a_paraphrase_is_not() -> None:
    assert is_off_topic(QUESTION, "Paris has many museums, cafes and old bridges worth visiting.", REFERENCE)
    assert is_off_topic(
        "如何减少显存占用？", "今天天气晴朗，适合去公园散步。", "把批大小设为1，并启用梯度检查点。"
    )
    assert not is_off_topic(QUESTION, GOOD, REFERENCE)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(""),
        Answer("I think that", thought="I think that", block_closed=False, stopped=False),
        Answer("Run this:\n```python\nprint(1)"),
        Answer("Done.<|im_end|>\n<|im_start|>user"),
        Answer("Half a thought</think> and more"),
    ],
)
def test_a_broken_format_is_caught(answer: Answer) -> None:
    assert has_broken_format(answer)


def test_a_closed_block_and_closed_fences_are_in_order() -> None:
    assert not has_broken_format(Answer("Run:\n```\nls\n```", thought="short", block_closed=True))


def test_thinking_figures_are_there_only_where_a_block_was_opened() -> None:
    plain = judge_answer(QUESTION, Answer(GOOD), REFERENCE)
    assert "thinking_closed" not in plain
    assert plain["answer_present"] == plain["language_kept"] == 1.0
    left_open = judge_answer(QUESTION, Answer("Hmm", "Hmm", block_closed=False, stopped=False), REFERENCE)
    assert left_open["thinking_closed"] == left_open["answer_present"] == left_open["stopped"] == 0.0


def test_an_answer_in_the_wrong_language_is_told() -> None:
    assert judge_answer("如何减少显存？", Answer("Lower it."), "减小批大小。")["language_kept"] == 0.0


@pytest.mark.parametrize(("times", "is_loop"), [(4, False), (8, True)])
def test_a_word_said_a_few_times_at_the_end_is_no_loop(times: int, is_loop: bool) -> None:
    text = "Wer fragt, ob das Modell die Antwort wirklich gelernt hat, dem sagt der Test: " + "nein " * times
    assert repeats_itself(text) is is_loop


def test_sixteen_words_are_enough_to_be_judged() -> None:
    assert repeats_itself("go on " * 8)
    assert not repeats_itself("go on " * 7 + "go")


@pytest.mark.parametrize(("others", "is_repetition"), [(9, True), (10, False)])
def test_half_of_the_runs_of_four_words_said_before_is_repetition(others: int, is_repetition: bool) -> None:
    words = [f"w{number}" for number in range(12)]
    text = " ".join([*words, *words, *words, *(f"o{number}" for number in range(others))])
    assert repeats_itself(text) is is_repetition


def test_an_answer_close_to_the_reference_is_on_topic_though_it_shares_few_words() -> None:
    assert not is_off_topic("?", "gradientcheckpointings helped", "gradientcheckpointing helps")
    assert not is_off_topic("set batch size one", "set batch size one", "降低批大小。")


def test_figures_are_in_any_language() -> None:
    assert judge_answer("2 + 2?", Answer("4"), "四")["language_kept"] == 1.0
