"""Personal data and secrets in a text: found by rule, masked by a visible name of their kind.

Checked where the format has a check: the last digit of a mainland ID number, the Luhn sum of a bank card.
"""

import re
from collections.abc import Callable

_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_ID_CHECKS = "10X98765432"


def _valid_id(number: str) -> bool:
    """Source: GB 11643-1999, check character by ISO 7064 MOD 11-2."""
    total = sum(int(digit) * weight for digit, weight in zip(number[:17], _ID_WEIGHTS, strict=True))
    return _ID_CHECKS[total % 11] == number[17].upper()


def _valid_card(number: str) -> bool:
    """Source: ISO/IEC 7812-1, the Luhn sum."""
    digits = [int(digit) for digit in reversed(re.sub(r"\D", "", number))]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


_SECRET_NAME = r"(?:api|access|secret|auth|app)[ _-]?(?:key|token|secret)"
_KINDS: tuple[tuple[str, re.Pattern[str], Callable[[str], bool] | None], ...] = (
    (
        "private_key",
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL),
        None,
    ),
    (
        "secret",
        re.compile(
            r"\b(?:sk-(?:proj-|ant-)?[A-Za-z0-9_-]{20,}|hf_[A-Za-z0-9]{30,}|gh[pousr]_[A-Za-z0-9]{36,}"
            r"|github_pat_[A-Za-z0-9_]{50,}|AKIA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{35}|xox[abprs]-[A-Za-z0-9-]{10,}"
            r"|eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,})"
        ),
        None,
    ),
    (
        "secret",
        re.compile(
            rf"(?P<kept>{_SECRET_NAME}[\"']?\s*[:=：]\s*[\"']?)(?=[^\s\"']{{0,200}}\d)[A-Za-z0-9_/+=.-]{{16,}}", re.IGNORECASE
        ),
        None,
    ),
    ("email", re.compile(r"(?<![\w.+-])[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,4}\.[A-Za-z]{2,24}\b", re.ASCII), None),
    ("id_number", re.compile(r"(?<!\d)[1-9]\d{5}(?:18|19|20)\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])\d{3}[\dXx](?![\dA-Za-z])", re.ASCII), _valid_id),
    ("phone", re.compile(r"(?<![\d.])(?:\+?86[ -]?)?1[3-9]\d(?:[ -]?\d{4}){2}(?![\d.]\d|\d)", re.ASCII), None),
    ("bank_card", re.compile(r"(?<![\d.])(?:62|4\d|5[1-5])\d{2}(?:[ -]?\d{4}){2,3}(?:[ -]?\d{1,4})?(?!\d)", re.ASCII), _valid_card),
)  # fmt: skip
_POSSIBLE = re.compile(
    rf"@|-----BEGIN|\d{{4}}[ -]?\d{{4}}|sk-|hf_|gh[pousr]_|github_pat|AKIA|AIza|xox|eyJ|(?i:{_SECRET_NAME})",
    re.ASCII,
)


def mask_personal_data(text: str) -> tuple[str, tuple[str, ...]]:
    """Replace personal data and secrets by the name of their kind in brackets.

    Returns:
        The text, and the kinds found, each once: ``private_key``, ``secret``, ``email``, ``id_number``,
        ``phone``, ``bank_card``.
    """
    if not _POSSIBLE.search(text):
        return text, ()
    kinds: list[str] = []
    for kind, pattern, is_valid in _KINDS:

        def mask(
            found: re.Match[str], kind: str = kind, is_valid: Callable[[str], bool] | None = is_valid
        ) -> str:
            if is_valid and not is_valid(found[0]):
                return found[0]
            kinds.append(kind)
            return f"{found.groupdict().get('kept') or ''}[{kind}]"

        text = pattern.sub(mask, text)
    return text, tuple(dict.fromkeys(kinds))
