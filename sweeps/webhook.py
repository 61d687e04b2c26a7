"""One message to a chat room when a driver ends: Slack's JSON, posted to an address from the
environment.

The address is a secret: whoever has it can write to the room. It is taken out of the environment
before Ray starts, so no other process inherits it, and no message of ours or of the standard
library's that could hold it is passed on.
"""

import ipaddress
import json
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit

from resnet_core.credentials import remember, without_credentials

VARIABLE = "SWEEPS_WEBHOOK_URL"
TIMEOUT_SECONDS = 10.0
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


@contextmanager
def announcing(complain: Callable[[str], object]) -> Iterator[Callable[[str], None]]:
    """Post the last text given within the block once it is left; nothing without ``$VARIABLE``.

    Args:
        complain: Told in one line if the webhook cannot be used or did not take the message, which
            changes nothing else.

    Yields:
        Takes the text. Giving none means that there is nothing to tell.
    """
    url = os.environ.pop(VARIABLE, "").strip()
    remember(url)
    if url and not _is_allowed(url):
        complain(f"{VARIABLE} is neither https nor http to a loopback address; it is not used")
        url = ""
    texts: list[str] = []
    try:
        yield texts.append
    finally:
        if url and texts and (problem := post(url, texts[-1])):
            complain(f"the webhook was not told: {problem}")


def post(url: str, text: str) -> str | None:
    """Post ``{"text": ...}``; waits at most `TIMEOUT_SECONDS`.

    Returns:
        What went wrong, in words that never hold the address; None if the server took it.
    """
    problems = ["no answer in time"]

    def send() -> None:
        problems[:] = [_send(url, text)]

    # A time-out of the socket bounds neither the look-up of a name nor a server that trickles.
    thread = threading.Thread(target=send, name="webhook", daemon=True)
    thread.start()
    try:
        thread.join(TIMEOUT_SECONDS)
    except KeyboardInterrupt:
        return "interrupted"
    return problems[0] or None


def _send(url: str, text: str) -> str:
    # As Slack reads it, a text from an error message must ring nobody: <!channel>.
    body = json.dumps({"text": without_credentials(text).translate(_ESCAPES)}).encode()
    try:
        request = urllib.request.Request(
            url, data=body, headers={"Content-Type": "application/json"}, method="POST"
        )
        with _opener(url).open(request, timeout=TIMEOUT_SECONDS):
            return ""
    except urllib.error.HTTPError as error:
        error.close()
        return f"HTTP status {error.code}"
    except urllib.error.URLError as error:
        return _kind(error.reason)
    except (OSError, HTTPException, ValueError) as error:
        return _kind(error)


def _kind(error: object) -> str:
    """The error without its own words, which may quote the address, but for the system's."""
    words = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else ""
    return f"{type(error).__name__}{words and f' ({words})'}"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """An address that sends us elsewhere is a wrong one: elsewhere may be unencrypted."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        """To go nowhere is to fail with the status of the answer."""


def _opener(url: str) -> urllib.request.OpenerDirector:
    handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
    if urlsplit(url).scheme == "http":  # a proxy would see the whole address, and cannot reach us
        handlers.append(urllib.request.ProxyHandler({}))
    return urllib.request.build_opener(*handlers)


def _is_allowed(url: str) -> bool:
    """Whether the address travels encrypted, or stays on this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
        if not host or parts.scheme not in ("http", "https"):
            return False
        if parts.scheme == "https" or host == "localhost":
            return True
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # no address at all, or a host that is none
        return False
