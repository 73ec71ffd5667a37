"""Who speaks: names that mean the user or the assistant wherever turns are written."""

# By role. Lists of turns, dialogues and transcripts each add the names that mean a speaker only there.
SPEAKERS = {
    "user": "user", "human": "user", "用户": "user", "客户": "user", "顾客": "user", "患者": "user", "病人": "user", "来访者": "user",
    "customer": "user", "patient": "user",
    "assistant": "assistant", "ai": "assistant", "bot": "assistant", "chatgpt": "assistant", "agent": "assistant", "doctor": "assistant",
    "助手": "assistant", "客服": "assistant", "医生": "assistant", "机器人": "assistant", "咨询师": "assistant",
    "system": "system",
}  # fmt: skip
