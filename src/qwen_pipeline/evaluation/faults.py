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
_FOREIGN_SHARE = 0.2  # words in common with question and reference below which an answer is off topic
# What every sentence has in common with every other: two that share only these are about different things.
_FUNCTION_WORDS_EN = (
    "a an the this that these those it its i you he she we they me him her us them my your his our their of in on at to "
    "for from with by as about into than and or but if so not no is are was were be been being am do does did have has "
    "had will would can could should may might must what which who whom whose when where why how there"
)
_FUNCTION_WORDS_ZH = (
    "的了是在和与有不也就都而及或被把为以于之这那其它他她我你您们个一上中到会能可要对从什么吗呢吧啊"
)
_FUNCTION_WORDS = frozenset([*_FUNCTION_WORDS_EN.split(), *_FUNCTION_WORDS_ZH])
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
    """Whether an answer shares next to nothing with question and reference.

    Measured on the smaller side, so that a long answer to a short question is not off topic for its length.
    """
    said, known = _content_words(answer), _content_words(question) | _content_words(reference)
    compared = min(len(said), len(known))
    return len(said & known) < _FOREIGN_SHARE * compared and chrf(answer, reference) < _UNLIKE


def _content_words(text: str) -> set[str]:
    return {token for token in tokens_of(text) if token.isalnum() and token not in _FUNCTION_WORDS}


def has_broken_format(answer: Answer) -> bool:
    """Whether an answer is empty, its block or a code fence is left open, or control tokens show."""
    if not answer.text or answer.block_closed is False:
        return True
    return answer.text.count("```") % 2 == 1 or any(token in answer.text for token in _CONTROL)


def keeps_language(answer: str, reference: str) -> bool:
    """Whether an answer is in the reference's language; one without letters is in any."""
    spoken = main_language(answer)
    return spoken in ("other", main_language(reference))
