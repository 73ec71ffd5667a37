"""A table worked on row group by row group, each by whichever process takes it, into files of its own.

Nothing but paths and counts travels between processes, so that memory does not grow with the rows.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from qwen_pipeline.text.progress import with_progress
from qwen_pipeline.text.table_reader import RowGroup
from qwen_pipeline.text.worker_pool import map_in_processes

_Part = TypeVar("_Part")
GROUPS_WORTH_A_POOL = 8  # of about 4,096 rows or 8 MiB each: starting processes takes seconds


def map_parts(
    work: Callable[[tuple[RowGroup, Path]], _Part],
    groups: Sequence[RowGroup],
    folder: Path,
    workers: int | None,
    doing: str,
) -> Iterator[_Part]:
    """What ``work`` makes of each row group, in order.

    Args:
        work: Takes a row group and what the names of its files begin with; importable by its name, or a ``partial``.
        groups: The table.
        folder: Where the files go.
        workers: Processes; None leaves it to `map_in_processes`. Few row groups are worked on in this process.
        doing: What lines about the progress begin with.
    """
    tasks = [(group, folder / f"part-{number:06d}") for number, group in enumerate(groups)]
    is_little = len(groups) < GROUPS_WORTH_A_POOL
    parts = map_in_processes(work, tasks, 1 if is_little else workers)
    yield from with_progress(parts, len(tasks), doing)


def read_stream(path: Path) -> Iterator[pa.RecordBatch]:
    """The batches of an Arrow stream, read one by one and never mapped into memory."""
    with pa.OSFile(str(path)) as source, pa.ipc.open_stream(source) as stream:
        yield from stream


def remove_part(path: Path) -> None:
    """Remove the files whose names begin with the last part of ``path`` and a dot."""
    for file in path.parent.glob(f"{path.name}.*"):
        file.unlink()
