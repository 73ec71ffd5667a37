"""Nodes of the ingest stage: raw files in, examples, rejects and an account out."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qwen_pipeline.errors import NoExamplesError
from qwen_pipeline.incremental.workspace import work_directory
from qwen_pipeline.params.ingest import IngestParameters
from qwen_pipeline.text.account import ingest_account, why_nothing
from qwen_pipeline.text.raw_file import RawFile
from qwen_pipeline.text.read_files import ReadOptions, read_files


def ingest_files(
    raw_files: Mapping[str, RawFile], parameters: IngestParameters
) -> tuple[Path, Path, dict[str, Any]]:
    """Decode and parse every raw file.

    Returns:
        The table of examples, the table of rejects, and the account by file.

    Raises:
        NoExamplesError: No file holds a question with its answer.
    """
    options = ReadOptions(
        parameters.encoding,
        parameters.column_map,
        dict(parameters.speakers),
        parameters.tool_turns,
    )
    examples, rejects, accounts = read_files(
        raw_files.values(), options, work_directory(), parameters.ingest_workers
    )
    report = ingest_account(accounts)
    if not report["total"]["kept"]:
        raise NoExamplesError(
            f"no question with an answer in {parameters.data_dir} (files: {len(accounts)}): "
            f"{why_nothing(report)}. Mark pairs as Q1:/A1:, use JSONL, or name your columns with column_map."
        )
    return examples, rejects, report
