"""How close an answer is to its reference, in Chinese as in English."""

import re
from collections.abc import Sequence
from functools import cache
from typing import Any

from qwen_pipeline.text.thinking import split_thinking

RECOGNISED = 0.6
_TOKENS = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3]|[^\W_]+|[^\w\s]")
_IDEOGRAPH = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")


def score_answer(answer: str, reference: str) -> dict[str, float]:
    """Likeness of one answer to its reference, each figure 0 to 1, and its length.

    Args:
        answer: What the model said.
        reference: What it should have said.
    """
    likeness = chrf(answer, reference)
    return {
        "exact_match": float(_plain(answer) == _plain(reference)),
        "chrf": likeness,
        "rouge_l": rouge_l(answer, reference),
        "bleu": bleu(answer, reference),
        "recognised": float(likeness >= RECOGNISED),
        "answer_characters": float(len(answer)),
    }


def answer_of(text: str) -> str:
    """What follows the thinking block of a reference; all of it where there is none."""
    cut = split_thinking(text)
    return (cut[1] if cut else text).strip()


def chrf(answer: str, reference: str) -> float:
    """The chrF of one answer: an F-score over character n-grams, so that Chinese needs no words.

    Source: Popović, chrF, 2015; computed by sacrebleu.
    """
    return float(_scorers()["chrf"].sentence_score(answer, [reference]).score) / 100


def bleu(answer: str, reference: str) -> float:
    """BLEU of one answer with sacrebleu's Chinese tokenisation where the reference has ideographs.

    Source: Post, A Call for Clarity in Reporting BLEU Scores, 2018; effective order, as for sentences.
    """
    kind = "zh" if _IDEOGRAPH.search(reference) else "13a"
    return float(_scorers()[kind].sentence_score(answer, [reference]).score) / 100


def rouge_l(answer: str, reference: str) -> float:
    """ROUGE-L: F1 of the longest common subsequence, over words, or characters of Chinese.

    Source: Lin, ROUGE, 2004.
    """
    from rapidfuzz.distance import LCSseq

    said, asked = tokens_of(answer), tokens_of(reference)
    common = LCSseq.similarity(said, asked)
    return 2 * common / (len(said) + len(asked)) if common else 0.0


def tokens_of(text: str) -> list[str]:
    """Words and numbers in lower case, each ideograph and each sign by itself."""
    return _TOKENS.findall(text.lower())


def mean_scores(scores: Sequence[dict[str, float]]) -> dict[str, float]:
    """The mean of every figure over the rows that have it."""
    names = dict.fromkeys(name for row in scores for name in row)
    means = {}
    for name in names:
        values = [row[name] for row in scores if name in row]
        means[name] = sum(values) / len(values)
    return means


@cache
def _scorers() -> dict[str, Any]:
    from sacrebleu.metrics import BLEU, CHRF

    return {
        "chrf": CHRF(),
        "zh": BLEU(tokenize="zh", effective_order=True),
        "13a": BLEU(effective_order=True),
    }


def _plain(text: str) -> str:
    return " ".join(text.split())
