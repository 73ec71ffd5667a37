"""Takes rows through ingest and clean, and tells the peak memory of tokenize and of the fetching of training.

Run in a process of its own, so that nothing else counts:

    python rows_through_the_stages.py TOKENIZER FOLDER ROWS   prints three peaks in MiB: half the rows, the rows, ten times the rows

Pages of mapped files are left out: the system takes them back when it needs them.
"""

import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow.dataset as pads
from transformers import AutoTokenizer, PreTrainedTokenizerBase

import datasets
from qwen_pipeline.chat.labels import LabelRules
from qwen_pipeline.chat.tokenize_table import tokenize_table
from qwen_pipeline.params.train import TrainParameters
from qwen_pipeline.text.clean_row import CleanRules
from qwen_pipeline.text.clean_table import clean_table
from qwen_pipeline.text.raw_file import RawFile
from qwen_pipeline.text.read_files import ReadOptions, read_files
from qwen_pipeline.text.table_reader import row_groups
from qwen_pipeline.training.fetch import fetch_steps
from qwen_pipeline.training.order import StepOrder

ANSWER = "把批次大小降到一，再打开梯度检查点，然后缩短最大序列长度。A smaller batch needs less memory. " * 20


@dataclass(frozen=True)
class SavedTokenizer:
    """A folder with nothing but a tokenizer."""

    folder: str

    def load(self) -> PreTrainedTokenizerBase:
        return AutoTokenizer.from_pretrained(self.folder)


def write_rows(path: Path, rows: int) -> None:
    with path.open("w", encoding="gb18030") as file:
        for number in range(rows):
            file.write(f"Q{number}: 第 {number} 种情况下显存不足怎么办？\nA{number}: {number}：{ANSWER}\n\n")


def ingest_and_clean(folder: Path, rows: int) -> Path:
    raw = folder / "faq.md"
    write_rows(raw, rows)
    examples, _, _ = read_files([RawFile("faq.md", raw, raw.stat().st_size)], ReadOptions(), folder, 1)
    return clean_table(row_groups(pads.dataset(examples)), CleanRules(), folder, "keep", workers=1).examples


def tokenize_and_fetch(folder: Path, examples: Path, tokenizer: SavedTokenizer) -> None:
    tokenize_table(
        row_groups(pads.dataset(examples)), tokenizer, LabelRules(max_sequence_length=4096), folder, 1
    )
    train = datasets.load_from_disk(str(folder / "train"))
    order = StepOrder(len(train), 8, 1, None, seed=0)
    parameters = TrainParameters(batch_size=8, gradient_accumulation_steps=1)
    assert sum(len(step) for step in fetch_steps(train, order, 0, parameters, on_cuda=False)) == len(train)


@contextmanager
def watch_memory() -> Iterator[list[int]]:
    """Samples this process's own memory, in KiB, a hundred times a second."""
    readings: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.wait(0.01):
            readings.append(int(re.search(r"RssAnon:\s+(\d+)", Path("/proc/self/status").read_text())[1]))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield readings
    finally:
        done.set()
        reader.join()


def main(tokenizer: str, folder: Path, rows: int) -> None:
    for number in (rows // 2, rows, 10 * rows):  # the first one makes what is made once
        place = folder / str(number)
        place.mkdir()
        examples = ingest_and_clean(place, number)
        with watch_memory() as readings:
            tokenize_and_fetch(place, examples, SavedTokenizer(tokenizer))
        print(max(readings) // 1024, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
