"""A real HTTP proxy before a tracking server, which can be away, slow, broken, or silent."""

import http.client
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Mode = Literal["well", "away", "slow", "500", "cut", "lost", "hangs"]
"""``cut`` closes the connection instead of an answer, every other time after the server has done
what was asked; ``lost`` always after that, but only where a run is created; ``slow`` lets every
answer wait; ``hangs`` accepts a request and says no more."""

DELAY_SECONDS = 0.3
_HOP_BY_HOP = {"connection", "transfer-encoding", "content-length", "host"}


class Proxy:
    """Listens on a port of its own and hands requests on to the server's.

    Attributes:
        address: For the tracking client.
    """

    def __init__(self, server_port: int, moments: random.Random) -> None:
        self._server_port, self._moments = server_port, moments
        self.mode: Mode = "well"
        self._healed = threading.Event()
        self._asked = threading.Event()
        self._listening: ThreadingHTTPServer | None = None
        self._port = 0
        self._listen()
        self.address = f"http://127.0.0.1:{self._port}"

    @contextmanager
    def fault(self, mode: Mode) -> Iterator[None]:
        """Be in this mode while the block runs."""
        self._healed.clear()
        self._asked.clear()
        self.mode = mode
        if mode == "away":
            self._stop_listening()
        try:
            yield
        finally:
            self.mode = "well"
            self._healed.set()
            if mode == "away":
                self._listen()

    def wait_for_a_request(self) -> None:
        """Until the fault has met one; of a server that is away nobody can tell."""
        if self.mode != "away":
            assert self._asked.wait(60), "nobody asked the tracking server"

    def close(self) -> None:
        self._healed.set()
        self._stop_listening()

    def _listen(self) -> None:
        proxy = self

        class Relay(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                proxy._handle(self)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002  the base's

        self._listening = ThreadingHTTPServer(("127.0.0.1", self._port), Relay)
        self._port = self._listening.server_address[1]
        serve = self._listening.serve_forever
        threading.Thread(target=serve, args=(0.01,), daemon=True).start()

    def _stop_listening(self) -> None:
        if self._listening is not None:
            self._listening.shutdown()
            self._listening.server_close()
            self._listening = None

    def _handle(self, request: BaseHTTPRequestHandler) -> None:
        mode = self.mode
        if mode == "lost" and not request.path.endswith("runs/create"):
            mode = "well"
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        if mode != "well":
            self._asked.set()
        request.close_connection = mode != "well"
        if mode == "away":  # on a connection that was open before
            return
        if mode == "hangs":
            self._healed.wait()
            return
        if mode == "500":
            self._answer(request, 500, {}, b"broken")
            return
        if mode == "slow":
            self._healed.wait(DELAY_SECONDS)
        if mode == "cut" and self._moments.random() < 0.5:
            return
        status, headers, content = self._ask_server(request, body)
        if mode not in ("cut", "lost"):
            self._answer(request, status, headers, content)

    def _ask_server(
        self, request: BaseHTTPRequestHandler, body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._server_port, timeout=60)
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP}
        connection.request(request.command, request.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        kept = {k: v for k, v in answer.getheaders() if k.lower() not in _HOP_BY_HOP}
        return answer.status, kept, content

    def _answer(
        self, request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], content: bytes
    ) -> None:
        try:
            request.send_response(status)
            for name, value in headers.items():
                request.send_header(name, value)
            request.send_header("Content-Length", str(len(content)))
            request.end_headers()
            request.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):  # the client has lost its patience
            request.close_connection = True
