"""Documents that were read wrongly as a whole and saved so: their marks (``问：``) are strange too, so that no reader finds them.

Cleaning repairs texts; this is for what would never become one.
"""

from qwen_pipeline.text.formats.content import Content, Line
from qwen_pipeline.text.repair import repair_mojibake

NOTE = "wrong_reading_taken_back"
_SAMPLE = 4096  # characters, that decide whether the rest is looked at


def lines_taken_back(content: Content) -> list[Line] | None:
    """The document's lines as they were written; None where they were read rightly, or the document is of several pieces."""
    sample = content.first_text[:_SAMPLE]
    if content.pieces_read > 1 or not repair_mojibake(sample[: sample.rfind("\n") + 1]).steps:
        return None
    lines = list(content.lines())
    texts = repair_mojibake("\n".join(line.text for line in lines)).text.split("\n")
    if len(texts) != len(lines):
        return None
    return [line._replace(text=text) for line, text in zip(lines, texts, strict=True)]
