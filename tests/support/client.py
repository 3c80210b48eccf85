"""A careful client: it believes only what it was told, and writes down all of it.

An answer that is not 2xx, or no answer at all, leaves the request's fate unknown: it may have been
accepted. Only a 2xx is a promise, and only promises are held against the system.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

import msgspec

from tests.support.client_http import Answer, LeanHttp, NoAnswer

ASYNC: Final = "chat.completion.async"
FINAL: Final = frozenset({"completed", "failed", "cancelled"})
_MISSING: Final = 404
_ANSWER_SECONDS: Final = 15.0
_SUBMIT: Final = "POST /v1/chat/completions"
_HEAD: Final = (
    "{what} HTTP/1.1\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n"
)
_PAUSE_SECONDS: Final = 0.25
_LONG_POLL_SECONDS: Final = 5


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One request to send: by `mode`'s key, to the gateway with this place in the list."""

    number: int
    mode: str = "live"
    model: str = "sim-ok"
    gateway: int = 0
    is_waiting: bool = False
    extra: Mapping[str, Any] = msgspec.field(default_factory=dict)


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one order, as the client saw it.

    `status_code` is None where no answer came. `state`: as the answer said. `completion_id`: the
    provider's id of the result that came with the answer.
    """

    number: int
    mode: str
    model: str
    gateway: int
    is_waiting: bool
    sent_at: datetime
    answered_at: datetime
    status_code: int | None = None
    error: str | None = None
    request_id: str | None = None
    state: str | None = None
    completion_id: str | None = None

    @property
    def is_accepted(self) -> bool:
        """Whether it is a promise."""
        return self.status_code is not None and self.status_code // 100 == 2


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A request as the public API shows it. `completion_id`: of its result, if it has one."""

    request_id: str
    state: str
    attempts: int
    last_error_code: str | None
    completion_id: str | None


class CarefulClient:
    """Sends orders and reads requests; `sent` and `readings` are its log."""

    def __init__(self, gateways: Sequence[str], keys: Mapping[str, str]) -> None:
        """`keys`: the API key of each mode."""
        self._gateways, self._keys = list(gateways), keys
        self._http = LeanHttp()
        self.sent: list[Sent] = []
        self.readings: list[Reading] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._http.close()

    async def submit(self, order: Order) -> Sent:
        """Send one order and log what came back; never raises for a failure of the system."""
        sent_at = datetime.now(UTC)
        fate = await self._post(order)
        sent = Sent(
            number=order.number,
            mode=order.mode,
            model=order.model,
            gateway=order.gateway,
            is_waiting=order.is_waiting,
            sent_at=sent_at,
            answered_at=datetime.now(UTC),
            **fate,
        )
        self.sent.append(sent)
        return sent

    async def read(
        self, request_id: str, mode: str = "live", gateway: int = 0, wait: int = 0
    ) -> Reading | None:
        """One look at a request, logged (`missing` where there is none); None without an answer."""
        query = f"?wait={wait}" if wait else ""
        try:
            answer = await self._call(f"GET /v1/requests/{request_id}{query}", mode, gateway)
        except NoAnswer:
            return None
        if answer.status_code not in (200, _MISSING):
            return None
        is_there = answer.status_code == 200
        reading = _reading(msgspec.json.decode(answer.body)) if is_there else _missing(request_id)
        self.readings.append(reading)
        return reading

    async def follow(self, sent: Sent, limit: timedelta) -> Reading | None:
        """Poll an accepted request until it is final; None when it is not within `limit`."""
        assert sent.request_id is not None
        gateway = sent.gateway
        try:
            async with asyncio.timeout(limit.total_seconds()):
                while True:
                    reading = await self.read(
                        sent.request_id, sent.mode, gateway, wait=_LONG_POLL_SECONDS
                    )
                    if reading is not None and reading.state in FINAL:
                        return reading
                    gateway = (gateway + 1) % len(self._gateways)
                    await asyncio.sleep(_PAUSE_SECONDS)
        except TimeoutError:
            return None

    async def _post(self, order: Order) -> dict[str, Any]:
        body = {
            "model": order.model,
            "messages": [{"role": "user", "content": f"order {order.number}"}],
            "wait": order.is_waiting,
            **order.extra,
        }
        try:
            answer = await self._call(_SUBMIT, order.mode, order.gateway, msgspec.json.encode(body))
        except NoAnswer as failure:
            return {"error": str(failure)}
        return _fate(answer)

    async def _call(self, what: str, mode: str, gateway: int, body: bytes = b"") -> Answer:
        head = _HEAD.format(what=what, key=self._keys[mode])
        return await self._http.call(self._gateways[gateway], head.encode(), body, _ANSWER_SECONDS)


def _fate(answer: Answer) -> dict[str, Any]:
    body = msgspec.json.decode(answer.body)
    fate: dict[str, Any] = {"status_code": answer.status_code}
    if answer.status_code // 100 != 2:
        return {**fate, "error": body["error"]["code"]}
    if body["object"] == ASYNC:
        return {**fate, "request_id": body["id"], "state": body["status"]}
    return {
        **fate,
        "request_id": answer.headers["x-reqrun-request-id"],
        "state": "completed",
        "completion_id": body["id"],
    }


def _missing(request_id: str) -> Reading:
    return Reading(
        request_id=request_id,
        state="missing",
        attempts=0,
        last_error_code=None,
        completion_id=None,
    )


def _reading(body: Mapping[str, Any]) -> Reading:
    return Reading(
        request_id=body["id"],
        state=body["status"],
        attempts=body["attempts"],
        last_error_code=body["last_error_code"],
        completion_id=(body["result"] or {}).get("id"),
    )
