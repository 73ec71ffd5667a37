"""The encodings that bytes may be in, with the languages that each was made for and how common each is."""

from dataclasses import dataclass
from functools import cached_property

_SURPRISE = 6.0
_GUEST = 5.0  # bits; less than a surprise, for such text is seen now and then


@dataclass(frozen=True, eq=False)
class Candidate:
    """An encoding that a detector may answer.

    Attributes:
        name: Its name in Python, the narrowest of its family.
        languages: Those its users write, with the bits that each language costs in this encoding.
        bits: What the encoding itself costs: the rarer among the files people have, the more.
        wider: Supersets, tried in this order where bytes don't fit ``name``.
        lead: First bytes of its two-byte characters, as a set of values; empty for other encodings.
    """

    name: str
    languages: tuple[tuple[str, float], ...]
    bits: float
    wider: tuple[str, ...] = ()
    lead: frozenset[int] = frozenset()

    @cached_property
    def language_names(self) -> tuple[str, ...]:
        """All its languages."""
        return tuple(name for name, _ in self.languages)

    @cached_property
    def usual_languages(self) -> tuple[str, ...]:
        """The languages that are no surprise in this encoding."""
        return tuple(name for name, bits in self.languages if bits < _SURPRISE)


def _leads(*ranges: tuple[int, int]) -> frozenset[int]:
    return frozenset(byte for first, last in ranges for byte in range(first, last + 1))


_RARER = ["ar", "bg", "cs", "el", "es", "fa", "he", "hu", "it", "pl", "pt", "ro", "th", "tr", "uk", "vi"]
UTF8 = Candidate(
    "utf-8",
    (
        ("zh-Hans", 0),
        ("zh-Hant", 0),
        ("ja", 0),
        ("ko", 0),
        ("fr", 0),
        ("de", 0),
        ("ru", 4),
        *((name, 5) for name in _RARER),
    ),
    0,
)
GB18030 = Candidate("gb18030", (("zh-Hans", 0), ("zh-Hant", 5), ("ja", 8)), 0, (), _leads((0x81, 0xFE)))
BIG5 = Candidate("big5", (("zh-Hant", 0),), 1, ("cp950", "big5hkscs"), _leads((0x81, 0xFE)))
SHIFT_JIS = Candidate(
    "shift_jis", (("ja", 0),), 2, ("cp932", "shift_jis_2004"), _leads((0x81, 0x9F), (0xE0, 0xFC))
)
EUC_JP = Candidate("euc_jp", (("ja", 0),), 3, ("euc_jis_2004",), _leads((0x8E, 0x8F), (0xA1, 0xFE)))
EUC_KR = Candidate("euc_kr", (("ko", 0),), 4, ("cp949",), _leads((0x81, 0xFE)))
DOUBLE_BYTE = (GB18030, BIG5, SHIFT_JIS, EUC_JP, EUC_KR)

_CHINESE_AND_OTHERS = (("zh-Hans", 0), ("zh-Hant", 0), ("ja", 0), ("ko", 1), ("fr", 2), ("de", 2), ("ru", 2))
UTF16_LE = Candidate("utf-16-le", _CHINESE_AND_OTHERS, 8)
UTF16_BE = Candidate("utf-16-be", _CHINESE_AND_OTHERS, 9)
UTF32_LE = Candidate("utf-32-le", _CHINESE_AND_OTHERS, 12)
UTF32_BE = Candidate("utf-32-be", _CHINESE_AND_OTHERS, 13)
UTF32 = (UTF32_LE, UTF32_BE)
WIDE = (UTF16_LE, UTF16_BE, *UTF32)


def _alphabet(name: str, bits: float, *languages: str, guest: str = "") -> Candidate:
    """An encoding of one byte a character; ``guest`` is a language that it can write but that has a better one."""
    guests = ((guest, _GUEST),) if guest else ()
    return Candidate(name, (*((language, 0.0) for language in languages), *guests), bits)


CP1252 = _alphabet("cp1252", 6, "fr", "de", "es", "it", "pt", "nl", "sv", "da", "no", "fi", "ca", "sq")
SINGLE_BYTE = (
    CP1252,
    _alphabet("cp1250", 8, "pl", "cs", "hu", "sk", "sl", "hr", "ro", guest="de"),
    _alphabet("cp1251", 7, "ru", "uk", "bg", "mk"),
    _alphabet("cp1253", 10, "el"),
    _alphabet("cp1254", 9, "tr"),
    _alphabet("cp1255", 10, "he"),
    _alphabet("cp1256", 10, "ar", "fa"),
    _alphabet("cp1257", 10, "lt", "lv", "et"),
    _alphabet("cp1258", 12, "vi"),
    _alphabet("cp874", 11, "th"),
    _alphabet("koi8_r", 9, "ru"),
    _alphabet("koi8_u", 11, "uk"),
    _alphabet("iso8859_2", 10, "pl", "cs", "hu", "sk", "sl", "hr", "ro"),
    _alphabet("iso8859_5", 13, "ru"),
    _alphabet("cp866", 11, "ru"),
    _alphabet("mac_roman", 14, "fr", "de", "es", "it", "pt"),
    _alphabet("cp437", 15, "fr", "de", "es"),
)

# Forms of an encoding that few people write, by the bits that it costs to need one.
RARE_FORMS = {"big5hkscs": 4.0, "euc_jis_2004": 8.0, "shift_jis_2004": 8.0}
MIXABLE = (UTF8, *DOUBLE_BYTE, UTF16_LE, UTF16_BE, CP1252)  # those that a file may change between
BY_NAME = {found.name: found for found in (UTF8, *DOUBLE_BYTE, *WIDE, *SINGLE_BYTE)}
