"""Nodes of the tokenize stage."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qwen_pipeline.incremental.workspace import work_directory
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.params.tokenize import TokenizeParameters
from qwen_pipeline.text.table_reader import row_groups

Table = Any  # a pyarrow.dataset.Dataset; Kedro resolves these hints, and pyarrow.dataset brings pandas

logger = logging.getLogger(__name__)


def tokenize_examples(
    clean_examples: Table, base_model: ModelSource, parameters: TokenizeParameters
) -> tuple[Path, Path, Path, Path, dict[str, Any]]:
    """Encode every clean example with the base model's tokenizer and template.

    Returns:
        Directories of the train, validation and test rows, the rejects' table, and the report.

    Raises:
        NoExamplesError: No training row is left.
    """
    from qwen_pipeline.chat.account import summary_line
    from qwen_pipeline.chat.labels import LabelRules
    from qwen_pipeline.chat.tokenize_table import tokenize_table
    from qwen_pipeline.model.tokenizer import TokenizerSource

    tokenizer = TokenizerSource(base_model, tuple(parameters.tokenizer_kwargs.model_dump().items()))
    rules = LabelRules(
        max_sequence_length=parameters.max_sequence_length,
        thinking=parameters.thinking,
        train_on_turns=parameters.train_on_turns,
        truncation_side=parameters.tokenizer_kwargs.truncation_side,
        answer_overflow=parameters.answer_overflow,
    )
    folder = work_directory()
    groups = row_groups(clean_examples)
    report = tokenize_table(groups, tokenizer, rules, folder, parameters.tokenize_workers)
    logger.info("%s", summary_line(report))
    splits = (folder / "train", folder / "validation", folder / "test")
    return *splits, folder / "tokenize_rejects.parquet", report


def draw_token_page(tokenize_report: Mapping[str, Any]) -> str:
    """Pictures of the rows' lengths in tokens, as one HTML page."""
    from qwen_pipeline.chat.token_page import render_token_page

    return render_token_page(tokenize_report)
