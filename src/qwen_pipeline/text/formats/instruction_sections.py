"""Documents in the wording of an Alpaca prompt: sections ``### Instruction:``, ``### Input:`` and ``### Response:``."""

import re
from collections.abc import Iterable, Iterator

from qwen_pipeline.text.formats.answer_text import tidy_answer, tidy_question
from qwen_pipeline.text.formats.conversation import row_of_pair
from qwen_pipeline.text.formats.marked_lines import MarkedLine, body_text
from qwen_pipeline.text.formats.row import Row

_ROLES = {"instruction": "asked", "input": "asked", "response": "answer", "output": "answer", "end": "end"}
_PREAMBLE = re.compile(r"Below is an instruction that describes a task")
_LEAST_PAIRS = 2


def are_instruction_sections(lines: list[MarkedLine]) -> bool:
    """Whether the document has such sections, two at least: one alone may be shown in an answer."""
    names = [_name(line) for line in lines if line.level]
    asked = names.count("instruction")
    answered = sum(_ROLES.get(name) == "answer" for name in names)
    return asked >= _LEAST_PAIRS and answered >= _LEAST_PAIRS


def read_instruction_sections(lines: Iterable[MarkedLine]) -> Iterator[Row]:
    """A row for every instruction, with its input and the response to it."""
    at: MarkedLine | None = None
    asked: list[list[MarkedLine]] = []
    answer: list[MarkedLine] = []
    role = ""
    for line in lines:
        name = _name(line)
        if name == "instruction":
            if at is not None:
                yield _row(at, asked, answer)
            at, asked, answer = line, [], []
        if name:
            role = _ROLES[name]
            if role == "asked":
                asked.append([])
        elif not line.fenced and _PREAMBLE.match(line.text):
            role = "end"
        elif role == "answer":
            answer.append(line)
        elif role == "asked":
            asked[-1].append(line)
    if at is not None:
        yield _row(at, asked, answer)


def _name(line: MarkedLine) -> str:
    """The name of the section that a heading begins, with or without a colon; empty for any other line."""
    name = line.title.strip("* ").rstrip(":：").strip("* ").lower() if line.level else ""
    return name if name in _ROLES else ""


def _row(at: MarkedLine, asked: list[list[MarkedLine]], answer: list[MarkedLine]) -> Row:
    texts = (tidy_question(body_text(lines)) for lines in asked)
    question = "\n".join(text for text in texts if text)
    said = tidy_answer("", answer)
    return row_of_pair(
        at, question, said, answer, "an empty instruction", "an instruction without a response"
    )
