"""Decoding: accuracy beside the detectors people use, changes within a file, repair, false repairs, speed.

Usage: python benchmarks/bench_decoding.py [FOLDER]

FOLDER holds ``labelled.jsonl`` (``b64``, ``text``, ``enc``, ``len``) and ``score_decoders.py``, which knows the other
detectors. Without it only the generated text is measured: characters drawn by their frequency in each language,
which is no language but has its statistics.
"""

import importlib.util
import itertools
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from qwen_pipeline.text.decode import decode
from qwen_pipeline.text.language_costs import figures
from qwen_pipeline.text.repair import repair_mojibake

LANGUAGE_OF = {
    "utf-8": "zh-Hans", "gb18030": "zh-Hans", "big5": "zh-Hant", "shift_jis": "ja", "euc_jp": "ja", "euc_kr": "ko",
    "utf-16-le": "zh-Hans", "utf-16-be": "zh-Hant", "utf-32-le": "zh-Hans", "cp1251": "ru", "cp1250": "pl", "cp1252": "fr",
}  # fmt: skip
SPOILED = {
    "utf-8 read as gb18030": [("utf-8", "gb18030")],
    "utf-8 read as latin-1": [("utf-8", "latin-1")],
    "utf-8 read as cp1252": [("utf-8", "cp1252")],
    "gb18030 read as latin-1": [("gb18030", "latin-1")],
    "utf-8 read as latin-1, twice": [("utf-8", "latin-1")] * 2,
    "gb18030 read as latin-1, then utf-8 as latin-1": [("gb18030", "latin-1"), ("utf-8", "latin-1")],
}
LENGTHS = (8, 20, 50, 200)
MEGABYTES = 8
REPETITIONS = 5


class Writer:
    """Draws text of a language."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.weights = {
            name: [(char, 2 ** (-int(cost) / 4)) for cost, chars in found.items() for char in chars]
            for name, found in figures().items()
        }

    def write(self, language: str, size: int) -> str:
        """``size`` characters; languages with an alphabet get spaces and, but for Russian, ASCII letters."""
        chars, weights = zip(*self.weights[language], strict=True)
        drawn = self.random.choices(chars, weights, k=size)
        if language in ("fr", "pl", "ru"):
            plain = self.random.choices("etaoin srl du", k=size)
            share = 0.15 if language == "ru" else 0.85
            drawn = [
                (" " if language == "ru" else low) if self.random.random() < share else high
                for low, high in zip(plain, drawn, strict=True)
            ]
        return "".join(drawn)

    def encodable(self, language: str, size: int, encoding: str) -> str:
        """The same without characters that the encoding lacks."""
        text = ""
        while len(text) < size:
            text += self.write(language, 2 * size).encode(encoding, "ignore").decode(encoding)
        return text[:size]


def generated_accuracy(writer: Writer, rounds: int) -> dict[str, str]:
    """Share of generated snippets decoded exactly, by encoding and length."""
    rows = {}
    for encoding, language in LANGUAGE_OF.items():
        right = []
        for size in LENGTHS:
            texts = [writer.encodable(language, size, encoding) for _ in range(rounds)]
            right.append(sum(decode(text.encode(encoding)).text == text for text in texts) / rounds)
        rows[encoding] = " ".join(
            f"@{size} {100 * part:.1f}" for size, part in zip(LENGTHS, right, strict=True)
        )
    return rows


def changes(writer: Writer, rounds: int) -> dict[str, str]:
    """Share of files of two halves in two encodings, cut at a line end, decoded exactly."""
    names = ("utf-8", "gb18030", "big5", "shift_jis", "utf-16-le")
    rows = {}
    for size in (20, 50, 200, 2000):
        right = total = 0
        for first, second in itertools.permutations(names, 2):
            for _ in range(max(rounds // 20, 2)):
                one = writer.encodable(LANGUAGE_OF[first], size, first) + "\n"
                two = writer.encodable(LANGUAGE_OF[second], size, second) + "\n"
                right += decode(one.encode(first) + two.encode(second)).text == one + two
                total += 1
        rows[f"{size} + {size} characters"] = f"{right} of {total}"
    return rows


def repairs(writer: Writer, rounds: int) -> dict[str, str]:
    """Share of spoiled texts repaired exactly; texts that the spoiling loses are left out."""
    rows = {}
    for name, steps in SPOILED.items():
        right = total = 0
        for size in (8, 20, 50):
            for _ in range(rounds):
                text = spoiled = writer.write("zh-Hans", size)
                try:
                    for written, read in steps:
                        spoiled = spoiled.encode(written).decode(read)
                except UnicodeError:
                    continue
                right += repair_mojibake(spoiled).text == text
                total += 1
        rows[name] = f"{right} of {total}"
    return rows


def false_repairs(writer: Writer, characters: int) -> str:
    """Texts changed among right ones of many languages."""
    wrong = seen = 0
    for language in itertools.cycle(("zh-Hans", "zh-Hant", "ja", "ko", "fr", "pl", "ru")):
        text = writer.write(language, writer.random.choice((5, 20, 100, 400)))
        wrong += bool(repair_mojibake(text).steps)
        seen += len(text)
        if seen >= characters:
            return f"{wrong} in {seen} characters"
    return ""


def speeds(writer: Writer) -> dict[str, str]:
    """Median MB/s of the decoding step on files of lines, beside the codec alone, with least and most."""
    rows = {}
    for encoding, language in LANGUAGE_OF.items():
        lines = "\n".join(writer.encodable(language, 300, encoding) for _ in range(300))
        data = (lines + "\n").encode(encoding)
        data *= MEGABYTES * 10**6 // len(data)
        ours = sorted(rate(lambda data=data: decode(data), len(data)) for _ in range(REPETITIONS))
        codec = statistics.median(
            rate(lambda data=data, name=encoding: data.decode(name), len(data)) for _ in range(REPETITIONS)
        )
        rows[encoding] = f"{statistics.median(ours):.0f} ({ours[0]:.0f}–{ours[-1]:.0f}), codec {codec:.0f}"
    return rows


def rate(run: Callable[[], object], size: int) -> float:
    start = time.perf_counter()
    run()
    return size / (time.perf_counter() - start) / 1e6


def labelled(folder: Path) -> None:
    """The table of labelled bytes, all detectors side by side, on the terminal."""
    spec = importlib.util.spec_from_file_location("score_decoders", folder / "score_decoders.py")
    assert spec is not None and spec.loader is not None
    scorer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scorer)
    decoders = {"this project": lambda data: decode(data).text, **scorer.anchors()}
    scores = {name: scorer.score(function) for name, function in decoders.items()}
    keys = sorted(
        scores["this project"][0], key=lambda key: (key.split(" @")[0], int(key.partition(" @")[2] or 0))
    )
    print("| % exact | rows | " + " | ".join(scores) + " |\n|---|---|" + "---|" * len(scores))
    for key in keys:
        shares = [f"{100 * cells[key][0] / cells[key][1]:.1f}" for cells, _ in scores.values()]
        print(f"| {key} | {scores['this project'][0][key][1]} | " + " | ".join(shares) + " |")
    print("| MB/s on the snippets | | " + " | ".join(f"{speed:.1f}" for _, speed in scores.values()) + " |")


def main() -> None:
    decode("问题".encode("gb18030"))  # the figures are read once
    if len(sys.argv) > 1:
        labelled(Path(sys.argv[1]))
    writer = Writer(seed=3)
    found = {
        "generated text, % exact": generated_accuracy(writer, 200),
        "change within a file": changes(writer, 200),
        "repairs": repairs(writer, 200),
        "false repairs": false_repairs(writer, 1_000_000),
        "MB/s": speeds(writer),
        "load average": round(os.getloadavg()[0], 1),
    }
    print(json.dumps(found, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
