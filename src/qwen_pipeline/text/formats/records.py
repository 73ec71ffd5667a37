"""One record (a JSON object, a table's row) into a conversation, whatever its fields are called."""

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import chain
from typing import Any

from qwen_pipeline.text.formats.answer_lists import alternatives, are_texts, records_of_lists
from qwen_pipeline.text.formats.conversation import conversation
from qwen_pipeline.text.formats.history import turns_of_history
from qwen_pipeline.text.formats.record_shapes import plain_record
from qwen_pipeline.text.formats.row import Message, Row, refuse
from qwen_pipeline.text.formats.turns import RecordError, answer_with_reasoning, role_of, text_of, turns_of
from qwen_pipeline.text.schema import RejectReason

_TURNS = (
    "messages",
    "conversations",
    "conversation",
    "dialogue",
    "dialog",
    "chat",
    "turns",
    "contents",
    "对话",
)
_QUESTIONS = (
    "question", "instruction", "prompt", "query", "questions", "q", "ask", "user", "human", "problem",
    "问题", "提问", "问", "题目", "指令", "用户", "標題問題", "問題", "質問", "질문", "标准问题", "标准问", "inputs", "text_in",
    "用户问题", "用户提问", "问题描述", "常见问题", "标准问法", "咨询问题", "咨询", "客户问题", "题干",
    "frage", "вопрос", "pregunta", "pergunta", "domanda", "soru", "câu_hỏi", "คำถาม", "السؤال",
    "سؤال", "प्रश्न", "customer_question", "user_question", "user_query",
)  # fmt: skip
_ANSWERS = (
    "answer", "output", "completion", "response", "answers", "a", "reply", "assistant", "gpt", "bot", "chosen",
    "solution", "target", "回答", "答案", "答", "回复", "答复", "输出", "解答", "助手", "답변", "标准答案", "标准答", "best_answer", "targets",
    "text_out", "正确答案", "correct_answer", "answerkey", "answer_key", "参考答案", "标准回复", "标准回答", "客服回复", "客服回答", "机器人回答",
    "回复内容", "解决方案", "解决办法", "处理方案", "antwort", "ответ",
    "respuesta", "resposta", "risposta", "réponse", "reponse", "cevap", "yanıt", "trả_lời", "câu_trả_lời", "คำตอบ", "الجواب",
    "الإجابة", "جواب", "उत्तर", "agent_response", "reference_answer",
)  # fmt: skip
_INPUTS = ("input", "context", "passage", "输入", "补充")
_SYSTEMS = (
    "system",
    "system_prompt",
    "system_message",
    "system_instruction",
    "systeminstruction",
    "系统提示",
    "系统",
)
_HISTORIES = ("history", "历史")
_REASONINGS = (
    "reasoning_content",
    "reasoning",
    "thinking",
    "thought",
    "cot",
    "complex_cot",
    "思考",
    "思维链",
)
ROLE_FIELDS: Mapping[str, tuple[str, ...]] = {
    "messages": _TURNS,
    "question": _QUESTIONS,
    "answer": _ANSWERS,
    "input": _INPUTS,
    "system": _SYSTEMS,
    "history": _HISTORIES,
    "reasoning": _REASONINGS,
}
_IN_BRACKETS = re.compile(r"[（(\[【]\s*([^）)\]】]*?)\s*[）)\]】]")
_NAME_ENDING = re.compile(r"(?:_?(?:text|content|body|zh|en|cn|str)|内容|文本|正文|列)$")
_BY_NAME = {name: role for role, names in ROLE_FIELDS.items() for name in names}


def map_fields(names: list[str], column_map: Mapping[str, str]) -> dict[str, str]:
    """Which field plays which role.

    Args:
        names: The record's fields.
        column_map: Field names by role (``question``, ``answer``, ``input``, ``system``, …), or roles by
            field name; it wins over what the names suggest.

    Returns:
        Role to field name; a role is missing where no field plays it.
    """
    roles: dict[str, str] = {}
    for left, right in column_map.items():
        if right in names and left in ROLE_FIELDS:
            roles[left] = right
        elif left in names and right in ROLE_FIELDS:
            roles[right] = left
    ranked: dict[str, tuple[int, str]] = {}
    options = ("A", "a") if not {"B", "b"}.isdisjoint(names) else ()  # beside a B it is no answer
    for name in names:
        if name in roles.values() or name in options:
            continue
        role, rank = _role_of(name)
        if role not in roles and role and (role not in ranked or rank < ranked[role][0]):
            ranked[role] = (rank, name)
    found = {**{role: name for role, (_, name) in ranked.items()}, **roles}
    if "answer" not in found and "reasoning" in found and "content" in names:
        found["answer"] = "content"  # as an API of a thinking model answers
    if "question" not in found and "answer" in found and found.get("input", "").lower() == "input":
        found["question"] = found.pop("input")  # input and output alone are a pair
    if set(names) == {"content", "summary"}:
        return {"question": "content", "answer": "summary"}  # AdGen
    if found.keys().isdisjoint(("question", "messages")) and {"title", "answer"} <= set(names):
        found["question"] = "title"  # baike_qa, whose questions are longer in ``desc``
        found |= {"input": "desc"} if "desc" in names else {}
    if found.get("answer") == "answers" and {"question", "description", "keywords"} <= set(names):
        found.setdefault("input", "description")  # PsyQA, whose questions are titles
    return found


@lru_cache(maxsize=1024)
def _role_of(name: str) -> tuple[str, int]:
    """The role that a field's name suggests, and how unusual a name it is; an empty role for any other name.

    ``问题（Question）``, ``question_text`` and ``answer_zh`` count as their plain words where nothing is nearer.
    """
    plain = name.strip(" \t\ufeff*").lower().replace(" ", "_").replace("-", "_")
    inside = _IN_BRACKETS.search(plain)
    outside = _IN_BRACKETS.sub("", plain).strip("_")
    keys = (plain, outside, inside[1] if inside else "", _NAME_ENDING.sub("", outside))
    for distance, key in enumerate(keys):
        role = _BY_NAME.get(key)
        if role is not None:
            return role, 100 * distance + ROLE_FIELDS[role].index(key)
    return "", 0


def is_record(names: list[str], column_map: Mapping[str, str]) -> bool:
    """Whether fields of these names make a conversation."""
    roles = map_fields(names, column_map)
    return "messages" in roles or ("question" in roles and "answer" in roles)


def row_of_record(
    record: Mapping[str, Any],
    line: int,
    offset: int,
    column_map: Mapping[str, str],
    tool_turns: str,
    notes: tuple[str, ...] = (),
) -> Row:
    """The conversation in ``record``, or why there is none.

    Args:
        record: Field names to values.
        line: Where the record begins.
        offset: The same in characters.
        column_map: As in ``map_fields``.
        tool_turns: ``refuse``, ``drop`` or ``keep``.
        notes: What the caller noted.
    """
    record = plain_record(record)
    names = [str(name) for name in record]
    roles = map_fields(names, column_map)
    if not roles.keys().isdisjoint(("answer", "messages")) and _is_labelled_false(record):
        return refuse(
            line,
            RejectReason.UNDESIRED_ANSWER,
            "the answer is labelled false: it is not to be learned",
            _preview(record),
        )
    odd: list[str] = []
    try:
        turns = _turns(record, roles, tool_turns, odd)
    except RecordError as error:
        return refuse(line, error.reason, error.detail, _preview(record))
    if turns is None:
        shown = ", ".join(names[:12]) or "none"
        missing = f"no question and answer among the fields ({shown}); name them with column_map"
        return refuse(line, RejectReason.UNKNOWN_FIELDS, missing, _preview(record))
    return conversation(turns, line, offset, (*notes, *odd))


def _is_labelled_false(record: Mapping[str, Any]) -> bool:
    """Whether people did not want the answer, as in data for KTO; a table in text writes the label as a word or 0.

    A zero counts only beside a prompt and its completion, as such data has them: elsewhere it is some class's number.
    """
    label = next((record[name] for name in record if str(name).strip().lower() == "label"), None)
    if isinstance(label, str):
        label = {"false": False, "0": 0, "0.0": 0}.get(label.strip().lower())
    return label is False or (label == 0 and label is not None and {"prompt", "completion"} <= record.keys())


def _turns(
    record: Mapping[str, Any], roles: Mapping[str, str], tool_turns: str, odd: list[str]
) -> list[Message] | None:
    """The turns, None where no fields hold any; what has to be left out is added to ``odd``."""
    system = text_of(record[roles["system"]]) if "system" in roles else ""
    opening: list[Message] = [("system", system)] if system.strip() else []
    given = record[roles["messages"]] if "messages" in roles else None
    if (
        isinstance(given, str)
        and {"question", "answer"} <= roles.keys()
        and not given.lstrip().startswith("[")
    ):
        given = None  # a name or number of the conversation
    if given not in (None, "", []):
        turns = turns_of(given, tool_turns)
        return turns if turns and turns[0][0] == "system" else [*opening, *turns]
    if "question" not in roles or "answer" not in roles:
        return [] if "messages" in roles else None
    history = turns_of_history(record.get(roles.get("history", "")))
    opening.extend(history or [])
    odd.extend(["history_left_out"] * (history is None))
    question, answer = record[roles["question"]], record[roles["answer"]]
    if isinstance(question, list) and len(question) == 1 and are_texts(question[0]):
        odd.extend(["other_wordings_left_out"] * (len(question[0]) > 1))
        question = question[0][0]  # one question in several wordings, as in Huatuo-26M
        record = {**record, roles["question"]: question}
    if are_texts(question) and are_texts(answer):
        pairs = [_pair(one, roles) for one in records_of_lists(record, roles)]
        return [*opening, *chain.from_iterable(pairs)]
    if isinstance(question, list) and isinstance(answer, list) and not are_texts(answer):
        return [*opening, *turns_of(question, tool_turns), *turns_of(answer, tool_turns)]
    if role_of(answer):
        asking = question if isinstance(question, list) else [{"role": "user", "content": question}]
        return [*opening, *turns_of([*asking, answer], tool_turns)]
    several = alternatives(answer)
    odd.extend(["other_answers_left_out"] * any(other != several[0] for other in several))
    return [*opening, *_pair(record, roles)]


def _pair(record: Mapping[str, Any], roles: Mapping[str, str]) -> list[Message]:
    """Question and answer, with what goes with the one and the reasoning that leads to the other."""
    asked = text_of(record[roles["question"]])
    more = text_of(record[roles["input"]]) if "input" in roles else ""
    if more.strip() and more.strip() != asked.strip():
        asked = f"{asked}\n{more}" if asked.strip() else more
    thought = text_of(record[roles["reasoning"]]) if "reasoning" in roles else ""
    answer = record[roles["answer"]]
    first = next(iter(alternatives(answer)), answer)
    return [("user", asked), ("assistant", answer_with_reasoning(text_of(first), thought))]


def _preview(record: Mapping[str, Any]) -> str:
    return "; ".join(f"{name}={str(value)[:50]}" for name, value in list(record.items())[:4])
