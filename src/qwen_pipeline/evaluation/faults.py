"""What goes wrong in answers: repetition, irrelevance, broken format, and thinking that does not end.

Each is judged by a rule on one answer, so that a rate can be traced to its rows.
"""

from collections import Counter

from qwen_pipeline.evaluation.generation import Answer
from qwen_pipeline.evaluation.metrics import chrf, tokens_of
from qwen_pipeline.text.quality import main_language

_GRAM = 4
_REPEATED_SHARE = 0.5  # of the n-grams of an answer that were there before
_FEWEST_TOKENS = 16
_FEWEST_LOOPS = 4  # times that an answer's end is said in a row
_FOREIGN_SHARE = 0.2  # tokens in common with question and reference below which an answer is off topic
_UNLIKE = 0.2
_CONTROL = ("<|im_start|>", "<|im_end|>", "<|endoftext|>", "<think>", "</think>")


def judge_answer(question: str, answer: Answer, reference: str) -> dict[str, float]:
    """The faults of one answer, each 0 or 1, and what its thinking block was like.

    Args:
        question: What was asked.
        answer: What the model said.
        reference: What it should have said.
    """
    found = {
        "repetition": float(repeats_itself(answer.text)),
        "irrelevance": float(is_off_topic(question, answer.text, reference)),
        "format_error": float(has_broken_format(answer)),
        "answer_present": float(bool(answer.text) and answer.block_closed is not False),
        "language_kept": float(keeps_language(answer.text, reference)),
        "stopped": float(answer.stopped),
    }
    if answer.block_closed is not None:
        found["thinking_closed"] = float(answer.block_closed)
        found["thought_characters"] = float(len(answer.thought))
    return found


def repeats_itself(text: str) -> bool:
    """Whether half of an answer was already said in it, or its end goes round in a loop."""
    tokens = tokens_of(text)
    if len(tokens) < _FEWEST_TOKENS:
        return False
    grams = Counter(tuple(tokens[at : at + _GRAM]) for at in range(len(tokens) - _GRAM + 1))
    repeated = sum(count - 1 for count in grams.values())
    return repeated >= _REPEATED_SHARE * sum(grams.values()) or _ends_in_a_loop(tokens)


def _ends_in_a_loop(tokens: list[str]) -> bool:
    for period in range(1, len(tokens) // _FEWEST_LOOPS + 1):
        loops = _FEWEST_LOOPS if period > 2 else 2 * _FEWEST_LOOPS
        tail = tokens[-period * loops :]
        if len(tail) == period * loops and tail == tail[:period] * loops:
            return True
    return False


def is_off_topic(question: str, answer: str, reference: str) -> bool:
    """Whether an answer shares next to nothing with question and reference."""
    said = {token for token in tokens_of(answer) if token.isalnum()}
    if not said:
        return False
    known = set(tokens_of(question)) | set(tokens_of(reference))
    return len(said & known) < _FOREIGN_SHARE * len(said) and chrf(answer, reference) < _UNLIKE


def has_broken_format(answer: Answer) -> bool:
    """Whether an answer is empty, its block or a code fence is left open, or control tokens show."""
    if not answer.text or answer.block_closed is False:
        return True
    return answer.text.count("```") % 2 == 1 or any(token in answer.text for token in _CONTROL)


def keeps_language(answer: str, reference: str) -> bool:
    """Whether an answer is in the reference's language; one without letters is in any."""
    spoken = main_language(answer)
    return spoken in ("other", main_language(reference))
