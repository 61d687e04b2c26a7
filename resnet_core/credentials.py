"""The one place that knows what a secret is, and takes it out of what is written down or said.

Two kinds are known: what looks like one (a password in an address, a key with a well-known prefix),
and what is one: the values of this process's variables whose names say so.
"""

import os
import re
from typing import Any, TextIO

MASK = "***"
_SHORTEST = 6
"""Characters; a shorter secret would be found inside ordinary words."""

_IN_AN_ADDRESS = re.compile(r"://([^/@\s'\"]+)@")
_WEBHOOK = re.compile(r"(https://hooks\.)[^\s'\"]+")
_KEYS = re.compile(
    r"\b(?:gh[pousr]_|github_pat_|glpat-|hf_|xox[abprs]-|sk-)[A-Za-z0-9_-]{16,}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|(?i:(?<=bearer )|(?<=basic ))[A-Za-z0-9+/=._-]{16,}"
)
_WORDS = (
    r"(?:password|passwd|passphrase|secret|token|credentials?"
    r"|(?:api|access|private|secret|account)[_-]?key(?:[_-]?id)?)"
)
_NAME = re.compile(rf"(?:^|[_-]){_WORDS}(?:$|[_-])|^SWEEPS_WEBHOOK_URL$", re.IGNORECASE)
_ABOUT_A_SECRET = ("path", "file", "mode", "uri", "name", "env")
"""Last words of names that say where a secret is, or how it is used."""
_ASSIGNED = re.compile(
    rf"((?i:\b\w*{_WORDS})['\"]?[ \t]*[:=][ \t]*)"
    r"(?:(['\"])(?:(?!\2).){4,}\2|(?<==)[^\s'\"(),]{6,}(?=[ \t]*$))",
    re.MULTILINE,
)
_REFUSED = re.compile(r"https?://[^/@\s]+@|://[^/@\s]*:[^/@\s]*@")
_remembered: set[str] = set()


def without_credentials(text: str) -> str:
    """The text with stars for every secret that is known."""
    text = _IN_AN_ADDRESS.sub(f"://{MASK}@", text)
    text = _WEBHOOK.sub(rf"\g<1>{MASK}", text)
    for value in _secret_values():
        text = text.replace(value, MASK)
    return _KEYS.sub(MASK, text)


def without_user(address: str) -> str:
    """The address without user and password, so that it can still be opened."""
    return _IN_AN_ADDRESS.sub("://", address)


def without_assigned_credentials(text: str) -> str:
    """The same of source code, in which ``password = "..."`` says besides what is a secret."""
    return _ASSIGNED.sub(lambda found: f"{found[1]}{MASK}", without_credentials(text))


def remember(secret: str) -> None:
    """Count a text as a secret from now on, though no variable of the environment holds it."""
    if len(secret) >= _SHORTEST:
        _remembered.add(secret)


def holds_credentials(value: Any) -> bool:
    """Whether an address in a text, or in plain data, carries a password.

    To a web server a user alone counts as well: it is how access tokens are written.
    """
    if isinstance(value, dict):
        return any(map(holds_credentials, [*value.keys(), *value.values()]))
    if isinstance(value, list | tuple):
        return any(map(holds_credentials, value))
    return isinstance(value, str) and bool(_REFUSED.search(value))


def is_name_of_secret(name: str) -> bool:
    """Whether what has this name is a secret: ``API_KEY``, ``db_password``, not ``token_path``."""
    return bool(_NAME.search(name)) and not name.lower().endswith(_ABOUT_A_SECRET)


def _secret_values() -> list[str]:
    """Longest first, as one may hold another."""
    found = set(_remembered)
    for name, value in os.environ.items():
        if is_name_of_secret(name):
            found.add(value)
        elif "@" in value:  # the password of an address, which may be told without the address
            found |= {one.partition(":")[2] for one in _IN_AN_ADDRESS.findall(value)}
    return sorted((one for one in found if len(one) >= _SHORTEST), key=len, reverse=True)


class Discreet:
    """A text stream that writes no secret; of everything else it is the stream it wraps."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text `without_credentials`; returns the length that was asked for."""
        self._stream.write(without_credentials(text))
        return len(text)

    def flush(self) -> None:
        """Flush the stream."""
        self._stream.flush()

    def writelines(self, lines: Any) -> None:
        """Write each of them likewise."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        if name == "buffer":  # would lead around `write`
            raise AttributeError(name)
        return getattr(self._stream, name)
