"""Chat control tokens that stand in a user's text are made visible and harmless.

A text with ``<|im_end|>`` in it must not end a turn, in any client: transformers, llama.cpp and Ollama all
look for the literal string. One space after ``<`` or ``<|`` breaks the match and stays readable:
``<|im_end|>`` becomes ``<| im_end |>``, ``<think>`` becomes ``< think>``. What was escaped is not escaped again.
Invisible characters inside a token (``<|im_<ZWSP>end|>``) count as absent, since cleaning removes them.

Source: special tokens of Qwen3's tokenizer_config.json, ``<think>`` and the tool tags included.
"""

import re

_INVISIBLE = "[\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]*"
_PIPED = re.compile(rf"<{_INVISIBLE}\|((?:[A-Za-z0-9_.]|{_INVISIBLE[:-1]}){{1,64}})\|{_INVISIBLE}>")
_TAGS = re.compile(
    rf"<({_INVISIBLE}/?{_INVISIBLE})"
    r"(think|tool_call|tool_response|tts_pad|tts_text_bos|tts_text_eod|tts_text_bos_single|audio_start)"
    rf"({_INVISIBLE})>"
)
_ANY_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def escape_control_tokens(text: str) -> tuple[str, int]:
    """Break every control token in ``text`` visibly.

    Returns:
        The text, and how many tokens were escaped. Applied to its own result, it changes nothing.
    """
    if "<" not in text:
        return text, 0
    text, piped = _PIPED.subn(_break_piped, text)
    text, tags = _TAGS.subn(lambda found: f"< {found[1]}{found[2]}>", text)
    return text, piped + tags


def _break_piped(found: re.Match[str]) -> str:
    return f"<| {_ANY_INVISIBLE.sub('', found[1])} |>"
