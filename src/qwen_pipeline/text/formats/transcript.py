"""A whole conversation in one text: with the marks of a chat template, or with speakers' names."""

import re

from qwen_pipeline.text.formats.speakers import SPEAKERS

_CHATML = re.compile(r"<\|im_start\|>\s*(\w+)\s*\n(.*?)(?:<\|im_end\|>|\Z)", re.DOTALL)
_INST_MARK = re.compile(r"(\[INST\])|(\[/INST\])|</?s>")
_SYSTEM = re.compile(r"\s*<<SYS>>(.*?)<</SYS>>", re.DOTALL)
_SPEAKER = re.compile(
    r"(?<!#)#{2,8}\s*(Human|User|Assistant|System|Instruction|Input|Response|Output|Question|Answer|问题|指令|回答|输入)"
    r"\s*[:：]|\n(Human|User|Assistant|用户|助手)\s*[:：]",
    re.IGNORECASE,
)
_VICUNA = re.compile(r"(?:^|(?<=\s)|(?<=<s>)|(?<=</s>))(USER|ASSISTANT):")
INLINE_ASSISTANT = re.compile(r"(?:^|[\s>])USER:[^\n]*[ \t]ASSISTANT:")
_SENTENCE_MARK = re.compile(r"\A<s>|</?s>\s*\Z")
_ROLES = SPEAKERS | {
    "instruction": "user", "input": "user", "question": "user", "问题": "user", "指令": "user", "输入": "user",
    "response": "assistant", "output": "assistant", "answer": "assistant", "回答": "assistant",
}  # fmt: skip


def turns_of_transcript(text: str) -> list[dict[str, str]] | None:
    """Roles and contents in order, or None where the text is no conversation of at least a question and an answer.

    Text before the first speaker (``Below is an instruction …``) is the system's.
    """
    turns = _of_chatml(text) or _of_instructions(text) or _of_vicuna(text) or _of_speakers(text)
    roles = {turn["role"] for turn in turns}
    return turns if {"user", "assistant"} <= roles else None


def _of_chatml(text: str) -> list[dict[str, str]]:
    return [{"role": role, "content": content.strip()} for role, content in _CHATML.findall(text)]


def _of_instructions(text: str) -> list[dict[str, str]]:
    turns: list[dict[str, str]] = []
    marks = list(_INST_MARK.finditer(text))
    ends = [*(mark.start() for mark in marks[1:]), len(text)][: len(marks)]
    opened: int | None = None
    for mark, end in zip(marks, ends, strict=True):
        if mark[1] and opened is None:
            opened = mark.end()
        elif mark[2] and opened is not None:
            asked, opened = text[opened : mark.start()], None
            if system := _SYSTEM.match(asked):
                asked = asked[system.end() :]
                turns.append({"role": "system", "content": system[1].strip()})
            turns.append({"role": "user", "content": asked.strip()})
            turns.append({"role": "assistant", "content": text[mark.end() : end].strip()})
    return turns


def _of_vicuna(text: str) -> list[dict[str, str]]:
    """Turns that share a line, as ``USER: … ASSISTANT: …</s>USER: …``; none where each begins a line of its own."""
    if not INLINE_ASSISTANT.search(text):
        return []
    marks = list(_VICUNA.finditer(text))
    turns = _between(text, marks, [_ROLES[mark[1].lower()] for mark in marks])
    return [{**turn, "content": _SENTENCE_MARK.sub("", turn["content"]).strip()} for turn in turns]


def _of_speakers(text: str) -> list[dict[str, str]]:
    padded = "\n" + text.replace("\r\n", "\n")
    marks = list(_SPEAKER.finditer(padded))
    return _between(padded, marks, [_ROLES[(mark[1] or mark[2]).lower()] for mark in marks])


def _between(text: str, marks: list[re.Match[str]], roles: list[str]) -> list[dict[str, str]]:
    """The turns that begin with these marks; what stands before the first is the system's."""
    if not marks:
        return []
    opening = text[: marks[0].start()].strip()
    turns = [{"role": "system", "content": opening}] if opening else []
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    for mark, end, role in zip(marks, ends, roles, strict=True):
        content = text[mark.end() : end].strip()
        if turns and turns[-1]["role"] == role:  # an instruction and its input are one question
            turns[-1]["content"] += f"\n{content}" if content else ""
        else:
            turns.append({"role": role, "content": content})
    return turns
