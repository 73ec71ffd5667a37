"""Clean examples through the encoder: rows by split, rejects, and an account of all of them."""

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from qwen_pipeline.chat.account import SplitAccount
from qwen_pipeline.chat.arrow_directory import ArrowDirectoryWriter
from qwen_pipeline.chat.labels import LabelRules
from qwen_pipeline.chat.tokenize_part import TokenizedPart, TokenizerSource, tokenize_part
from qwen_pipeline.errors import NoExamplesError
from qwen_pipeline.text.parts import map_parts
from qwen_pipeline.text.schema import REJECT_SCHEMA
from qwen_pipeline.text.split import SPLITS
from qwen_pipeline.text.table_reader import RowGroup
from qwen_pipeline.text.table_writer import TableWriter


def tokenize_table(
    groups: Sequence[RowGroup],
    source: TokenizerSource,
    rules: LabelRules,
    folder: Path,
    workers: int | None = None,
) -> dict[str, Any]:
    """Encode every example; memory does not grow with their number.

    Args:
        groups: The clean table, row group by row group.
        source: Gives the tokenizer.
        rules: What is trained.
        folder: Receives a dataset directory for each split and ``tokenize_rejects.parquet``.
        workers: Processes; None takes one per core. Few rows are encoded in this process.

    Returns:
        The report: by split, examples found, kept and rejected by reason, rows, and token counts.

    Raises:
        NoExamplesError: No training row is left; says how long the shortest would be.
    """
    accounts = {split: SplitAccount() for split in SPLITS}
    with ExitStack() as stack:
        writers = {split: stack.enter_context(ArrowDirectoryWriter(folder / split)) for split in SPLITS}
        rejects = stack.enter_context(TableWriter(folder / "tokenize_rejects.parquet", REJECT_SCHEMA))
        tokenize = partial(_tokenize_part, source=source, rules=rules)
        for part in map_parts(tokenize, groups, folder, workers, "Tokenizing"):
            for split in SPLITS:
                accounts[split].merge(part.accounts[split])
                for batch in part.rows(split):
                    writers[split].write_batch(batch)
            for batch in part.rejects():
                rejects.write_batch(batch)
            part.remove()
    _require_training_rows(accounts["train"], rules.max_sequence_length)
    return _report(accounts, rules)


def _tokenize_part(task: tuple[RowGroup, Path], source: TokenizerSource, rules: LabelRules) -> TokenizedPart:
    return tokenize_part(*task, source=source, rules=rules)


def _require_training_rows(train: SplitAccount, limit: int) -> None:
    if train.rows:
        return
    reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(train.rejected.items()))
    if not train.examples:
        raise NoExamplesError(
            "There are no training examples: what is left after cleaning is validation or test. Where rows were "
            "rejected, clean_rejects says why; else add rows outside of validation/ and test/, or lower test_fraction "
            "and validation_fraction."
        )
    if train.shortest_needed:
        raise NoExamplesError(
            f"max_sequence_length={limit} is too short for any answer: of {train.examples} training "
            f"examples none fits, and the shortest needs {train.shortest_needed} tokens. Set "
            f"max_sequence_length={train.shortest_needed} or more, or answer_overflow=cut."
        )
    raise NoExamplesError(f"None of {train.examples} training examples can be trained ({reasons}).")


def _report(accounts: dict[str, SplitAccount], rules: LabelRules) -> dict[str, Any]:
    rejected: Counter[str] = Counter()
    for account in accounts.values():
        rejected.update(account.rejected)
    return {
        "max_sequence_length": rules.max_sequence_length,
        "thinking": rules.thinking,
        "total": {
            "found": sum(account.examples for account in accounts.values()),
            "kept": sum(account.kept for account in accounts.values()),
            "rejected": dict(sorted(rejected.items())),
        },
        "splits": {split: account.as_dict() for split, account in accounts.items()},
    }
