"""How close an answer is to its reference, in Chinese as in English."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

RECOGNISED = 0.6


def score_answers(answers: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Scores over all pairs, each 0 to 1.

    Args:
        answers: What the model said.
        references: What it should have said.
    """
    if not answers:
        return {}
    similarities = [
        character_f(answer, reference) for answer, reference in zip(answers, references, strict=True)
    ]
    return {
        "exact_match": fmean(_plain(a) == _plain(r) for a, r in zip(answers, references, strict=True)),
        "character_f": fmean(similarities),
        "recognised": fmean(similarity >= RECOGNISED for similarity in similarities),
        "answer_characters": fmean(len(answer) for answer in answers),
    }


def character_f(answer: str, reference: str) -> float:
    """The chrF of one answer, 0 to 1: an F-score over character n-grams, so that Chinese needs no words.

    Source: Popović, chrF, 2015; computed by sacrebleu.
    """
    from sacrebleu.metrics import CHRF

    return float(CHRF().sentence_score(answer, [reference]).score) / 100


def _plain(text: str) -> str:
    return " ".join(text.split())


def side_by_side(base: dict[str, Any], tuned: dict[str, Any]) -> str:
    """The verdict in one sentence."""
    change = 1 - tuned["loss"] / base["loss"]
    word = "lower" if change > 0 else "higher"
    return f"The tuned model's loss on held-out answers is {abs(change):.0%} {word} than the base model's."
