"""What the ingest stage may be told."""

import codecs
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator

from qwen_pipeline.params.fields import StageParameters, run_time

DEFAULT_DATA_DIR = "data/01_raw"
GUIDE_DATA_DIR = "data/raw"  # what the guide types for the default directory


def guide_data_dir(data_dir: str | Path) -> str | Path:
    """The default directory where the guide's own name for it is given and no such folder is there."""
    is_guides = Path(data_dir) == Path(GUIDE_DATA_DIR) and not Path(data_dir).exists()
    return DEFAULT_DATA_DIR if is_guides else data_dir


class IngestParameters(StageParameters):
    """Reading the raw files: where they are, how to decode them, which column is what."""

    data_dir: str = Field(DEFAULT_DATA_DIR, min_length=1, description="Folder of the raw files, or one file.")
    encoding: str | None = Field(
        None,
        description="Force one encoding, such as gb18030; None: detect it for each stretch of each file.",
    )
    column_map: dict[str, str] = Field(
        default_factory=dict,
        description="Which of your columns is question, answer, input, system, history, reasoning, explanation or messages; "
        "of rows that are single turns: conversation_id, speaker, content or order.",
    )
    speakers: dict[str, Literal["user", "assistant", "system"]] = Field(
        default_factory=dict,
        description="The role of each speaker in a dialogue or a log, such as 来访者: user.",
    )
    tool_turns: Literal["refuse", "drop", "keep"] = Field(
        "refuse",
        description="Rows that call tools: refuse the row, drop those turns, or keep them as text.",
    )
    ingest_workers: int | None = run_time(
        None,
        ge=1,
        le=64,
        description="Number of processes that read files; None: one per core, or as many as memory is left for.",
    )

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, name: str | None) -> str | None:
        """Python's own name of the encoding."""
        if name is None:
            return None
        try:
            return codecs.lookup(name).name
        except LookupError:
            raise ValueError(
                "Python knows no such encoding; try utf-8, gb18030, big5 or shift_jis, or leave it out"
            ) from None
