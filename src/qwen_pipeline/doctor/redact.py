"""Take secrets and personal paths out of a text before it leaves the machine (S19)."""

import getpass
import os
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

REMOVED = "[removed]"

# A name is secret by its last word. What tokenizers call a token is none: pad_token, eos_token, …
_TOKENIZER_TOKEN = (
    r"(?<![A-Za-z])(?:pad|eos|bos|unk|sep|cls|mask|special|stop|start|end|first|last|next|new|per)_token"
)
_TOKEN = rf"(?![\w.\-]*{_TOKENIZER_TOKEN}(?![\w\-]))[\w.\-]*token"
_OTHER = (
    r"[\w.\-]*(?:secret|passw(?:or)?d|passphrase|credentials?|authorization|(?<![A-Za-z\-])auth|_(?:pass|pwd)"
    r"|(?:api|access|secret|private)[_\-]?key(?:[_\-]?id)?)"
)
_SECRET_NAME = re.compile(rf"{_TOKEN}|{_OTHER}", re.IGNORECASE)
_BEGIN = r"(?<![\w.\-])"
_NOTHING = r"(?!(?:none|null|true|false)(?![\w\-]))"  # that nothing is set helps, and gives nothing away
_COUNT = r"(?!-?\d{1,7}(?:\.\d+)?(?![\w\-]))"  # of tokens, or something by the token
_VALUE = rf"{_NOTHING}[^\s\"',}}]+"
_TOKEN_LIKE = r"(?=[^\s\"',}]*\d|[^\s\"',}]{16})"  # after "token: " prose goes on in words
_PATTERNS = (
    re.compile(r"(?P<keep>://)[^/\s\"'<>]+@"),  # user and password of a URL; a password may hold an @
    re.compile(rf"(?P<keep>(?<!\w)--(?:{_TOKEN}|{_OTHER})\s+){_COUNT}{_VALUE}", re.IGNORECASE),
    re.compile(r"(?P<keep>\bAuthorization[\"']?\s*[:=]\s*[\"']?)(?:\w+\s+)?[^\s\"',}]+", re.IGNORECASE),
    re.compile(rf"(?P<keep>{_BEGIN}{_OTHER}[\"']?\s*[:=]\s*[\"']?){_VALUE}", re.IGNORECASE),
    re.compile(
        rf"(?P<keep>{_BEGIN}{_TOKEN}(?:[\"']?\s*=|[\"']\s*:)\s*[\"']?){_COUNT}{_VALUE}", re.IGNORECASE
    ),
    re.compile(rf"(?P<keep>{_BEGIN}{_TOKEN}\s*:\s*[\"']?){_COUNT}{_TOKEN_LIKE}{_VALUE}", re.IGNORECASE),
    re.compile(r"(?P<keep>\bBearer\s+)[A-Za-z0-9._~+/=\-]+", re.IGNORECASE),
    re.compile(r"(?P<keep>)\b(?:hf_|gh[pousr]_)[A-Za-z0-9]{10,}"),
    re.compile(r"(?P<keep>)\b(?:sk-|ms-|github_pat_|glpat-|xox[abp]-)(?=[\w\-]*\d)[\w\-]{10,}"),
    re.compile(r"(?P<keep>)\bAKIA[0-9A-Z]{16}\b"),
    re.compile(r"(?P<keep>)\beyJ[\w\-]{8,}\.[\w\-]{8,}\.[\w\-]*"),  # a JSON web token
    re.compile(r"(?P<keep>)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL),
    re.compile(r"(?P<keep>)\b[\w.+\-]+@[\w\-]+\.[\w.\-]+\b"),  # e-mail
)
_HOMES = re.compile(r"(?P<root>/home/|/Users/|[A-Za-z]:\\+Users\\+)[^/\\\s\"']+")
# Names of variables are taken more widely: their values are known, so that no other text suffers.
_SECRET_VARIABLE = re.compile(
    r"token(?!s|iz)|secret|passw(?:or)?d|passphrase|api_?key|access_?key|private_?key|credential|_(?:auth|key|pass|pat|pwd)$",
    re.IGNORECASE,
)
_SHORTEST_SECRET = 6
_SHORTEST_NAME = 3  # a shorter one is part of too many words


def redact(text: str) -> str:
    """Replace tokens, keys, passwords, e-mail addresses, home folders, the user's name and the machine's.

    Args:
        text: A log, a message or a command.

    Returns:
        The same text with ``[removed]``, ``~``, ``[user]`` and ``[host]`` in their places.
    """
    for value in _secret_values():
        text = text.replace(value, REMOVED)
    for pattern in _PATTERNS:
        text = pattern.sub(
            lambda found: found["keep"] + REMOVED + ("@" if found["keep"] == "://" else ""), text
        )
    with suppress(RuntimeError):  # a user id without a home folder, as in some containers
        if len(home := str(Path.home())) > 1:
            text = text.replace(home, "~")
    text = _HOMES.sub(lambda found: found["root"] + "[user]", text)
    return _without_names(text)


def redact_values(value: Any) -> Any:
    """Redact plain data before it is dumped, so that a document stays one.

    Args:
        value: Mappings, lists, texts and numbers; what is none of them is taken by its text.

    Returns:
        The same data; all that stands under a secret name is ``[removed]``, unless it says that nothing is set.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {redact(str(name)): _redact_item(str(name), item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_values(item) for item in value]
    return redact(str(value))


def _redact_item(name: str, item: Any) -> Any:
    is_empty = item is None or isinstance(item, bool) or item in ("", [], {})
    return REMOVED if _SECRET_NAME.fullmatch(name) and not is_empty else redact_values(item)


def _secret_values() -> list[str]:
    """Values of environment variables whose names say that they are secret, longest first."""
    values = [
        value
        for name, value in os.environ.items()
        if _SECRET_VARIABLE.search(name) and len(value) >= _SHORTEST_SECRET and not value.isdecimal()
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
