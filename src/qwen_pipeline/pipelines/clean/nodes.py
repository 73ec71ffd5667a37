"""Nodes of the clean stage: examples in, clean examples, rejects, duplicates and the account out."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qwen_pipeline.errors import NoExamplesError
from qwen_pipeline.incremental.workspace import work_directory
from qwen_pipeline.params.clean import CleanParameters
from qwen_pipeline.text.account import data_account, summary_lines, why_nothing
from qwen_pipeline.text.clean_row import CleanRules
from qwen_pipeline.text.clean_table import clean_table
from qwen_pipeline.text.data_page import render_data_page
from qwen_pipeline.text.quality import QualityRules
from qwen_pipeline.text.table_reader import read_batches, row_groups

Table = Any  # a pyarrow.dataset.Dataset; Kedro resolves these hints, and pyarrow.dataset brings pandas

logger = logging.getLogger(__name__)


def clean_examples(
    ingested_examples: Table,
    ingest_rejects: Table,
    ingest_report: Mapping[str, Any],
    parameters: CleanParameters,
) -> tuple[Path, Path, Path, dict[str, Any]]:
    """Repair, normalise, filter and split the examples, and find duplicates.

    Returns:
        The tables of clean examples, rejects and duplicates, and the account of both stages.

    Raises:
        NoExamplesError: No row is left.
    """
    tables = clean_table(
        row_groups(ingested_examples),
        _rules(parameters),
        work_directory(),
        parameters.near_duplicates,
        parameters.near_duplicate_threshold,
        parameters.clean_workers,
    )
    report = data_account(ingest_report, tables)
    if not report["total"]["kept"]:
        raise NoExamplesError(
            f"no example is left after cleaning: {why_nothing(report)}. Loosen those rules."
        )
    for line in summary_lines(report):
        logger.info(line)
    return tables.examples, tables.rejects, tables.duplicates, report


def draw_data_page(clean_examples: Table, data_report: Mapping[str, Any]) -> str:
    """Pictures of the data and of what became of it, as one HTML page."""
    return render_data_page(read_batches(clean_examples, ["messages"]), data_report)


def _rules(parameters: CleanParameters) -> CleanRules:
    quality = QualityRules(
        parameters.min_question_characters,
        parameters.min_answer_characters,
        parameters.max_question_characters,
        parameters.max_answer_characters,
        parameters.max_repetition,
        parameters.languages,
    )
    return CleanRules(
        quality=quality,
        mask_personal_data=parameters.mask_personal_data,
        repair_mojibake=parameters.repair_mojibake,
        remove_html=parameters.remove_html,
        remove_boilerplate=parameters.remove_boilerplate,
        validation_fraction=parameters.validation_fraction,
        test_fraction=parameters.test_fraction,
    )
