"""Japanese in seven bits, ISO-2022-JP: escape sequences switch between ASCII and pairs of printable bytes.

To every other reading such a file is ASCII with control characters in it, so the sequences themselves must tell it.
ESC ``$`` and ``B`` or ``@`` are no terminal's control code, and the pairs between them must all be characters.

Source: RFC 1468; ISO-2022-JP-2 is RFC 1554, the extended form adds half-width katakana.
"""

import re

_INTO_JAPANESE = re.compile(rb"\x1b\$[@B]")
_FORMS = ("iso2022_jp", "iso2022_jp_2", "iso2022_jp_ext")


def read_escaped(data: bytes) -> tuple[str, str] | None:
    """Text and name of the encoding; None where the bytes are not such Japanese throughout.

    Args:
        data: Bytes of a file, cut at line ends: there the encoding is back in ASCII.
    """
    if not data.isascii() or not _INTO_JAPANESE.search(data):
        return None
    for name in _FORMS:
        try:
            text = data.decode(name)
        except UnicodeDecodeError:
            continue
        return None if "\x1b" in text or text.isascii() else (text, name)
    return None
