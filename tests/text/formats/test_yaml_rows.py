"""YAML: rows have the lines where they are written."""

from documents import read_document


def read(tmp_path, text):
    return read_document(tmp_path, "rows.yaml", text)


def test_rows_that_share_a_context_have_lines_of_their_own(tmp_path):
    rows = "".join(f"- question: Who is {n}?\n  answer: He is.\n" for n in range(3))
    found = read(tmp_path, "title: One\ncontext: Some text here\nqas:\n" + rows)
    assert [row.line for row in found] == [4, 6, 8]
    assert all("Some text here" in row.messages[0][1] for row in found)


def test_rows_without_a_context_keep_their_lines(tmp_path):
    rows = "".join(f"- question: Who is {n}?\n  answer: He is.\n" for n in range(3))
    assert [row.line for row in read(tmp_path, "faq:\n" + rows)] == [2, 4, 6]


CHATTERBOT = """categories:
- greetings
conversations:
- - Hello
  - Hi there.
- - Who are you?
  - A bot.
"""


def test_what_two_say_in_turn_beside_categories_is_a_conversation_each(tmp_path):
    rows = read(tmp_path, CHATTERBOT)
    assert [(row.line, row.messages) for row in rows] == [
        (4, (("user", "Hello"), ("assistant", "Hi there."))),
        (6, (("user", "Who are you?"), ("assistant", "A bot."))),
    ]


def test_a_conversation_that_ends_with_a_question_is_read_up_to_the_last_answer(tmp_path):
    rows = read(
        tmp_path, CHATTERBOT.replace("categories:\n- greetings\n", "") + "  - Since when?\n- - Alone\n"
    )
    assert [row.line for row in rows] == [2, 4, 7]
    assert rows[1].messages[-1] == ("assistant", "A bot.")
    assert rows[1].notes == ("unanswered_last_turn_left_out",)
    assert rows[2].reason.value == "missing_answer"


def test_pairs_alone_are_the_turns_of_one_conversation(tmp_path):
    (row,) = read(tmp_path, CHATTERBOT.replace("categories:\n- greetings\n", ""))
    assert [text for _, text in row.messages] == ["Hello", "Hi there.", "Who are you?", "A bot."]
