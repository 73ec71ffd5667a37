"""What base and tuned are measured on: the test split, or the validation split where no test row is left.

A small data set may hold out nothing at all. Then the likelihood and the answers are left unmeasured, and the report
says so; only the general questions, which need no data, are asked.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.dataset as pads

from qwen_pipeline.chat.packing import Row

Conversation = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class HeldOut:
    """The rows that are measured.

    Attributes:
        rows: Tokenized rows, all of them, as they lie on the disk: as Python lists they take twelve times the room.
        conversations: Messages of each example, by ``example_id``.
        source_files: Where each example comes from, by ``example_id``.
        sample: The examples that are answered, in order.
        split: Which split they are; None where nothing was held out.
        test_rejected: Examples of the test split that tokenize refused, where none of them is left.
    """

    rows: Sequence[Row]
    conversations: Mapping[str, Conversation]
    source_files: Mapping[str, str]
    sample: Sequence[str]
    split: str | None = "test"
    test_rejected: int = 0

    def as_dict(self) -> dict[str, Any]:
        """For the report."""
        return {"split": self.split, "test_rejected": self.test_rejected}


def choose_held_out(clean: pads.Dataset, test: Any, validation: Any, *, questions: int, seed: int) -> HeldOut:
    """Take the test split; where it has no row, the validation split.

    Args:
        clean: The clean examples.
        test: Tokenized rows of the test split, a ``datasets.Dataset``.
        validation: The same of the validation split.
        questions: Most examples that are answered.
        seed: Draws them.
    """
    if len(test):
        return _of_split("test", clean, test, 0, questions, seed)
    rejected = clean.count_rows(filter=pads.field("split") == "test")
    if len(validation):
        return _of_split("validation", clean, validation, rejected, questions, seed)
    return HeldOut([], {}, {}, [], None, rejected)


def _of_split(
    split: str, clean: pads.Dataset, rows: Any, test_rejected: int, questions: int, seed: int
) -> HeldOut:
    examples = clean.to_table(
        columns=["example_id", "messages", "source_file"], filter=pads.field("split") == split
    ).to_pylist()
    wanted = set(rows["example_id"])
    sample = sorted(row["example_id"] for row in examples if row["example_id"] in wanted)
    random.Random(seed).shuffle(sample)
    return HeldOut(
        rows=rows,
        conversations={row["example_id"]: row["messages"] for row in examples},
        source_files={row["example_id"]: row["source_file"] for row in examples},
        sample=sample[:questions],
        split=split,
        test_rejected=test_rejected,
    )
