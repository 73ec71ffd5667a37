"""What the demo model reads before it is tuned: answers alone, and pairs of wordings of one question.

No question ever stands beside its answer, so answering is left to the tuning. Turns are written as the
template writes them: like any chat model, the demo knows the form before it is tuned. Files under
``validation/`` and ``test/`` are not read: they stay unseen.
"""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import permutations
from pathlib import Path

from qwen_pipeline.model.demo_recipe import END_OF_TURN, START_OF_TURN

Text = tuple[str, ...]

_ANSWER_PROMPT = f"{START_OF_TURN}assistant\n<think>\n"
_HELD_OUT = ("validation", "test")
_PAIR = re.compile(
    r"^Q\d*[:：]\s*(?P<question>.+?)\s*^A\d*[:：]\s*(?P<answer>.+?)\s*(?=^Q\d*[:：]|^#|\Z)",
    re.MULTILINE | re.DOTALL,
)


def corpus_files(sample_directory: Path) -> dict[str, Path]:
    """Files that pretraining may read, by relative name, sorted."""
    return {
        path.relative_to(sample_directory).as_posix(): path
        for path in sorted(sample_directory.rglob("*"))
        if path.suffix in {".md", ".jsonl"}
        and path.name.lower() != "readme.md"
        and not set(path.relative_to(sample_directory).parts) & set(_HELD_OUT)
    }


def read_pairs(files: Sequence[Path]) -> list[tuple[str, str]]:
    """Questions with their answers, in the files' order."""
    return [pair for path in files for pair in _pairs_of(_decode(path.read_bytes()), path.suffix)]


def pretraining_texts(pairs: Sequence[tuple[str, str]]) -> list[Text]:
    """Each answer by itself, plain and as a turn, and each ordered pair of two wordings of one answer.

    Returns:
        Texts in segments that are tokenised apart, as prompt and completion are; answers are repeated
        until they make up about half.
    """
    wordings: dict[str, list[str]] = {}
    for question, answer in pairs:
        wordings.setdefault(answer, []).append(question)
    plain: list[Text] = [(answer,) for answer in wordings]
    turns = [(_ANSWER_PROMPT, f"\n</think>\n\n{answer}{END_OF_TURN}\n") for answer in wordings]
    together = [
        (_question_turn(first) + _question_turn(second),)
        for group in wordings.values()
        for first, second in permutations(dict.fromkeys(group), 2)
    ]
    answers = [*plain, *turns]
    return answers * max(1, len(together) // max(1, len(answers))) + together


def _question_turn(question: str) -> str:
    return f"{START_OF_TURN}user\n{question}{END_OF_TURN}\n"


def _pairs_of(text: str, suffix: str) -> Iterator[tuple[str, str]]:
    if suffix == ".md":
        yield from ((match["question"], match["answer"]) for match in _PAIR.finditer(text))
        return
    for line in filter(str.strip, text.splitlines()):
        contents = {turn["role"]: turn["content"] for turn in json.loads(line).get("messages", [])}
        if contents.keys() >= {"user", "assistant"}:
            yield contents["user"], contents["assistant"]


def _decode(content: bytes) -> str:
    """The samples are UTF-8, some with a BOM, or GB18030."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("gb18030")
    return text.replace("\r\n", "\n")
