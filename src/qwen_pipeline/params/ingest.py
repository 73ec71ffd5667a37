"""What the ingest stage may be told."""

from typing import Literal

from pydantic import Field

from qwen_pipeline.params.fields import StageParameters, run_time


class IngestParameters(StageParameters):
    """Reading the raw files: where they are, how to decode them, which column is what."""

    data_dir: str = Field("data/01_raw", min_length=1, description="Folder of the raw files.")
    encoding: str | None = Field(
        None, description="Forces an encoding, such as gb18030; None finds it for each stretch of each file."
    )
    column_map: dict[str, str] = Field(
        default_factory=dict,
        description="Your column by role: question, answer, input, system, history, reasoning or messages.",
    )
    speakers: dict[str, Literal["user", "assistant", "system"]] = Field(
        default_factory=dict, description="Speakers' names of a dialogue by role, such as 来访者: user."
    )
    tool_turns: Literal["refuse", "drop", "keep"] = Field(
        "refuse",
        description="Rows with calls of tools: refuse the row, drop those turns, or keep them as text.",
    )
    ingest_workers: int | None = run_time(
        None, ge=1, le=64, description="Processes that read files; None takes one per core."
    )
