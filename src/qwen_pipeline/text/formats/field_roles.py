"""Which field of a record plays which role, whatever the fields are called."""

import re
from collections.abc import Mapping
from functools import lru_cache

from qwen_pipeline.text.formats.multiple_choice import OPTIONS, TITLES_OF_CHOICES

# What a question, or several, are about.
PASSAGES = ("context", "passage", "context_text", "article", "contexts")
# By role, the most usual name first.
ROLE_FIELDS: Mapping[str, tuple[str, ...]] = {
    "messages": ("messages", "conversations", "conversation", "dialogue", "dialog", "chat", "turns", "contents", "对话"),
    "question": (
        "question", "instruction", "prompt", "query", "questions", "q", "ask", "user", "human", "problem",
        "问题", "提问", "问", "题目", "指令", "用户", "標題問題", "問題", "質問", "질문", "标准问题", "标准问", "inputs", "text_in",
        "用户问题", "用户提问", "问题描述", "常见问题", "标准问法", "咨询问题", "咨询", "客户问题", "题干",
        "frage", "вопрос", "pregunta", "pergunta", "domanda", "soru", "câu_hỏi", "คำถาม", "السؤال",
        "سؤال", "प्रश्न", "customer_question", "user_question", "user_query",
        "user_input", "留言", "留言详情", "来信", "问句", "お問い合わせ",
    ),
    "answer": (
        "answer", "output", "completion", "response", "answers", "a", "reply", "assistant", "gpt", "bot", "chosen",
        "solution", "target", "回答", "答案", "答", "回复", "答复", "输出", "解答", "助手", "답변", "标准答案", "标准答", "best_answer", "targets",
        "text_out", "正确答案", "correct_answer", "answerkey", "answer_key", "参考答案", "标准回复", "标准回答", "客服回复", "客服回答", "机器人回答",
        "回复内容", "解决方案", "解决办法", "处理方案", "antwort", "ответ",
        "respuesta", "resposta", "risposta", "réponse", "reponse", "cevap", "yanıt", "trả_lời", "câu_trả_lời", "คำตอบ", "الجواب",
        "الإجابة", "جواب", "उत्तर", "agent_response", "reference_answer",
        "bot_response", "答复意见", "回复意见", "答句", "long_answer",
    ),
    "input": ("input", *PASSAGES, "输入", "补充"),
    "system": ("system", "system_prompt", "system_message", "system_instruction", "systeminstruction", "系统提示", "系统"),
    "history": ("history", "历史"),
    "explanation": (
        "解析", "答案解析", "试题解析", "题目解析", "详解", "答案详解", "解题思路", "explanation", "analysis", "rationale", "exp",
    ),
    "conversation_id": (
        "conversation_id", "session_id", "dialog_id", "dialogue_id", "chat_id", "thread_id", "ticket_id", "message_tree_id",
        "conversationid", "sessionid", "dialogid", "chatid", "conv_id", "会话id", "对话id", "会话编号", "对话编号", "会话号", "会话标识", "工单号",
    ),
    "speaker": (
        "role", "角色", "sender_type", "sender_role", "speaker_role", "from", "speaker", "sender", "author", "发送方", "发送人", "发送者",
        "发言人", "说话人", "发言方", "说话方", "消息来源",
    ),
    "content": (
        "content", "text", "message", "utterance", "body", "value", "内容", "消息内容", "消息", "聊天内容", "发言内容", "发送内容", "文本", "话语",
    ),
    "order": (
        "turn", "turn_id", "turn_index", "turn_number", "turn_no", "轮次", "timestamp", "time", "datetime", "date", "created_at", "sent_at",
        "create_time", "send_time", "时间", "发送时间", "消息时间", "创建时间", "日期",
    ),
    "reasoning": ("reasoning_content", "reasoning", "thinking", "thought", "cot", "complex_cot", "思考", "思维链"),
}  # fmt: skip
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
        if role and (role not in ranked or rank < ranked[role][0]):
            ranked[role] = (rank, name)
    found = {**{role: name for role, (_, name) in ranked.items()}, **roles}
    if "answer" not in found and "reasoning" in found and "content" in names:
        found["answer"] = "content"  # as an API of a thinking model answers
    if "question" not in found and "answer" in found and found.get("input", "").lower() == "input":
        found["question"] = found.pop("input")  # input and output alone are a pair
    is_choice = "answer" in found and not set(OPTIONS).isdisjoint(names)
    if is_choice and found.keys().isdisjoint(("question", "messages")):
        title = next((name for name in TITLES_OF_CHOICES if name in names), None)
        found |= {"question": title} if title else {}
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

    ``问题（Question）``, ``question_text``, ``answer_zh``, ``FAQ问题`` and ``问题：`` count as their plain words where nothing is nearer.
    """
    plain = name.strip(" \t\ufeff*:：?？").lower().replace(" ", "_").replace("-", "_")
    inside = _IN_BRACKETS.search(plain)
    outside = _IN_BRACKETS.sub("", plain).strip("_")
    ended = _NAME_ENDING.sub("", outside)
    keys = (plain, outside, inside[1] if inside else "", ended, ended.removeprefix("faq").strip("_"))
    for distance, key in enumerate(keys):
        role = _BY_NAME.get(key)
        if role is not None:
            return role, 100 * distance + ROLE_FIELDS[role].index(key)
    return "", 0


def is_record(names: list[str], column_map: Mapping[str, str]) -> bool:
    """Whether fields of these names make a conversation."""
    roles = map_fields(names, column_map)
    return _is_whole(roles) or is_single_turn(roles)


def is_single_turn(roles: Mapping[str, str]) -> bool:
    """Whether fields of these roles hold one turn of a conversation that other rows go on with."""
    return not _is_whole(roles) and {"conversation_id", "speaker", "content"} <= roles.keys()


def _is_whole(roles: Mapping[str, str]) -> bool:
    """Whether fields of these roles hold a conversation by themselves."""
    return "messages" in roles or {"question", "answer"} <= roles.keys()
