import json
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from qwen_pipeline.commands import chat as command
from qwen_pipeline.errors import EvaluationError


class Echo:
    """Answers with what it was asked, and how many turns it remembers."""

    def __init__(self, name: str) -> None:
        self.name, self.turns = name, 0

    def stream(self, question: str) -> Iterator[str]:
        if question == "too long":
            raise EvaluationError("Start again with /new.")
        self.turns += 1
        if question == "Ctrl-C":
            raise KeyboardInterrupt
        yield from (f"{self.name} ", f"{self.turns} ", question)

    def forget(self) -> None:
        self.turns = 0


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    def speakers(env: Any, params: Any, sides: list[str], system: Any) -> dict[str, Echo]:
        return {side: Echo(side) for side in sides}

    monkeypatch.setattr(command, "_speakers", speakers)
    return lambda *arguments, **options: CliRunner().invoke(command.chat, arguments, **options)


def test_one_question_prints_the_answer_alone(run: Any) -> None:
    assert run("--ask", "Why?").output == "tuned 1 Why?\n"


def test_compare_puts_the_base_first_and_names_both(run: Any) -> None:
    assert run("--ask", "Why?", "--compare").output == "── base\nbase 1 Why?\n── tuned\ntuned 1 Why?\n"
    told = json.loads(run("--ask", "Why?", "--compare", "--json", "--model", "exported").output)
    assert told == {"question": "Why?", "answers": {"base": "base 1 Why?", "exported": "exported 1 Why?"}}


def test_the_terminal_keeps_history_until_new_and_ends_at_quit(run: Any) -> None:
    output = run(input="one\n\ntwo\n/new\nthree\n/quit\nfour\n").output
    assert "tuned 1 one" in output
    assert "tuned 2 two" in output
    assert "tuned 1 three" in output
    assert "four" not in output


def test_the_end_of_the_input_ends_the_conversation(run: Any) -> None:
    done = run(input="one\n")
    assert done.exit_code == 0
    assert "tuned 1 one" in done.output


def test_json_without_a_question_is_refused(run: Any) -> None:
    done = run("--json")
    assert done.exit_code == 1
    assert "--ask" in done.output


@pytest.mark.parametrize("question", ["", "  "])
def test_an_empty_question_is_refused(run: Any, question: str) -> None:
    done = run("--ask", question)
    assert done.exit_code == 1
    assert "--ask is empty" in done.output


def test_a_refused_question_ends_no_conversation_but_is_no_success(run: Any) -> None:
    done = run(input="one\ntoo long\ntwo\n")
    assert "Start again with /new." in done.stderr
    assert "tuned 2 two" in done.stdout
    assert done.exit_code == 1
    assert run("--ask", "too long").exit_code == 1


def test_ctrl_c_stops_an_answer_and_not_the_conversation(run: Any) -> None:
    done = run(input="Ctrl-C\ntwo\n")
    assert "tuned 2 two" in done.stdout
    assert done.exit_code == 0


def test_a_line_that_is_not_utf_8_reaches_the_conversation(run: Any) -> None:
    done = run(input="你好\n".encode("gb18030"))
    assert done.exception is None
    assert "tuned 1" in done.stdout
