"""A receiver of webhooks for the tests: a real HTTP server on this machine that answers as it is told, and keeps what it got."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = b"a secret of the tests"


@dataclass(frozen=True)
class Request:
    """One request as it arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float

    @property
    def batch(self) -> str:
        return self.headers["Limner-Batch"]

    @property
    def content(self) -> Any:
        return json.loads(self.body)


# What an answer may be: a status, a status with headers, or a fault.
Answer = int | tuple[int, dict[str, str]] | str


@dataclass
class Receiver:
    """The server: `url`, the requests in their order, and `answers`, which says what each gets (200 by default).

    Faults: `hang` answers after two seconds, `cut` closes the connection, `cut-answer` breaks off within the answer.
    """

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    answers: Callable[[int, Request], Answer] = lambda number, request: 200

    @property
    def users(self) -> dict[str, str]:
        """Each user with the change, of each batch once; a batch that came twice must be the same."""
        bodies: dict[str, bytes] = {}
        for request in self.requests:
            assert bodies.setdefault(request.batch, request.body) == request.body
        rows = [row for body in bodies.values() for row in json.loads(body)["users"]]
        assert len({row["user_id"] for row in rows}) == len(rows)
        return {row["user_id"]: row["change"] for row in rows}


@contextmanager
def receiving(answers: Callable[[int, Request], Answer] | None = None) -> Iterator[Receiver]:
    """A receiver that runs in a thread of this process."""
    receiver = Receiver()
    if answers:
        receiver.answers = answers

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            request = Request(self.path, dict(self.headers.items()), body, time.time())
            receiver.requests.append(request)
            answer = receiver.answers(len(receiver.requests), request)
            self.close_connection = True
            if answer == "cut":
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            if answer == "hang":
                time.sleep(2)
                answer = 200
            if answer == "cut-answer":
                self.wfile.write(b"HTTP/1.1 20")
                return
            status, headers = answer if isinstance(answer, tuple) else (int(answer), {})
            content = b"what the receiver says\n"
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), "Connection": "close", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Nothing: the tests look at what arrived."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: Any) -> None:
            """Nothing: a sender that is killed leaves a broken connection."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    receiver.url = f"http://127.0.0.1:{server.server_port}/hook"
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
