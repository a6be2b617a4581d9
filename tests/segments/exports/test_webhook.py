from __future__ import annotations

import hashlib
import hmac
import socket
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from limner_profile.errors import RefusedError, UserError
from limner_segments.exports.webhook import Clock, Endpoint, WebhookError, body_of, is_signed, send_batch, signature
from segments.exports.receiver import SECRET, Answer, Receiver, receiving

BODY = body_of({"batch": "e-1"}, ['{"user_id":"u1"}', '{"user_id":"上海"}'])


class Waits:
    """A clock that stands still but for the pauses, which it keeps."""

    def __init__(self, jitter: float = 0.0) -> None:
        self.pauses: list[float] = []
        self.start = time.time()
        self.jitter = jitter

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.start + sum(self.pauses), self.pauses.append, lambda: self.jitter)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def send(receiver: Receiver, waits: Waits | None = None, **options: Any) -> Any:
    endpoint = Endpoint(receiver.url, SECRET, **{"timeout": 60.0, "attempts": 4, **options})
    return send_batch(endpoint, "e-1", BODY, (waits or Waits()).clock)


def test_a_batch_is_signed_over_time_and_body() -> None:
    with receiving() as receiver:
        sent = send(receiver)
    (request,) = receiver.requests
    assert (sent.status, sent.attempts) == (200, 1)
    assert request.body == BODY == '{"batch":"e-1","users":[{"user_id":"u1"},{"user_id":"上海"}]}'.encode()
    assert request.headers["Content-Type"] == "application/json; charset=utf-8"
    assert request.batch == request.headers["Idempotency-Key"] == "e-1"
    stamp = request.headers["Limner-Timestamp"]
    expected = hmac.new(SECRET, stamp.encode() + b"." + request.body, hashlib.sha256).hexdigest()
    assert request.headers["Limner-Signature"] == f"v1={expected}"
    assert abs(int(stamp) - time.time()) < 60
    assert SECRET not in repr(request).encode()


def test_a_receiver_can_prove_a_request_and_refuses_forged_and_old_ones() -> None:
    headers = {"Limner-Timestamp": "1700000000", "Limner-Signature": signature(SECRET, 1700000000, b"{}")}
    assert is_signed(SECRET, headers, b"{}", 1700000299)
    assert not is_signed(SECRET, headers, b"{} ", 1700000000)
    assert not is_signed(b"another", headers, b"{}", 1700000000)
    assert not is_signed(SECRET, headers, b"{}", 1700000301)
    assert not is_signed(SECRET, headers, b"{}", 1699999699)
    assert not is_signed(SECRET, {**headers, "Limner-Timestamp": "1700000001"}, b"{}", 1700000000)
    assert not is_signed(SECRET, {**headers, "Limner-Timestamp": "soon"}, b"{}", 1700000000)
    assert not is_signed(SECRET, {}, b"{}", 1700000000)


@pytest.mark.parametrize("fault", [500, 503, 429, 408, 425, "cut", "cut-answer", "hang"])
def test_what_may_pass_is_tried_again_with_the_same_id_and_bytes(fault: Answer) -> None:
    waits = Waits()
    with receiving(lambda number, request: fault if number < 3 else 204) as receiver:
        sent = send(receiver, waits, timeout=1.0 if fault == "hang" else 60.0)  # it hangs for two seconds
    assert (sent.status, sent.attempts) == (204, 3)
    assert [request.batch for request in receiver.requests] == ["e-1"] * 3
    assert [request.body for request in receiver.requests] == [BODY] * 3
    assert waits.pauses == [1.0, 2.0]
    stamps = [int(request.headers["Limner-Timestamp"]) for request in receiver.requests]
    assert stamps == [int(waits.start), int(waits.start + 1), int(waits.start + 3)]
    for request, stamp in zip(receiver.requests, stamps, strict=True):
        assert is_signed(SECRET, request.headers, request.body, stamp)


def test_pauses_double_up_to_a_minute_and_jitter_takes_up_to_a_half_away() -> None:
    waits, shaken = Waits(), Waits(jitter=1.0)
    with receiving(lambda number, request: 500) as receiver:
        with pytest.raises(WebhookError, match="was not accepted: HTTP 500 what the receiver says, tried 9 times"):
            send(receiver, waits, attempts=9)
        with pytest.raises(WebhookError) as caught:
            send(receiver, shaken, attempts=9)
    assert waits.pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert shaken.pauses == [pause / 2 for pause in waits.pauses]
    assert caught.value.code == "webhook-unreached"
    assert "goes on with this batch" in caught.value.issues[0].hint


def test_retry_after_is_obeyed_as_seconds_and_as_a_date() -> None:
    waits = Waits()
    later = formatdate(int(waits.start) + 7 + 30, usegmt=True)
    said: list[Answer] = [
        (429, {"Retry-After": "7"}),
        (503, {"Retry-After": later}),
        (503, {"Retry-After": "soon"}),
        200,
    ]
    with receiving(lambda number, request: said[number - 1]) as receiver:
        send(receiver, waits)
    assert waits.pauses[0] == 7
    assert 29 < waits.pauses[1] <= 30
    assert waits.pauses[2] == 4


def test_nobody_waits_for_hours() -> None:
    waits = Waits()
    hours = {"Retry-After": "7200"}
    expected = pytest.raises(WebhookError, match="it asks to wait 7,200 seconds")
    with receiving(lambda number, request: (429, hours)) as receiver, expected as caught:
        send(receiver, waits)
    assert waits.pauses == []
    assert caught.value.code == "webhook-unreached"


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        (401, "compare the secret"),
        (403, "compare the secret"),
        (404, "url"),
        (413, "lower"),
        (400, "goes on"),
        (302, "redirects"),
    ],
)
def test_what_will_not_pass_is_not_tried_again(status: int, hint: str) -> None:
    waits = Waits()
    elsewhere = {"Location": "http://127.0.0.1:9/"}
    expected = pytest.raises(WebhookError, match=f"batch e-1 was refused: HTTP {status}")
    with receiving(lambda number, request: (status, elsewhere)) as receiver, expected as caught:
        send(receiver, waits)
    assert len(receiver.requests) == 1
    assert waits.pauses == []
    assert caught.value.code == "webhook-refused"
    assert hint in caught.value.issues[0].hint


def test_a_server_that_is_not_there_is_tried_again() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        endpoint = Endpoint(f"http://127.0.0.1:{taken.getsockname()[1]}/", SECRET, timeout=1, attempts=3)
        waits = Waits()
        with pytest.raises(WebhookError, match=r"no answer: .*refused, tried 3 times"):
            send_batch(endpoint, "e-1", BODY, waits.clock)
    assert len(waits.pauses) == 2


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "//127.0.0.1/x",
        "http://",
        "http://a b/",
        "http://u:p@127.0.0.1/",
        "http://a:b/",
    ],
)
def test_only_http_and_https_are_spoken(url: str) -> None:
    with pytest.raises(RefusedError) as caught:
        send_batch(Endpoint(url, SECRET), "e-1", BODY, Waits().clock)
    assert caught.value.code == "bad-value"


def test_control_characters_of_an_answer_do_not_reach_the_terminal() -> None:
    with receiving(lambda number, request: 400) as receiver, pytest.raises(UserError) as caught:
        send(receiver)
    assert caught.value.issues[0].message.isprintable()


@pytest.mark.parametrize(
    "wait", ["Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "Mon, 01 Jan 2040 00:00:00 +99999999999999999999999"]
)
def test_a_date_that_no_calendar_has_is_no_retry_after(wait: str) -> None:
    waits = Waits()
    with receiving(lambda number, request: (503, {"Retry-After": wait}) if number < 2 else 200) as receiver:
        sent = send(receiver, waits)
    assert (sent.attempts, waits.pauses) == (2, [1.0])


def test_a_url_beyond_ascii_is_sent_as_per_cent_codes() -> None:
    with receiving() as receiver:
        endpoint = Endpoint(f"{receiver.url}受众?k=ключ%20", SECRET, 5.0, 1)
        assert send_batch(endpoint, "e-1", BODY, Waits().clock).status == 200
    assert receiver.requests[0].path.endswith("/hook%E5%8F%97%E4%BC%97?k=%D0%BA%D0%BB%D1%8E%D1%87%20")


@pytest.mark.parametrize("url", ["http://a..b/", f"http://{'a' * 70}.com/"])
def test_a_host_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(RefusedError, match="a host that cannot be"):
        send_batch(Endpoint(url, SECRET, 1, 1), "e-1", BODY, Waits().clock)


def test_what_a_receiver_repeats_of_the_request_is_no_leak() -> None:
    class Echo(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            said = f"Cannot POST {self.path} {self.headers['Limner-Signature']}".encode()
            self.send_response(404)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/in?key=TOP%20SECRET&b=ключ"
        with pytest.raises(WebhookError) as caught:
            send_batch(Endpoint(url, SECRET, 5.0, 1), "e-1", BODY, Waits().clock)
        server.shutdown()
    text = str(caught.value)
    assert "HTTP 404 Cannot POST /in?… …" in text
    assert "SECRET" not in text
    assert "v1=" not in text
