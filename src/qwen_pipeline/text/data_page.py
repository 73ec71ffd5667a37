"""A page of pictures about the data: what was found, what became of it, and what the clean examples are like."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from qwen_pipeline.text.account import size_words
from qwen_pipeline.text.page import Bars, Rows, length_bins, render_page
from qwen_pipeline.text.quality import main_language

_MOST_FILES = 500


class DataFigures:
    """Lengths and languages of the clean examples, counted batch by batch."""

    def __init__(self) -> None:
        self.question_lengths: Counter[int] = Counter()
        self.answer_lengths: Counter[int] = Counter()
        self.turns: Counter[int] = Counter()
        self.languages: Counter[str] = Counter()

    def add(self, batch: pa.RecordBatch) -> None:
        """Count the rows of a batch that has the column ``messages``."""
        for messages in batch.column("messages").to_pylist():
            answer = messages[-1]["content"]
            asked = sum(len(message["content"]) for message in messages[:-1])
            self.question_lengths[power_of_two(asked)] += 1
            self.answer_lengths[power_of_two(len(answer))] += 1
            self.turns[sum(message["role"] == "assistant" for message in messages)] += 1
            self.languages[main_language(answer)] += 1


def power_of_two(length: int) -> int:
    """The bin of a length: n for 2^n to 2^(n+1) - 1."""
    return max(length.bit_length() - 1, 0)


def render_data_page(batches: Iterable[pa.RecordBatch], report: Mapping[str, Any]) -> str:
    """The page.

    Args:
        batches: The clean examples.
        report: The account of ingest and clean.
    """
    figures = DataFigures()
    for batch in batches:
        figures.add(batch)
    total = report["total"]
    gone = {
        **total["rejected"],
        "exact duplicate": total["duplicates_exact"],
        "near duplicate": total["duplicates_near"],
    }
    sections: list[Bars | Rows] = [
        Bars("Splits (rows kept)", total["splits"], ranked=False),
        Bars("Why rows went (rows)", gone),
        Bars("Encodings (rows read)", total["encodings"]),
        Bars("Repairs (rows kept)", total["repairs"]),
        Bars("Oddities (rows read)", total["notes"]),
        Bars("Languages of the answers (rows kept)", figures.languages),
        Bars("Answers in a conversation (rows kept)", _by_number(figures.turns), ranked=False),
        Bars("Length of what is asked (characters)", length_bins(figures.question_lengths), ranked=False),
        Bars("Length of the answer (characters)", length_bins(figures.answer_lengths), ranked=False),
        _file_table(report["files"]),
    ]
    size = size_words(total["bytes"])
    files = f"{len(report['files']):,} file{'s' * (len(report['files']) != 1)}"
    title = f"{total['kept']:,} of {total['found']:,} rows kept, from {files} ({size})"
    remarks = ["Lengths in tokens are on the page token_page, which is drawn when the rows are tokenized."]
    return render_page(title, remarks, sections)


def _by_number(counts: Mapping[int, int]) -> dict[str, int]:
    return {str(number): counts[number] for number in sorted(counts)}


def _file_table(files: Mapping[str, Mapping[str, Any]]) -> Rows:
    """One line a file, those that lost most rows first."""
    ranked = sorted(files.items(), key=lambda one: (one[1]["kept"] - one[1]["found"], one[0]))
    rows = [
        (
            name,
            file["found"],
            file["kept"],
            sum(file["rejected"].values()),
            file["duplicates_exact"],
            file["duplicates_near"],
            ", ".join(file["encodings"]) or "–",
        )
        for name, file in ranked[:_MOST_FILES]
    ]
    more = f" (the {_MOST_FILES} that lost most)" if len(files) > _MOST_FILES else ""
    heads = ("file", "found", "kept", "rejected", "exact", "near", "encoding")
    return Rows(f"Files{more}", heads, rows)
