"""Broken inputs against every parser: no exception, and every input is accounted for.

Usage: python benchmarks/bench_fuzz_parsers.py [inputs]    (default 100000)
"""

import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from qwen_pipeline.text.clean_row import CleanRules, clean_row
from qwen_pipeline.text.formats.content import Content
from qwen_pipeline.text.formats.row import Found
from qwen_pipeline.text.raw_file import RawFile
from qwen_pipeline.text.read_files import read_rows

SEEDS = [
    "Q1: 怎么办？\nA1: 这样办。\n\nQ2: 然后呢？\nA2: 没了。\n".encode(),
    "## 问题1：甲？\n回答1：一\n```\nQ: x\n```\n".encode("gb18030"),
    json.dumps([{"question": "甲？", "answer": "一。"}] * 2, ensure_ascii=False, indent=1).encode(),
    b'{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}\n' * 2,
    '问题,答案\n"多\n行",是\n'.encode("utf-16"),
    b"question;answer\na;b\nc;d;e\n",
]
SUFFIXES = ("md", "json", "jsonl", "csv", "txt", "parquet", "xlsx")


def mutate(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(changed) + 1)
        kind = rng.randrange(4)
        if kind == 0:
            changed[at : at + rng.randint(1, 9)] = b""
        elif kind == 1:
            changed[at:at] = rng.randbytes(rng.randint(1, 6))
        elif kind == 2:
            changed[at:at] = rng.choice(
                [b"```\n", b'"', b"{", b"]", b"\n", b"Q1:", b"\x00", b"\xef\xbb\xbf", b"**", b","]
            )
        else:
            changed[at:at] = changed[at : at + 20]
    return bytes(changed)


def main() -> None:
    inputs = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    rng, outcomes, slowest = random.Random(11), Counter(), 0.0
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "input"
        for _ in range(inputs):
            data = mutate(rng, rng.choice(SEEDS))
            path.write_bytes(data)
            begin = time.perf_counter()
            name = f"input.{rng.choice(SUFFIXES)}"
            rows = list(read_rows(Content(RawFile(name, path, len(data)))))
            assert rows, "an input without a row or a reason"
            for row in rows:
                if not isinstance(row, Found):
                    outcomes[row.reason.value] += 1
                    continue
                messages = [{"role": role, "content": text} for role, text in row.messages]
                cleaned = clean_row(
                    {"messages": messages, "source_file": name, "source_line": row.line}, CleanRules()
                )
                outcomes[cleaned["reason"] if isinstance(cleaned, dict) else "clean"] += 1
            slowest = max(slowest, time.perf_counter() - begin)
    seconds = round(time.perf_counter() - start, 1)
    print(
        json.dumps(
            {"inputs": inputs, "seconds": seconds, "slowest_seconds": round(slowest, 3), "outcomes": outcomes}
        )
    )


if __name__ == "__main__":
    main()
