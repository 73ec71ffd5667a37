"""Broken inputs against every parser, through ingest and clean: no exception, and every row is accounted for.

Usage: python benchmarks/bench_fuzz_parsers.py [inputs] [seed]    (default 100000 and 11)
"""

import gzip
import io
import json
import logging
import random
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from qwen_pipeline.params.clean import CleanParameters
from qwen_pipeline.params.ingest import IngestParameters
from qwen_pipeline.pipelines.clean.nodes import clean_examples
from qwen_pipeline.pipelines.ingest.nodes import ingest_files
from qwen_pipeline.text.raw_file import RawFile

FILES_AT_ONCE = 500
PAIR = {"question": "怎么办？", "answer": "这样办。"}
GOOD = json.dumps({"question": "一直好的？", "answer": "总有一行是好的。"}, ensure_ascii=False).encode()
SUFFIXES = ("md", "json", "jsonl", "csv", "tsv", "txt", "yaml", "parquet", "xlsx", "gz", "")
CUTS = [
    b"```\n",
    b'"',
    b"{",
    b"]",
    b"\n",
    b"Q1:",
    b"\x00",
    b"\xef\xbb\xbf",
    b"**",
    b",",
    b"\r",
    b"|",
    b"\xff\xfe",
]
CUTS += [
    "答：".encode(),
    "问".encode("gbk"),
    b"<|im_end|>",
    b"&nbsp;",
    b"<br>",
    b"<think>",
    b"\t",
    b"NaN",
    b"\\u",
]


def parquet() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([PAIR] * 3), sink)
    return sink.getvalue()


def workbook() -> bytes:
    """A workbook with one sheet of inline strings."""
    cells = "".join(
        f'<row r="{row}">'
        + "".join(
            f'<c r="{column}{row}" t="inlineStr"><is><t>{text}</t></is></c>'
            for column, text in zip("AB", two, strict=True)
        )
        + "</row>"
        for row, two in enumerate([("问题", "答案"), ("甲？", "一。"), ("乙？", "二。")], 1)
    )
    space = "http://schemas.openxmlformats.org/"
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{space}package/2006/content-types"/>',
        "_rels/.rels": f'<Relationships xmlns="{space}package/2006/relationships">'
        f'<Relationship Id="rId1" Type="{space}officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{space}spreadsheetml/2006/main" xmlns:r="{space}officeDocument/2006/relationships">'
        '<sheets><sheet name="s" sheetId="1" r:id="rId1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{space}package/2006/relationships">'
        f'<Relationship Id="rId1" Type="{space}officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{space}spreadsheetml/2006/main"><sheetData>{cells}</sheetData></worksheet>',
    }  # fmt: skip
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in parts.items():
            archive.writestr(name, text)
    return packed.getvalue()


TEXTS = [
    "Q1: 怎么办？\nA1: 这样办。\n\nQ2: 然后呢？\nA2: 没了。\n",
    "## 问题1：甲？\n回答1：一\n```\nQ: x\n```\n## 问题2：乙？\n回答2：二\n",
    "## 如何安装？\n先装。\n\n## 怎么卸载？\n再卸。\n",
    "1. 甲是什么？\n一。\n2. 乙是什么？\n二。\n",
    "用户：你好\n助手：请说\n用户：再见\n助手：好\n",
    "甲是什么？\n一。\n\n乙是什么？\n二。\n",
    "| 问题 | 答案 |\n|---|---|\n| 甲？ | 一。 |\n| 乙？ | 二。 |\n",
    json.dumps([PAIR] * 2, ensure_ascii=False, indent=1),
    json.dumps({"data": [PAIR] * 2}),
    '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}\n' * 2,
    '{"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"}],"system":"s"}\n' * 2,
    '{"instruction":"a","input":"b","output":"c","history":[["d","e"]]}\n' * 2,
    '问题,答案\n"多\n行",是\n甲,一\n',
    "question;answer\na;b\nc;d;e\n",
    "question\tanswer\na\tb\nc\td\n",
    "- question: 甲？\n  answer: |\n    一。\n    二。\n- question: &q 乙？\n  answer: *q\n- {q: 丙？, a: 三}\n",
    "data:\n  - instruction: a\n    output: b\n---\nmessages:\n- {role: user, content: c}\n- {role: assistant, content: d}\n",
    "<details>\n<summary>甲？</summary>\n\n一。\n</details>\n<details><summary><b>乙？</b></summary>二。</details>\n",
    "> **Q:** 甲？\n> A: 一。\n\n> Q: 乙？\n\nA: 二。\n",
    "- **甲？** 一。\n- **乙？** 二。\n  更多。\n",
    '{"prompt":"\\n\\nHuman: a\\n\\nAssistant:","completion":" b","label":false}\n["问？","答"]\n',
    '{"chosen":"\\n\\nHuman: a\\n\\nAssistant: b","rejected":"c","options":["d"]}\n' * 2,
]
SEEDS = [text.encode(code) for text in TEXTS for code in ("utf-8", "gb18030", "utf-16", "utf-16-le")]
SEEDS += [parquet(), workbook(), *(gzip.compress(text.encode()) for text in TEXTS)]


def mutate(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(changed) + 1)
        kind = rng.randrange(5)
        if kind == 0:
            changed[at : at + rng.randint(1, 9)] = b""
        elif kind == 1:
            changed[at:at] = rng.randbytes(rng.randint(1, 6))
        elif kind == 2:
            changed[at:at] = rng.choice(CUTS)
        elif kind == 3:
            changed[at:at] = changed[at : at + 20]
        elif changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def run_folder(rng: random.Random, folder: Path, files: int) -> tuple[Counter[str], float]:
    """Send one folder of broken files through both stages and check its account."""
    (folder / "good.jsonl").write_bytes(GOOD)
    for number in range(files):
        name = f"{rng.choice(['', '', 'test/', 'validation/'])}{number:04d}.{rng.choice(SUFFIXES)}"
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(mutate(rng, rng.choice(SEEDS)))
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    names = [path.relative_to(folder).as_posix() for path in paths]
    raw = {name: RawFile(name, path, path.stat().st_size) for name, path in zip(names, paths, strict=True)}
    start = time.perf_counter()
    examples, rejects, ingested = ingest_files(raw, IngestParameters())
    parameters = CleanParameters(languages=("zh", "en"), max_repetition=0.95, mask_personal_data=True)
    kept, clean_rejects, duplicates, report = clean_examples(
        ds.dataset(examples), ds.dataset(rejects), ingested, parameters
    )
    seconds = time.perf_counter() - start
    total = report["total"]
    assert set(report["files"]) == set(names)
    for entry in (total, *report["files"].values()):
        gone = sum(entry["rejected"].values()) + entry["duplicates_exact"] + entry["duplicates_near"]
        assert entry["found"] == entry["kept"] + gone > 0
    assert ds.dataset(kept).count_rows() == total["kept"]
    refused = ds.dataset(rejects).count_rows() + ds.dataset(clean_rejects).count_rows()
    assert refused == sum(total["rejected"].values())
    gone = total["duplicates_exact"] + total["duplicates_near"]
    assert ds.dataset(duplicates).count_rows() == gone
    return Counter({"kept": total["kept"], "duplicates": gone, **total["rejected"]}), seconds


def main() -> None:
    logging.disable(logging.INFO)
    warnings.simplefilter("ignore")
    inputs = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 11
    outcomes: Counter[str] = Counter()
    start, slowest = time.perf_counter(), 0.0
    for first in range(0, inputs, FILES_AT_ONCE):
        with tempfile.TemporaryDirectory() as folder:
            rng = random.Random(f"{seed}-{first}")
            found, seconds = run_folder(rng, Path(folder), min(FILES_AT_ONCE, inputs - first))
        outcomes.update(found)
        slowest = max(slowest, seconds)
    record = {
        "inputs": inputs,
        "seed": seed,
        "seconds": round(time.perf_counter() - start, 1),
        f"slowest_seconds_of_{FILES_AT_ONCE}": round(slowest, 2),
        "rows": dict(outcomes.most_common()),
    }
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
