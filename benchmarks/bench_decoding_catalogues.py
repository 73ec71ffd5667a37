"""Decoding of real text that no table was built from: the message catalogues of the system's own programs.

Usage: python benchmarks/bench_decoding_catalogues.py [ROUNDS] [LOCALE_FOLDER]

Passages of 8 to 1,000 characters are cut at chance places from the catalogues under LOCALE_FOLDER (/usr/share/locale),
with a fixed seed, in every encoding that can hold them. A passage of eight characters has at least three above ASCII,
of a language written in Latin letters at least one; longer ones in proportion.
"""

import collections
import gettext
import json
import random
import sys
from pathlib import Path

from qwen_pipeline.text.decode import decode

CHINESE = ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32-le", "gbk", "gb18030")
TRADITIONAL = ("utf-8", "utf-16-le", "utf-16-be", "big5", "big5hkscs", "gb18030")
ENCODINGS = {
    "zh_CN": CHINESE, "zh_TW": TRADITIONAL, "zh_HK": TRADITIONAL,
    "ja": ("utf-8", "utf-16-le", "utf-16-be", "shift_jis", "cp932", "euc_jp"), "ko": ("utf-8", "utf-16-le", "euc_kr", "cp949"),
    "fr": ("utf-8", "cp1252"), "de": ("utf-8", "cp1252"), "es": ("utf-8", "cp1252"), "pt_BR": ("utf-8", "cp1252"),
    "pl": ("utf-8", "cp1250"), "cs": ("utf-8", "cp1250"), "ru": ("utf-8", "cp1251"), "uk": ("utf-8", "cp1251"),
    "el": ("utf-8", "cp1253"), "tr": ("utf-8", "cp1254"), "vi": ("utf-8", "cp1258"), "th": ("utf-8", "cp874"),
}  # fmt: skip
LATIN = ("fr", "de", "es", "pt_BR", "pl", "cs", "tr", "vi")
LENGTHS = (8, 12, 20, 50, 200, 1000)


def messages(folder: Path, language: str) -> str:
    """All translated messages of a language, one a line, those of each once."""
    found: dict[str, None] = {}
    for path in sorted(folder.glob(f"{language}/LC_MESSAGES/*.mo")):
        try:
            with path.open("rb") as file:
                catalogue = gettext.GNUTranslations(file)
        except (UnicodeDecodeError, OSError):  # of the few that do not say their own encoding
            continue
        # The translated text of a catalogue is read only through its table; the entry "" is its header.
        entries: dict[object, str] = catalogue._catalog  # type: ignore[attr-defined]
        found.update(dict.fromkeys(text for key, text in entries.items() if key and not text.isascii()))
    texts = list(found)
    random.Random(7).shuffle(texts)
    return "\n".join(texts)


def passages(text: str, language: str, size: int, rounds: int, draw: random.Random) -> list[str]:
    """Passages of ``size`` characters with enough characters above ASCII."""
    least = size / 24 if language in LATIN else size * 3 / 8
    found: list[str] = []
    for _ in range(20 * rounds):
        start = draw.randrange(max(len(text) - size, 1))
        part = text[start : start + size]
        if sum(char > "\x7f" for char in part) >= max(least, 1):
            found.append(part)
        if len(found) == rounds:
            break
    return found


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    folder = Path(sys.argv[2] if len(sys.argv) > 2 else "/usr/share/locale")
    decode("问题".encode("gb18030"))  # the figures are read once
    cells: dict[str, dict[int, str]] = collections.defaultdict(dict)
    wrong: list[dict[str, str]] = []
    for language, encodings in ENCODINGS.items():
        text = messages(folder, language)
        for size in LENGTHS if text else ():
            parts = passages(text, language, size, rounds, random.Random(size))
            for encoding in encodings:
                right = total = 0
                for part in parts:
                    try:
                        data = part.encode(encoding)
                    except UnicodeEncodeError:
                        continue
                    got = decode(data)
                    right, total = right + (got.text == part), total + 1
                    if got.text != part:
                        wrong.append({"case": f"{language} {encoding} @{size}", "text": part[:60], "got": got.text[:60],
                                      "as": ",".join(span.encoding for span in got.spans)})  # fmt: skip
                cells[f"{language} {encoding}"][size] = (
                    f"{100 * right / total:.1f} of {total}" if total else "-"
                )
    print("| % exact | " + " | ".join(f"@{size}" for size in LENGTHS) + " |\n|---|" + "---|" * len(LENGTHS))
    for name, row in cells.items():
        print(f"| {name} | " + " | ".join(row.get(size, "-") for size in LENGTHS) + " |")
    for row in wrong:
        print(json.dumps(row, ensure_ascii=False), file=sys.stderr)


if __name__ == "__main__":
    main()
