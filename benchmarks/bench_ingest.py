"""Ingest and clean on synthetic mixed data: MB/s end to end and peak resident memory of all processes.

Words are drawn by their frequency in jieba's dictionary, English ones from this project's README, in clauses with
marks, so that texts look like text to whatever reads them. With ``noise``, texts are ideographs and letters at random
instead: no language knows them, which is the worst case of decoding.

Usage: python benchmarks/bench_ingest.py [noise] [megabytes …]    (default 50)
"""

import json
import logging
import os
import random
import re
import sys
import tempfile
import threading
import time
from multiprocessing import get_context
from pathlib import Path

import jieba
import psutil
import pyarrow.dataset as ds

from qwen_pipeline.params.clean import CleanParameters
from qwen_pipeline.params.ingest import IngestParameters
from qwen_pipeline.pipelines.clean.nodes import clean_examples
from qwen_pipeline.pipelines.ingest.nodes import ingest_files
from qwen_pipeline.text.raw_file import RawFile

FILE_BYTES = 25 * 10**6
HAN = [chr(code) for code in range(0x4E00, 0x4E00 + 3000)]
README = Path(__file__).parents[1] / "README.md"
MARKS = ("，", "，", "。", "、", "；", "\n")


def words_of_language(rng: random.Random) -> list[str]:
    """Words, common ones often; every eighth is English, every eighth ends a clause."""
    entries = [line.split() for line in jieba.get_dict_file().read().decode("utf-8").splitlines()]
    chinese = rng.choices([entry[0] for entry in entries], [int(entry[1]) for entry in entries], k=60_000)
    english = re.findall(r"[A-Za-z]{2,}", README.read_text("utf-8"))
    ends = [word + rng.choice(MARKS) for word in rng.choices(chinese, k=10_000)]
    return chinese + ends + [f" {word} " for word in rng.choices(english, k=10_000)]


def words_of_noise(rng: random.Random) -> list[str]:
    """Ideographs and letters at random."""
    words = ["".join(rng.choices(HAN, k=rng.randint(1, 4))) for _ in range(20_000)]
    return words + ["".join(rng.choices("etaoinshrdlucm", k=rng.randint(2, 9))) + " " for _ in range(10_000)]


def write_files(folder: Path, megabytes: int, noise: bool = False) -> None:
    """JSONL in UTF-8, Markdown in UTF-8 and in GB18030, CSV: equal parts; one row in 20 is an edited copy."""
    rng = random.Random(7)
    words = words_of_noise(rng) if noise else words_of_language(rng)
    pool = re.sub(r"\s*\n\s*", "\n", "".join(rng.choices(words, k=1_500_000)))
    kinds = [("jsonl", "utf-8"), ("md", "utf-8"), ("md", "gb18030"), ("csv", "utf-8")]
    number = written = 0
    while written < megabytes * 10**6:
        suffix, encoding = kinds[number % len(kinds)]
        parts, size = (["question,answer\n"] if suffix == "csv" else []), 0
        question = answer = ""
        row = 0
        while size < min(FILE_BYTES, megabytes * 10**6 / 4):
            if row % 20:
                at, to = rng.randrange(len(pool) - 2000), rng.randrange(len(pool) - 2000)
                question = pool[at : at + 28].replace("\n", "").strip() + "？"
                answer = pool[to : to + rng.randint(80, 650)].strip()
            else:
                answer += "。"
            row += 1
            if suffix == "jsonl":
                parts.append(json.dumps({"question": question, "answer": answer}, ensure_ascii=False) + "\n")
            elif suffix == "md":
                parts.append(f"Q{row}: {question}\n\nA{row}: {answer}\n\n")
            else:
                parts.append(f'"{question}","{answer}"\n')
            size += len(parts[-1].encode(encoding))
        (folder / f"{number:03d}.{suffix}").write_text("".join(parts), encoding)
        written += size
        number += 1


class PeakMemory(threading.Thread):
    """Largest sum of resident memory of this process and its children, and of any one of them, in bytes."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.all = self.one = 0
        self.stopped = threading.Event()

    def run(self) -> None:
        """Sample until stopped."""
        me = psutil.Process()
        while not self.stopped.wait(0.1):
            sizes = []
            for process in [me, *me.children(recursive=True)]:
                try:
                    sizes.append(process.memory_info().rss)
                except psutil.Error:
                    continue
            self.all, self.one = max(self.all, sum(sizes)), max(self.one, *sizes)


def _cpu_seconds() -> float:
    """Processor time of this process and of its finished children."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def measure(megabytes: int, noise: bool = False) -> dict:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        writer = get_context("spawn").Process(target=write_files, args=(folder, megabytes, noise))
        writer.start()  # elsewhere, so that its memory is not counted
        writer.join()
        paths = sorted(folder.iterdir())
        files = {path.name: RawFile(path.name, path, path.stat().st_size) for path in paths}
        size = sum(file.size for file in files.values()) / 1e6
        peak = PeakMemory()
        peak.start()
        start, cpu = time.perf_counter(), _cpu_seconds()
        examples, rejects, report = ingest_files(files, IngestParameters())
        middle = time.perf_counter()
        *_, account = clean_examples(ds.dataset(examples), ds.dataset(rejects), report, CleanParameters())
        end = time.perf_counter()
        peak.stopped.set()
        return {
            "megabytes": round(size, 1),
            "rows": account["total"]["found"],
            "near_duplicates": account["total"]["duplicates_near"],
            "ingest_mb_per_second": round(size / (middle - start), 2),
            "clean_mb_per_second": round(size / (end - middle), 2),
            "mb_per_second": round(size / (end - start), 2),
            "mb_per_cpu_second": round(size / (_cpu_seconds() - cpu), 2),
            "peak_resident_megabytes_all_processes": round(peak.all / 1e6),
            "peak_resident_megabytes_one_process": round(peak.one / 1e6),
            "load_average_at_end": round(os.getloadavg()[0], 1),
        }


def main() -> None:
    logging.disable(logging.INFO)
    noise = "noise" in sys.argv[1:]
    sizes = [int(argument) for argument in sys.argv[1:] if argument != "noise"] or [50]
    runs = [measure(size, noise) for size in sizes]
    print(
        json.dumps({"cores": os.cpu_count(), "texts": "noise" if noise else "words", "runs": runs}, indent=2)
    )


if __name__ == "__main__":
    main()
