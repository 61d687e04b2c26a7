"""A chat room's side of a webhook: a real HTTP server on 127.0.0.1, in a thread."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = "T0AAA-B0BBB-s3cr3t"


class ChatRoom(ThreadingHTTPServer):
    """Keeps what is posted to it.

    Attributes:
        status: It answers with.
        headers: Of its answers.
        posts: What it was sent, decoded.
        paths: Where to, as ``POST /services/...``.
        release: It answers only once this is set.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.status, self.headers = 200, dict[str, str]()
        self.posts: list[Any] = []
        self.paths: list[str] = []
        self.release = threading.Event()
        self.release.set()

    @property
    def url(self) -> str:
        """Its address, with the secret in it."""
        return f"http://127.0.0.1:{self.server_port}/services/{SECRET}"


class _Answer(BaseHTTPRequestHandler):
    server: ChatRoom  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.paths.append(f"{self.command} {self.path}")
        self.server.posts.append((self.headers["Content-Type"], json.loads(body)))
        self._answer()

    def do_GET(self) -> None:  # what a redirect would turn a POST into
        self.server.paths.append(f"{self.command} {self.path}")
        self._answer()

    def _answer(self) -> None:
        self.server.release.wait()
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the name is http.server's
        """Say nothing on stderr, which a test may read."""


@contextmanager
def chat_room() -> Iterator[ChatRoom]:
    """Open one for the block."""
    room = ChatRoom()
    thread = threading.Thread(target=room.serve_forever, daemon=True)
    thread.start()
    try:
        yield room
    finally:
        room.release.set()
        room.shutdown()
        room.server_close()
        thread.join()
