"""Take secrets and personal paths out of a text before it leaves the machine (S19)."""

import getpass
import os
import re
from pathlib import Path

REMOVED = "[removed]"

_SECRET_WORD = r"(?:token(?!s|iz)|secret|passw(?:or)?d|api[_\-]?key|access[_\-]?key|credential|auth(?!or))"
_SECRET_NAME = rf"[\w.\-]*{_SECRET_WORD}[\w.\-]*"
_PATTERNS = (
    re.compile(r"(?P<keep>://)[^/\s:@]+(?::[^/\s@]*)?@"),  # user and password of a URL
    re.compile(rf"(?P<keep>\b{_SECRET_NAME}[\"']?\s*[:=]\s*[\"']?)[^\s\"',}}]+", re.IGNORECASE),
    re.compile(r"(?P<keep>\bBearer\s+)[A-Za-z0-9._~+/=\-]+", re.IGNORECASE),
    re.compile(r"(?P<keep>)\b(?:hf|sk|ghp|gho|ghs|glpat|xox[abp])[_\-][A-Za-z0-9_\-]{10,}"),
    re.compile(r"(?P<keep>)\bAKIA[0-9A-Z]{16}\b"),
    re.compile(r"(?P<keep>)\beyJ[\w\-]{8,}\.[\w\-]{8,}\.[\w\-]*"),  # a JSON web token
    re.compile(r"(?P<keep>)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL),
    re.compile(r"(?P<keep>)\b[\w.+\-]+@[\w\-]+\.[\w.\-]+\b"),  # e-mail
)
_HOMES = re.compile(r"(?P<root>/home/|/Users/|[A-Za-z]:\\+Users\\+)[^/\\\s\"']+")
_SECRET_VARIABLE = re.compile(rf"^{_SECRET_NAME}$", re.IGNORECASE)
_SHORTEST_SECRET = 6


def redact(text: str) -> str:
    """Replace tokens, keys, passwords, e-mail addresses, home folders and the user's name.

    Args:
        text: A log, a message or a dumped document.

    Returns:
        The same text with ``[removed]``, ``~`` and ``[user]`` in their places.
    """
    for value in _secret_values():
        text = text.replace(value, REMOVED)
    for pattern in _PATTERNS:
        text = pattern.sub(
            lambda found: found["keep"] + REMOVED + ("@" if found["keep"] == "://" else ""), text
        )
    home = str(Path.home())
    if len(home) > 1:
        text = text.replace(home, "~")
    text = _HOMES.sub(lambda found: found["root"] + "[user]", text)
    return _without_user(text)


def _secret_values() -> list[str]:
    """Values of environment variables whose names say that they are secret, longest first."""
    values = [
        value
        for name, value in os.environ.items()
        if _SECRET_VARIABLE.match(name) and len(value) >= _SHORTEST_SECRET
    ]
    return sorted(values, key=len, reverse=True)


def _without_user(text: str) -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # no name for this user id
        return text
    return re.sub(rf"\b{re.escape(user)}\b", "[user]", text) if len(user) > 2 else text
