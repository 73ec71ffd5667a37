"""Counts of what became of a split's examples and how long their rows are."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qwen_pipeline.chat import IGNORE_INDEX
from qwen_pipeline.chat.labels import EncodedTurn, RefusedTurn

_QUANTILES = (0.5, 0.9, 0.99)


def summary_line(report: Mapping[str, Any]) -> str:
    """What a run of the tokenize stage kept, what it rejected and why, and how much is trained.

    Args:
        report: The account of the stage.
    """
    total, train = report["total"], report["splits"]["train"]
    ranked = sorted(total["rejected"].items(), key=lambda one: (-one[1], one[0]))
    reasons = ", ".join(f"{reason} {count}" for reason, count in ranked)
    rejected = f"rejected {sum(total['rejected'].values())}"
    return (
        f"kept {total['kept']} of {total['found']} examples, "
        f"{rejected}{f' ({reasons}; see tokenize_rejects)' if ranked else ''}; "
        f"{train['trained_tokens']:,} trained tokens"
    )


@dataclass
class SplitAccount:
    """Grows with the number of different lengths, not with the number of rows."""

    examples: int = 0
    kept: int = 0
    rows: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    turns_refused: Counter[str] = field(default_factory=Counter)
    questions_cut: int = 0
    answers_cut: int = 0
    tokens: int = 0
    trained_tokens: int = 0
    shortest_needed: int = 0
    _lengths: Counter[int] = field(default_factory=Counter)

    def add(self, turns: Sequence[EncodedTurn | RefusedTurn]) -> None:
        """Count one example by its turns; it is kept if one of them is."""
        encoded = [turn for turn in turns if isinstance(turn, EncodedTurn)]
        refused = [turn for turn in turns if isinstance(turn, RefusedTurn)]
        self.examples += 1
        if encoded:
            self.kept += 1
            self.turns_refused.update(str(turn.reason) for turn in refused)
        else:
            self.rejected[str(refused[0].reason)] += 1
        for row in encoded:
            self._add_row(row)
        for turn in refused:
            self._note_need(turn.needed_tokens)

    def merge(self, other: "SplitAccount") -> None:
        """Add the counts of other examples of the same split."""
        for name in ("examples", "kept", "rows", "questions_cut", "answers_cut", "tokens", "trained_tokens"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("rejected", "turns_refused", "_lengths"):
            getattr(self, name).update(getattr(other, name))
        self._note_need(other.shortest_needed)

    def as_dict(self) -> dict[str, Any]:
        """For the report."""
        return {
            "examples": self.examples,
            "kept": self.kept,
            "rejected": dict(sorted(self.rejected.items())),
            "turns_refused_in_kept_examples": dict(sorted(self.turns_refused.items())),
            "rows": self.rows,
            "questions_cut": self.questions_cut,
            "answers_cut": self.answers_cut,
            "tokens": self.tokens,
            "trained_tokens": self.trained_tokens,
            "row_tokens": {
                **{f"p{round(share * 100)}": self._quantile(share) for share in _QUANTILES},
                "max": max(self._lengths, default=0),
            },
            "row_tokens_by_power_of_two": self._by_power_of_two(),
        }

    def _note_need(self, tokens: int) -> None:
        """Keep the smallest; 0 says nothing."""
        if tokens:
            self.shortest_needed = min(tokens, self.shortest_needed or tokens)

    def _add_row(self, row: EncodedTurn) -> None:
        self.rows += 1
        self.questions_cut += row.question_cut
        self.answers_cut += row.answer_cut
        self.tokens += len(row.input_ids)
        self.trained_tokens += sum(label != IGNORE_INDEX for label in row.labels)
        self._lengths[len(row.input_ids)] += 1

    def _by_power_of_two(self) -> dict[str, int]:
        """Rows by length: ``"6"`` counts those of 64 to 127 tokens."""
        counts: Counter[int] = Counter()
        for length, rows in self._lengths.items():
            counts[max(length.bit_length() - 1, 0)] += rows
        return {str(power): counts[power] for power in sorted(counts)}

    def _quantile(self, share: float) -> int:
        wanted, seen = math.ceil(share * self.rows), 0
        for length in sorted(self._lengths):
            seen += self._lengths[length]
            if seen >= wanted:
                return length
        return 0
