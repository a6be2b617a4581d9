"""Sending batches to a webhook: signed, tried again with growing pauses, at least once, each batch under an id that never changes.

Knows nothing of audiences: bodies come in as bytes, and the caller writes down which were accepted. The clock, the pauses and
their jitter come in, too. Redirects are not followed, and only http and https are spoken. Imports floor 1 and settings.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import random
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

from limner_profile.errors import Issue, RefusedError, UserError
from limner_segments.exports.settings import ascii_url, check_url, shown_url

BATCH_HEADER = "Limner-Batch"
TIME_HEADER = "Limner-Timestamp"
SIGNATURE_HEADER = "Limner-Signature"
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
# Nobody waits longer than this for a receiver in one run; a later run goes on.
_PATIENCE = 600.0
_AGAIN = frozenset({408, 425, 429})
_EXCERPT = 200


class WebhookError(UserError):
    """A batch was not accepted; the batches before it were, and a later run goes on with this one."""


@dataclass(frozen=True)
class Clock:
    """Seconds since 1970, a pause, and a number from 0 to 1 for the jitter."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random


@dataclass(frozen=True)
class Endpoint:
    """Where batches are sent, the secret that they are signed with, seconds for one answer, and how often one is tried."""

    url: str
    secret: bytes
    timeout: float = 30
    attempts: int = 6


@dataclass(frozen=True)
class Sent:
    """A batch that was accepted: the status of the answer, and how often it was tried."""

    status: int
    attempts: int


@dataclass(frozen=True)
class _Failure:
    """Why an attempt failed, whether another may succeed, and how long the receiver asks to wait."""

    reason: str
    again: bool
    wait: float = 0.0


def body_of(head: Mapping[str, Any], rows: Sequence[str]) -> bytes:
    """The body of a batch: the fields of `head` and `users`, which are given as JSON texts. The same input gives the same bytes."""
    opened = json.dumps(dict(head), ensure_ascii=False, separators=(",", ":"))[:-1]
    return f'{opened},"users":[{",".join(rows)}]}}'.encode()


def signature(secret: bytes, timestamp: int, body: bytes) -> str:
    """`v1=` and the HMAC-SHA256 of timestamp, a full stop and body, in hex digits.

    >>> signature(b"secret", 1700000000, b"{}")[:19]
    'v1=b8569b78799ff9e3'
    """
    return f"v1={hmac.new(secret, f'{timestamp}.'.encode() + body, hashlib.sha256).hexdigest()}"


def is_signed(secret: bytes, headers: Mapping[str, str], body: bytes, now: float, tolerance: float = 300) -> bool:
    """Whether a request that a receiver got is signed with the secret, and not older (or newer) than `tolerance` seconds."""
    try:
        timestamp = int(headers[TIME_HEADER])
        given = headers[SIGNATURE_HEADER]
    except (KeyError, ValueError):
        return False
    expected = signature(secret, timestamp, body)
    return abs(now - timestamp) <= tolerance and hmac.compare_digest(given.encode(), expected.encode())


def send_batch(
    endpoint: Endpoint,
    batch_id: str,
    body: bytes,
    clock: Clock,
    on_wait: Callable[[str, float], None] = lambda *_: None,
) -> Sent:
    """What became of a batch that was accepted (2xx); raises WebhookError for one that was not.

    Tried again: no answer, a cut connection, 408, 425, 429 and 5xx, after pauses of 1, 2, 4 … up to 60 seconds, each shortened by up to
    a half at random, or longer where `Retry-After` says so. Every attempt is signed anew and carries the same batch id and bytes.
    """
    try:
        check_url(endpoint.url)
    except ValueError as error:
        message, _, hint = str(error).partition(" | ")
        raise RefusedError(Issue("bad-value", "url", message, hint)) from None
    opener = _opener()
    reason = ""
    for attempt in range(1, endpoint.attempts + 1):
        found = _attempt(opener, endpoint, batch_id, body, clock)
        if isinstance(found, int):
            return Sent(found, attempt)
        if not found.again:
            raise _refused(endpoint, batch_id, found)
        reason = found.reason
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (attempt - 1)) * (1 - clock.jitter() / 2)
        if found.wait > _PATIENCE:
            raise _unreached(endpoint, batch_id, f"{reason}, and it asks to wait {found.wait:,.0f} seconds")
        if attempt < endpoint.attempts:
            on_wait(reason, max(pause, found.wait))
            clock.sleep(max(pause, found.wait))
    times = "once" if endpoint.attempts == 1 else f"{endpoint.attempts} times"
    raise _unreached(endpoint, batch_id, f"{reason}, tried {times}")


def _opener() -> urllib.request.OpenerDirector:
    """What opens http and https, through the proxies of the environment, and nothing else: no files, no redirects."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
    ):
        opener.add_handler(handler)
    return opener


def _attempt(
    opener: urllib.request.OpenerDirector, endpoint: Endpoint, batch_id: str, body: bytes, clock: Clock
) -> int | _Failure:
    timestamp = int(clock.now())
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": "limner",
        BATCH_HEADER: batch_id,
        "Idempotency-Key": batch_id,
        TIME_HEADER: str(timestamp),
        SIGNATURE_HEADER: signature(endpoint.secret, timestamp, body),
    }
    request = urllib.request.Request(ascii_url(endpoint.url), data=body, headers=headers, method="POST")
    try:
        response = opener.open(request, timeout=endpoint.timeout)
        if response is None:
            return _Failure("no way to open the URL", again=False)
        with response:
            status = int(response.status)
            if 200 <= status < 300:
                return status
            excerpt = response.read1(_EXCERPT).decode("utf-8", errors="replace")
            wait = _retry_after(response.headers.get("Retry-After"), clock.now())
    except (OSError, http.client.HTTPException) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _Failure(f"its certificate is not trusted: {cause.verify_message}", again=False)
        if isinstance(cause, TimeoutError):
            return _Failure(f"no answer within {endpoint.timeout:g} seconds", again=True)
        text = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
        return _Failure(f"no answer: {text}", again=True)
    said = " ".join("".join(letter if letter.isprintable() else " " for letter in excerpt).split())
    # "Cannot POST /in?key=…": what a receiver repeats of the request must not get into messages.
    for secret in (headers[SIGNATURE_HEADER], *_keys(endpoint.url)):
        said = said.replace(secret, "…")
    reason = f"HTTP {status} {said[:80]}".strip()
    return _Failure(reason, status in _AGAIN or status >= 500, wait)


def _keys(url: str) -> list[str]:
    """What may be a key in a URL: its query, and the values in it as they are written and as they are meant, longest first."""
    found = set()
    for each in (url, ascii_url(url)):
        query = urllib.parse.urlsplit(each).query
        found |= {query, *(pair.partition("=")[2] or pair for pair in query.split("&"))}
        found |= {value for _, value in urllib.parse.parse_qsl(query)}
    return sorted(found - {""}, key=lambda key: (-len(key), key))


def _retry_after(text: str | None, now: float) -> float:
    """The seconds that a Retry-After header asks for, as a number or as a date; 0 where it says nothing readable."""
    if not text:
        return 0.0
    if text.strip().isdecimal():
        return float(text.strip())
    try:
        moment = parsedate_to_datetime(text)
        return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0


def _refused(endpoint: Endpoint, batch_id: str, failure: _Failure) -> WebhookError:
    hints = {
        "HTTP 401": "the receiver does not accept the signature: compare the secret of both sides",
        "HTTP 403": "the receiver does not accept the signature: compare the secret of both sides",
        "HTTP 404": "look at the destination's url",
        "HTTP 413": "the batch is too large for it: give up the run, and lower the destination's batch",
        "HTTP 3": "redirects are not followed: write the final address as the destination's url",
    }
    hint = next((text for start, text in hints.items() if failure.reason.startswith(start)), "")
    hint = hint or "what was accepted is kept: the same command goes on with this batch"
    return WebhookError(
        Issue("webhook-refused", shown_url(endpoint.url), f"batch {batch_id} was refused: {failure.reason}", hint)
    )


def _unreached(endpoint: Endpoint, batch_id: str, reason: str) -> WebhookError:
    hint = "what was accepted is kept: the same command goes on with this batch"
    return WebhookError(
        Issue("webhook-unreached", shown_url(endpoint.url), f"batch {batch_id} was not accepted: {reason}", hint)
    )
