"""A server that takes nothing but well-signed calls, and answers as its test has scripted.

Its check is written from the published scheme alone and shares no code with any signer. It serves
threads, so that blocking clients can be tested too.
"""

import hashlib
import hmac
import json
import re
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import msgspec

API_KEY: Final = "reqrun_live_of_the_signing_server"
SECRET: Final = "the secret of the signing server"

_TOLERANCE: Final = timedelta(seconds=300)
_TIMESTAMP: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", re.ASCII)
_NONCE: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_COMPLETION: Final = {
    "id": "chatcmpl_1",
    "object": "chat.completion",
    "created": 1_790_000_000,
    "model": "sim-ok",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello!"},
            "finish_reason": "stop",
        }
    ],
}


class Scripted(msgspec.Struct, frozen=True):
    """One answer. `is_cut`: the connection is closed instead, after the call was read."""

    status: int = 200
    body: Any = msgspec.field(default_factory=lambda: _COMPLETION)
    headers: Mapping[str, str] = {}
    is_cut: bool = False


class Seen(msgspec.Struct, frozen=True):
    """One call that came. `fault`: why it was refused; empty where it was well signed."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    fault: str

    @property
    def nonce(self) -> str:
        return self.headers.get("x-reqrun-nonce", "")

    def json(self) -> Any:
        return json.loads(self.body)


class SigningServer:
    """`seen`: every call, in order. What is not scripted is answered with a completion."""

    def __init__(self) -> None:
        self.url = ""
        self.seen: list[Seen] = []
        self._script: deque[Scripted] = deque()
        self._nonces: set[str] = set()
        self._lock = threading.Lock()

    def script(self, *answers: Scripted) -> None:
        """The answers to the next well-signed calls."""
        self._script.extend(answers)

    def take(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Scripted:
        """Judge one call and choose its answer."""
        with self._lock:
            fault = self._fault(method, target, headers, body)
            self.seen.append(Seen(method, target, headers, body, fault))
            if fault:
                return Scripted(401, refused(fault, "authentication_error"))
            return self._script.popleft() if self._script else Scripted()

    def _fault(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> str:
        if headers.get("authorization") != f"Bearer {API_KEY}":
            return "invalid_api_key"
        names = ("x-reqrun-timestamp", "x-reqrun-nonce", "x-reqrun-signature")
        timestamp, nonce, signature = (headers.get(name, "") for name in names)
        if not (timestamp and nonce and signature):
            return "missing_signature"
        if not _TIMESTAMP.fullmatch(timestamp) or not _is_recent(timestamp):
            return "stale_timestamp"
        path = target.split("?", 1)[0]
        text = f"{method}\n{path}\n{timestamp}\n{nonce}\n{hashlib.sha256(body).hexdigest()}"
        expected = hmac.digest(SECRET.encode(), text.encode(), "sha256").hex()
        if signature != f"v1={expected}" or not _NONCE.fullmatch(nonce):
            return "invalid_signature"
        is_reused = nonce in self._nonces
        self._nonces.add(nonce)
        return "nonce_reused" if is_reused else ""


def _is_recent(timestamp: str) -> bool:
    return abs(datetime.now(UTC) - datetime.fromisoformat(timestamp)) <= _TOLERANCE


def refused(code: str, kind: str = "api_error") -> dict[str, Any]:
    """The error envelope."""
    return {"error": {"message": "Refused by the test.", "type": kind, "code": code}}


def standing(status: str, request_id: str = "rr_1", **more: Any) -> dict[str, Any]:
    """The seven keys of a request."""
    return {
        "id": request_id,
        "status": status,
        "attempts": 1,
        "created_at": "2026-11-22T12:00:00Z",
        "updated_at": "2026-11-22T12:00:03Z",
        "last_error_code": None,
        "result": None,
        **more,
    }


@contextmanager
def signing_server() -> Iterator[SigningServer]:
    """On a free port of 127.0.0.1."""
    state = SigningServer()

    class Handler(_Handler):
        judge = state

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_address[1]}"
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield state
        finally:
            server.shutdown()
            serving.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 0.5  # a kept-alive connection must not keep the server from ending
    judge: SigningServer

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.judge.take(self.command, self.path, headers, body)
        if answer.is_cut:
            self.close_connection = True
            return
        content = json.dumps(answer.body).encode() if answer.body is not None else b""
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815  http.server's own names

    def log_message(self, *_: object) -> None:
        """Nothing: pytest shows what failed."""
