"""One call to Paddle: its time, its repeats, and what becomes of its failures.

What was refused before anything was done (429, no connection) may always be asked again; what may
have been done (a time-out, a cut, a 5xx) only where a second time harms nobody.
"""

import asyncio
import re
import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import httpx2
import msgspec
from prometheus_client import Counter, Histogram

from libs.common import logs, metrics, pauses
from libs.common.settings import Secret
from services.billing.adapters.paddle.refusals import RefusalBody, refused
from services.billing.domain.paddle import PaddleAway

log = logs.get(__name__)

PADDLE_NOT_ANSWERING: Final = "paddle_not_answering"
PADDLE_REFUSED: Final = "paddle_refused"
PADDLE_KEY_REFUSED: Final = "paddle_key_refused"

CALLS: Final = Counter(
    "reqrun_paddle_calls_total", "Calls to Paddle by how they ended", ["outcome"]
)
SECONDS: Final = Histogram(
    "reqrun_paddle_call_seconds",
    "One call to Paddle, repeats included",
    buckets=metrics.LATENCY_BUCKETS,
)

TRY_SECONDS: Final = 5.0
FIRST_PAUSE: Final = timedelta(seconds=0.3)
LONGEST_PAUSE: Final = timedelta(seconds=10)
_AWAY: Final = "The payment provider does not answer now. Nothing is lost: try again in a moment."
_BUSY: Final = 429
_OUR_FAULT: Final = (401, 403)
_LATER: Final = timedelta(seconds=10)
_SECONDS: Final = re.compile(r"[0-9]{1,9}")
_LONGEST_ASKED: Final = 3_600.0

Answer = TypeVar("Answer")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked. `is_repeatable`: done twice, it is done once, or harmlessly twice."""

    method: str
    path: str
    params: Mapping[str, str] = {}
    body: Mapping[str, Any] | None = None
    is_repeatable: bool = True


class _TryAgain(Exception):
    """A try in vain. `after`: Paddle asks for so many seconds."""

    def __init__(self, after: float | None, *, was_refused: bool) -> None:
        super().__init__()
        self.after, self.was_refused = after, was_refused


class Caller:
    """Asks Paddle, and gives up after `patience`: a person waits."""

    def __init__(self, client: httpx2.AsyncClient, key: Secret, patience: timedelta) -> None:
        """`client`: with Paddle's API as its base URL."""
        self._client, self._key = client, key
        self._seconds = patience.total_seconds()

    async def ask(self, call: Call, kind: type[Answer], *, patience: float | None = None) -> Answer:
        """The answer. Raises PaddleAway, PaddleRefused, DetailsRefused."""
        started = time.monotonic()
        try:
            return await self._ask(call, kind, started + (patience or self._seconds))
        finally:
            SECONDS.observe(time.monotonic() - started)

    async def _ask(self, call: Call, kind: type[Answer], deadline: float) -> Answer:
        waits = pauses.growing(FIRST_PAUSE, LONGEST_PAUSE)
        while True:
            try:
                return await self._try(call, kind, deadline)
            except _TryAgain as vain:
                pause = _pause(vain, waits)
                can_repeat = call.is_repeatable or vain.was_refused
                if not can_repeat or time.monotonic() + pause >= deadline:
                    CALLS.labels("away").inc()
                    raise PaddleAway(_AWAY, retry_after=_retry_after(vain)) from None
            await asyncio.sleep(pause)

    async def _try(self, call: Call, kind: type[Answer], deadline: float) -> Answer:
        """Raises _TryAgain, and what Paddle refused."""
        seconds = min(TRY_SECONDS, max(deadline - time.monotonic(), 0.05))
        try:
            async with asyncio.timeout(seconds):
                response = await self._client.send(self._request(call))
            if response.is_client_error:
                self._refuse(call, response)
            response.raise_for_status()
            answer = msgspec.json.decode(response.content, type=kind, strict=False)
        except (httpx2.HTTPError, TimeoutError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning(
                PADDLE_NOT_ANSWERING, method=call.method, endpoint=_noun(call), exc_info=error
            )
            was_unsent = isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)
            raise _TryAgain(_seconds_asked(error), was_refused=was_unsent) from None
        CALLS.labels("answered").inc()
        return answer

    def _request(self, call: Call) -> httpx2.Request:
        headers = {"authorization": f"Bearer {self._key.reveal()}", "paddle-version": "1"}
        content = None
        if call.body is not None:
            headers["content-type"] = "application/json"
            content = msgspec.json.encode(call.body)
        return self._client.build_request(
            call.method, call.path, params=dict(call.params), headers=headers, content=content
        )

    def _refuse(self, call: Call, response: httpx2.Response) -> None:
        """Raises. A refusal that is none of Paddle's (a proxy's page) is as good as no answer."""
        if response.status_code == _BUSY:
            CALLS.labels("busy").inc()
            raise _TryAgain(_retry_seconds(response), was_refused=True)
        if response.status_code in _OUR_FAULT:
            CALLS.labels("key_refused").inc()
            log.error(PADDLE_KEY_REFUSED, status_code=response.status_code, endpoint=_noun(call))
            raise PaddleAway(_AWAY, retry_after=_LATER)
        refusal = msgspec.json.decode(response.content, type=RefusalBody).error
        CALLS.labels("refused").inc()
        log.info(PADDLE_REFUSED, error_code=refusal.code, endpoint=_noun(call))
        raise refused(refusal)


def _pause(vain: _TryAgain, waits: Iterator[float]) -> float:
    own = next(waits)
    return own if vain.after is None else vain.after + own


def _retry_after(vain: _TryAgain) -> timedelta:
    return _LATER if vain.after is None else timedelta(seconds=vain.after)


def _seconds_asked(error: BaseException) -> float | None:
    return _retry_seconds(error.response) if isinstance(error, httpx2.HTTPStatusError) else None


def _retry_seconds(response: httpx2.Response) -> float | None:
    """Paddle says whole seconds. What nobody would wait for is not more than `_LONGEST_ASKED`."""
    text = response.headers.get("retry-after", "")
    return min(float(text), _LONGEST_ASKED) if _SECONDS.fullmatch(text) else None


def _noun(call: Call) -> str:
    """`subscriptions` of `/subscriptions/sub_1/cancel`: ids are not logged."""
    return urlsplit(call.path).path.split("/")[1]
