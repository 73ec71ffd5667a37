"""Examples a second of the tokenize stage, in one process and in one a core.

python benchmarks/bench_tokenize.py MODEL [--examples 60000] [--repetitions 3] > result.json

MODEL is a folder with a tokenizer and a chat template, or ``demo``. Rows are Chinese questions and answers of about 300
characters, no two alike. The repetitions of the two ways take turns.
"""

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

import pyarrow.dataset as pads

from qwen_pipeline.chat.labels import LabelRules
from qwen_pipeline.chat.tokenize_table import tokenize_table
from qwen_pipeline.model.source import ModelSource
from qwen_pipeline.model.tokenizer import TokenizerSource
from qwen_pipeline.text.schema import CLEAN_SCHEMA
from qwen_pipeline.text.table_reader import row_groups
from qwen_pipeline.text.table_writer import TableWriter


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--examples", type=int, default=60_000)
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    source = TokenizerSource(ModelSource(options.model))
    workers = (1, os.cpu_count() or 1)
    seconds: dict[int, list[float]] = {number: [] for number in workers}
    with tempfile.TemporaryDirectory() as folder:
        clean = write_examples(Path(folder) / "clean.parquet", options.examples)
        for repetition in range(options.repetitions):
            for number in workers:
                target = Path(folder) / f"{repetition}-{number}"
                target.mkdir()
                started = time.perf_counter()
                tokenize_table(row_groups(pads.dataset(clean)), source, LabelRules(2048), target, number)
                seconds[number].append(time.perf_counter() - started)
    medians = {number: statistics.median(times) for number, times in seconds.items()}
    result = {
        "examples": options.examples,
        "examples_per_second": {
            number: round(options.examples / median) for number, median in medians.items()
        },
        "seconds": {number: [round(one, 1) for one in times] for number, times in seconds.items()},
        "speedup": round(medians[workers[0]] / medians[workers[1]], 2),
        "peak_of_this_process_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "peak_of_the_largest_worker_mib": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
    }
    print(json.dumps(result, indent=2))


def write_examples(path: Path, count: int) -> Path:
    with TableWriter(path, CLEAN_SCHEMA) as table:
        for number in range(count):
            question = f"什么是第{number}条规则?请举例说明它在第{number % 97}种情况下的用法。" * 2
            answer = f"第{number}条规则的意思是:先检查输入,再处理结果,最后记录第{number % 31}步。" * 8
            turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
            place = {"source_file": "rules.md", "source_line": number, "encoding": "utf-8"}
            rest = {"example_id": str(number), "encoding_confidence": 1.0, "repairs": [], "split": "train"}
            table.write({"messages": turns, **place, **rest})
    return path


if __name__ == "__main__":
    main()
