"""One row group of the clean examples encoded into files of its own, by whichever process takes it."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
from transformers import PreTrainedTokenizerBase as Tokenizer

from qwen_pipeline.chat.account import SplitAccount
from qwen_pipeline.chat.arrow_directory import ROW_SCHEMA, RowBuffer
from qwen_pipeline.chat.labels import EncodedTurn, LabelRules, RefusedTurn, TurnEncoder, Unusable
from qwen_pipeline.text.parts import read_stream, remove_part
from qwen_pipeline.text.schema import REJECT_SCHEMA, excerpt_of
from qwen_pipeline.text.split import SPLITS
from qwen_pipeline.text.table_reader import RowGroup, read_group

ROWS_PER_BATCH = 256  # read at a time
TOKENS_PER_BATCH = 65_536  # written at a time: a row may be thousands of tokens
Turns = list[EncodedTurn | RefusedTurn]


class TokenizerSource(Protocol):
    """A value, hashable and picklable, from which each process loads the tokenizer once."""

    def __hash__(self) -> int: ...

    def load(self) -> Tokenizer:
        """The tokenizer with its chat template."""
        ...


@dataclass
class TokenizedPart:
    """What one row group became: rows by split and rejects on disk, and the counts.

    Attributes:
        path: What its files' names begin with.
        accounts: By split.
    """

    path: Path
    accounts: dict[str, SplitAccount] = field(
        default_factory=lambda: {name: SplitAccount() for name in SPLITS}
    )

    def rows(self, split: str) -> Iterator[pa.RecordBatch]:
        """The rows of a split in order."""
        yield from read_stream(self.path.with_suffix(f".{split}"))

    def rejects(self) -> Iterator[pa.RecordBatch]:
        """The refused examples in order."""
        yield from read_stream(self.path.with_suffix(".rejects"))

    def remove(self) -> None:
        """Remove the part's files."""
        remove_part(self.path)


def tokenize_part(group: RowGroup, path: Path, source: TokenizerSource, rules: LabelRules) -> TokenizedPart:
    """Encode the examples of one row group.

    Args:
        group: Where they are.
        path: What the names of the files to write begin with.
        source: Gives the tokenizer.
        rules: What is trained.
    """
    encoder = load_encoder(source, rules)
    part = TokenizedPart(path)
    with ExitStack() as stack:
        files = {
            name: stack.enter_context(pa.ipc.new_stream(str(path.with_suffix(f".{name}")), ROW_SCHEMA))
            for name in SPLITS
        }
        rejects = stack.enter_context(pa.ipc.new_stream(str(path.with_suffix(".rejects")), REJECT_SCHEMA))
        rows = {name: RowBuffer() for name in SPLITS}
        for batch in read_group(group, ROWS_PER_BATCH):
            refused = []
            for example in batch.to_pylist():
                turns, split = _encode(encoder, example), example["split"]
                part.accounts[split].add(turns)
                kept = [turn for turn in turns if isinstance(turn, EncodedTurn)]
                for turn in kept:
                    rows[split].add(turn.input_ids, turn.labels, example["example_id"])
                if not kept:
                    refused.append(_reject(example, turns))
                if rows[split].tokens >= TOKENS_PER_BATCH:
                    _write(files[split], rows[split].to_batch())
                    rows[split] = RowBuffer()
            _write(rejects, pa.RecordBatch.from_pylist(refused, schema=REJECT_SCHEMA))
        for name in SPLITS:
            _write(files[name], rows[name].to_batch())
    return part


@lru_cache(maxsize=1)
def load_encoder(source: TokenizerSource, rules: LabelRules) -> TurnEncoder:
    """The encoder of this process."""
    return TurnEncoder(source.load(), rules)


def _encode(encoder: TurnEncoder, example: dict[str, Any]) -> Turns:
    turns = encoder.encode(example["messages"])
    return turns or [RefusedTurn(Unusable.NO_TRAINED_TOKEN, "no answer in it")]


def _reject(example: dict[str, Any], turns: Turns) -> dict[str, Any]:
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


def _write(stream: pa.ipc.RecordBatchStreamWriter, batch: pa.RecordBatch) -> None:
    if batch.num_rows:
        stream.write_batch(batch)
