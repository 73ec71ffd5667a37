"""Take secrets and personal paths out of a text before it leaves the machine (S19)."""

import getpass
import os
import re
import socket
from pathlib import Path

REMOVED = "[removed]"

_SECRET_WORD = r"(?:token(?!s|iz)|secret|passw(?:or)?d|api[_\-]?key|access[_\-]?key|credential|auth(?!or))"
_SECRET_NAME = rf"[\w.\-]*{_SECRET_WORD}[\w.\-]*"
_PATTERNS = (
    re.compile(r"(?P<keep>://)[^/\s\"'<>]+@"),  # user and password of a URL; a password may hold an @
    re.compile(rf"(?P<keep>(?<!\w)--{_SECRET_NAME}\s+)[^\s\"',}}]+", re.IGNORECASE),  # a flag with its value
    re.compile(rf"(?P<keep>\b{_SECRET_NAME}[\"']?\s*[:=]\s*[\"']?)[^\s\"',}}]+", re.IGNORECASE),
    re.compile(r"(?P<keep>\bBearer\s+)[A-Za-z0-9._~+/=\-]+", re.IGNORECASE),
    re.compile(r"(?P<keep>)\b(?:hf|ms|sk|ghp|gho|ghs|github_pat|glpat|xox[abp])[_\-][A-Za-z0-9_\-]{10,}"),
    re.compile(r"(?P<keep>)\bAKIA[0-9A-Z]{16}\b"),
    re.compile(r"(?P<keep>)\beyJ[\w\-]{8,}\.[\w\-]{8,}\.[\w\-]*"),  # a JSON web token
    re.compile(r"(?P<keep>)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL),
    re.compile(r"(?P<keep>)\b[\w.+\-]+@[\w\-]+\.[\w.\-]+\b"),  # e-mail
)
_HOMES = re.compile(r"(?P<root>/home/|/Users/|[A-Za-z]:\\+Users\\+)[^/\\\s\"']+")
_SECRET_VARIABLE = re.compile(rf"^{_SECRET_NAME}$", re.IGNORECASE)
_SHORTEST_SECRET = 6
_SHORTEST_NAME = 3  # a shorter one is part of too many words


def redact(text: str) -> str:
    """Replace tokens, keys, passwords, e-mail addresses, home folders, the user's name and the machine's.

    Args:
        text: A log, a message or a dumped document.

    Returns:
        The same text with ``[removed]``, ``~``, ``[user]`` and ``[host]`` in their places.
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
    return _without_names(text)


def _secret_values() -> list[str]:
    """Values of environment variables whose names say that they are secret, longest first."""
    values = [
        value
        for name, value in os.environ.items()
        if _SECRET_VARIABLE.match(name) and len(value) >= _SHORTEST_SECRET
    ]
    return sorted(values, key=len, reverse=True)


def _without_names(text: str) -> str:
    """Take out what this user and this machine are called."""
    for name, put in ((socket.gethostname(), "[host]"), (_user(), "[user]")):  # it may hold the user
        if len(name) >= _SHORTEST_NAME and name != "localhost":
            text = re.sub(rf"\b{re.escape(name)}\b", put, text)
    return text


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for this user id
        return ""
