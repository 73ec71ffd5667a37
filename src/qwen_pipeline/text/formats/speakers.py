"""Who speaks: names that mean the user or the assistant wherever turns are written."""

from collections.abc import Collection, Iterable

# By role. Lists of turns, dialogues and transcripts each add the names that mean a speaker only there.
SPEAKERS = {
    "user": "user", "human": "user", "用户": "user", "客户": "user", "顾客": "user", "患者": "user", "病人": "user", "来访者": "user",
    "人类": "user", "访客": "user", "customer": "user", "patient": "user",
    "assistant": "assistant", "ai": "assistant", "bot": "assistant", "chatgpt": "assistant", "agent": "assistant", "doctor": "assistant",
    "助手": "assistant", "客服": "assistant", "医生": "assistant", "机器人": "assistant", "咨询师": "assistant",
    "助理": "assistant", "智能客服": "assistant", "人工客服": "assistant", "坐席": "assistant", "座席": "assistant",
    "system": "system",
}  # fmt: skip


def how_to_name(names: Iterable[str], known: Collection[str] = ()) -> str:
    """The parameter that tells the roles of speakers; that the first one asks is a guess.

    Args:
        names: Speakers whose roles nobody knows.
        known: Roles of the others.
    """
    first = "assistant" if "user" in known and "assistant" not in known else "user"
    others = "user" if "assistant" in known else "assistant"
    roles = [f"{name}: {others if at else first}" for at, name in enumerate(names)]
    return f"tell who asks and who answers, such as speakers: {{{', '.join(roles)}}}"
