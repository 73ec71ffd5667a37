"""Stream clean examples through the encoder: rows by split, rejects, and an account of all of them."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pyarrow.dataset import Dataset

from qwen_pipeline.chat.account import SplitAccount
from qwen_pipeline.chat.arrow_directory import ArrowDirectoryWriter
from qwen_pipeline.chat.labels import EncodedTurn, RefusedTurn, TurnEncoder, Unusable
from qwen_pipeline.errors import NoExamplesError
from qwen_pipeline.text.schema import REJECT_SCHEMA, excerpt_of
from qwen_pipeline.text.table_reader import read_batches
from qwen_pipeline.text.table_writer import TableWriter

SPLITS = ("train", "validation", "test")
_COLUMNS = ["example_id", "messages", "split", "source_file", "source_line"]


def tokenize_table(examples: Dataset, encoder: TurnEncoder, folder: Path) -> dict[str, Any]:
    """Encode every example; memory does not grow with their number.

    Args:
        examples: Rows of the clean table.
        encoder: Tokenizer and rules.
        folder: Receives a dataset directory for each split and ``tokenize_rejects.parquet``.

    Returns:
        The report: by split, examples found, kept and rejected by reason, rows, and token counts.

    Raises:
        NoExamplesError: No training row is left; says how long the shortest would be.
    """
    accounts = {split: SplitAccount() for split in SPLITS}
    with ExitStack() as stack:
        writers = {split: stack.enter_context(ArrowDirectoryWriter(folder / split)) for split in SPLITS}
        rejects = stack.enter_context(TableWriter(folder / "tokenize_rejects.parquet", REJECT_SCHEMA))
        for batch in read_batches(examples, _COLUMNS):
            for example in batch.to_pylist():
                turns = _encode(encoder, example)
                account = accounts[example["split"]]
                account.add(turns)
                for turn in _kept(turns):
                    writers[example["split"]].write(turn.input_ids, turn.labels, example["example_id"])
                if not any(isinstance(turn, EncodedTurn) for turn in turns):
                    rejects.write(_reject(example, turns))
    _require_training_rows(accounts["train"], encoder.rules.max_sequence_length)
    return _report(accounts, encoder)


def _encode(encoder: TurnEncoder, example: dict[str, Any]) -> list[EncodedTurn | RefusedTurn]:
    turns = encoder.encode(example["messages"])
    return turns or [RefusedTurn(Unusable.NO_TRAINED_TOKEN, "no answer in it")]


def _kept(turns: list[EncodedTurn | RefusedTurn]) -> Iterator[EncodedTurn]:
    return (turn for turn in turns if isinstance(turn, EncodedTurn))


def _reject(example: dict[str, Any], turns: list[EncodedTurn | RefusedTurn]) -> dict[str, Any]:
    first = next(turn for turn in turns if isinstance(turn, RefusedTurn))
    excerpt = example["messages"][-1]["content"] if example["messages"] else ""
    return {
        "source_file": example["source_file"],
        "source_line": example["source_line"],
        "stage": "tokenize",
        "reason": str(first.reason),
        "detail": first.detail,
        "excerpt": excerpt_of(excerpt),
    }


def _require_training_rows(train: SplitAccount, limit: int) -> None:
    if train.rows:
        return
    reasons = ", ".join(f"{number} {reason}" for reason, number in sorted(train.rejected.items()))
    if not train.examples:
        raise NoExamplesError("There are no training examples: every clean example is in validation or test.")
    if train.shortest_needed:
        raise NoExamplesError(
            f"max_sequence_length={limit} is too short for any answer: of {train.examples} training "
            f"examples none fits, and the shortest needs {train.shortest_needed} tokens. Set "
            f"max_sequence_length={train.shortest_needed} or more, or answer_overflow=cut."
        )
    raise NoExamplesError(f"None of {train.examples} training examples can be trained ({reasons}).")


def _report(accounts: dict[str, SplitAccount], encoder: TurnEncoder) -> dict[str, Any]:
    rejected: Counter[str] = Counter()
    for account in accounts.values():
        rejected.update(account.rejected)
    return {
        "max_sequence_length": encoder.rules.max_sequence_length,
        "thinking": encoder.rules.thinking,
        "total": {
            "found": sum(account.examples for account in accounts.values()),
            "kept": sum(account.kept for account in accounts.values()),
            "rejected": dict(sorted(rejected.items())),
        },
        "splits": {split: account.as_dict() for split, account in accounts.items()},
    }
