"""Export: what is shipped, compared with what was measured."""

import random
import shutil
from pathlib import Path
from typing import Any

from qwen_pipeline.incremental.workspace import work_directory
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.params.export import ExportParameters
from qwen_pipeline.params.train import TrainParameters

Table = Any  # a pyarrow.dataset.Dataset; pyarrow.dataset brings pandas
Rows = Any  # a datasets.Dataset; Kedro resolves these hints, and datasets is slow to import

MOST_LOGITS = 2**28  # of a client that gives nothing smaller: 1 GiB


def export_model(
    adapter: Path,
    base_model: ModelSource,
    clean: Table,
    tokenized_test: Rows,
    tokenized_validation: Rows,
    tokenized_train: Rows,
    data_report: dict[str, Any],
    train_report: dict[str, Any],
    evaluation_report: dict[str, Any],
    parameters: ExportParameters,
    train: TrainParameters,
) -> tuple[Path, dict[str, Any]]:
    """Write the asked formats, hold each against the live adapter, add the figures to the training's run."""
    from qwen_pipeline.release.card import Card
    from qwen_pipeline.release.exports import Exports
    from qwen_pipeline.release.licence import find_licence
    from qwen_pipeline.tracking.additions import log_evaluation

    target = work_directory() / "exported_model"
    shutil.rmtree(target, ignore_errors=True)
    licence = find_licence(base_model)
    split, tokenized = first_with_rows(
        {"test": tokenized_test, "validation": tokenized_validation, "train": tokenized_train}
    )
    card = Card(
        base_model.name,
        base_model.kind == "hub",
        licence,
        {**train.model_dump(), "max_new_tokens": parameters.generation_config.max_new_tokens},
        train_report,
        evaluation_report,
        data_report,
        compared_on=split,
    )
    rows = compared_rows(tokenized, parameters, int(base_model.config()["vocab_size"]))
    exports = Exports(base_model, adapter, parameters, target, card.text, licence.file)
    report = {**exports.run(rows, conversations_of(clean, rows)), "rows_from": split}
    metrics = {
        f"export_{check['export']}_{name}": check[name]
        for check in report["checks"]
        for name in ("mean_kl", "loss_difference", "same_answers")
        if check.get(name) is not None
    }
    log_evaluation(train_report.get("mlflow_run_id"), metrics, {"export_report.json": report})
    return target, report


def first_with_rows(splits: dict[str, Rows]) -> tuple[str, Rows]:
    """The first split that has rows, or the last one.

    Held-out rows come first, but whether an export answers like the live adapter any row can show.
    """
    return next((item for item in splits.items() if len(item[1])), list(splits.items())[-1])


def compared_rows(tokenized: Rows, parameters: ExportParameters, vocabulary: int) -> list[dict[str, Any]]:
    """A fixed sample of a split, small enough for clients that give whole logits."""
    order = list(range(len(tokenized)))
    random.Random(parameters.seed).shuffle(order)
    rows: list[dict[str, Any]] = []
    trained = 0
    for number in order[: parameters.export_rows]:
        row = dict(tokenized[number])
        trained += sum(label >= 0 for label in row["labels"])
        if rows and trained * vocabulary > MOST_LOGITS:
            break
        rows.append(row)
    return rows


def conversations_of(clean: Table, rows: list[dict[str, Any]]) -> list[list[dict[str, str]]]:
    """The conversation that each row is of."""
    import pyarrow.dataset as ds

    wanted = {row["example_id"] for row in rows}
    found = clean.to_table(
        filter=ds.field("example_id").isin(wanted), columns=["example_id", "messages"]
    ).to_pylist()
    turns = {
        example["example_id"]: [
            {"role": turn["role"], "content": turn["content"]} for turn in example["messages"]
        ]
        for example in found
    }
    return [turns[row["example_id"]] for row in rows]
