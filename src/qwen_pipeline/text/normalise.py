"""Text without what nobody sees: control and zero-width characters, bidi overrides, odd line ends.

Only what does no harm: NFC and never NFKC, so that full-width text in code stays; joiners stay where a script or
an emoji needs them.
"""

import re
import unicodedata

_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f]")
_INVISIBLE = re.compile("[\u00ad\u180e\u200b\u2060-\u2064\ufeff\ufff9-\ufffb]")
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_STRAY_JOINER = re.compile(
    "(?:^|(?<=[\x00-\u02ff\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\uff00-\uffef]))[\u200c\u200d]+"
)
_LINE_ENDS = re.compile("\r\n?|\x0c|\x85|\u2028|\u2029")
_ODD_RANGES = (
    (0x00, 0x08), (0x0B, 0x1F), (0x7F, 0x9F), (0xAD, 0xAD), (0x180E, 0x180E), (0x200B, 0x200D), (0x2028, 0x202E),
    (0x2060, 0x2069), (0xFEFF, 0xFEFF), (0xFFF9, 0xFFFB),
)  # fmt: skip
ODD_CHARACTERS = "".join(chr(code) for first, last in _ODD_RANGES for code in range(first, last + 1))
_ANY = re.compile(f"[{re.escape(ODD_CHARACTERS)}]")
_EDGES = " \t\n\r\u00a0\u3000"
_STEPS = (
    ("line_ends_normalised", _LINE_ENDS, "\n"),
    ("control_characters_removed", _CONTROL, ""),
    ("bidi_controls_removed", _BIDI, ""),
    ("invisible_characters_removed", _INVISIBLE, ""),
    ("invisible_characters_removed", _STRAY_JOINER, ""),
)


def normalise(text: str, composes: bool = True, is_odd: bool = True) -> tuple[str, tuple[str, ...]]:
    """Normalise ``text``.

    Args:
        text: A message's content.
        composes: False where it is known to be NFC.
        is_odd: False where it is known to hold none of ``ODD_CHARACTERS``.

    Returns:
        The text, and what was changed (white space at the ends is not worth a word).
    """
    changes: list[str] = []
    if composes and not text.isascii() and not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
        changes.append("unicode_composed")
    if is_odd and _ANY.search(text):
        for name, pattern, replacement in _STEPS:
            text, count = pattern.subn(replacement, text)
            if count:
                changes.append(name)
    return _without_edges(text), tuple(dict.fromkeys(changes))


def _without_edges(text: str) -> str:
    """The text without white space at its ends, but with its first line's indent where other lines are indented too."""
    kept = text.strip(_EDGES)
    if len(kept) == len(text):
        return text
    start = text.find(kept[:1]) if kept else 0
    indent = text[text.rfind("\n", 0, start) + 1 : start]
    if indent and "\n" in kept and set(indent) <= {" ", "\t"} and f"\n{indent}" in kept:
        return indent + kept
    return kept
