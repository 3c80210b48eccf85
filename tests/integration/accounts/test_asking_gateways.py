"""What accounts makes of gateways that refuse, are slow, or talk nonsense; over real sockets."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from deploy.local.ports import free_ports
from libs.common import errors
from libs.common.contracts.gateway import RequestsAnswer, RequestsQuestion
from libs.common.contracts.stats import StatsQuestion
from libs.common.errors import AppError
from libs.common.ids import new_id
from services.accounts.adapters import gateway as adapter
from services.accounts.adapters.gateway import HttpRequests
from services.accounts.domain.errors import ExecutionPlaneAway
from tests.support.accounts_stand_in import context
from tests.support.bad_answers import NO_ANSWERS, asking, refusal
from tests.support.raw_server import always, raw_server, reply, silence

ID = new_id("rr")
QUESTION = RequestsQuestion(mode="live")
EMPTY = msgspec.json.encode(RequestsAnswer((), None))

Ask = Callable[[HttpRequests], Awaitable[object]]
HOUR = datetime(2026, 3, 1, tzinfo=UTC)
ASKS: dict[str, Ask] = {
    "list": lambda gateways: gateways.list_requests("prj_a", QUESTION),
    "show": lambda gateways: gateways.show("prj_a", ID),
    "content": lambda gateways: gateways.open_content("prj_a", ID, context("k", bytes(32))),
    "cancel": lambda gateways: gateways.cancel("prj_a", ID, context("k", bytes(32))),
    "retry": lambda gateways: gateways.retry("prj_a", ID, context("k", bytes(32))),
    "stats": lambda gateways: gateways.stats(
        "prj_a", StatsQuestion(mode="live", from_=HOUR, to=HOUR + timedelta(hours=1))
    ),
    "standing": lambda gateways: gateways.standing("acc_a", 31),
}
BAD = {
    **NO_ANSWERS,
    "half a row": reply("200 OK", b'{"requests":[{"id":"canary"}]}'),
}


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
async def test_no_gateway_is_the_execution_plane_away(ask: Ask) -> None:
    async with asking(f"http://127.0.0.1:{free_ports()}", HttpRequests) as gateways:
        with pytest.raises(ExecutionPlaneAway):
            await ask(gateways)


@pytest.mark.parametrize("answer", BAD.values(), ids=BAD)
async def test_what_is_no_good_answer_is_the_execution_plane_away(
    answer: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    async with (
        raw_server(always(answer)) as server,
        asking(server.url, HttpRequests) as gateways,
    ):
        for ask in ASKS.values():
            with pytest.raises(ExecutionPlaneAway) as away:
                await ask(gateways)
            assert away.value.code == "execution_plane_away"
            assert "canary" not in str(away.value)
    assert "canary" not in capsys.readouterr().out


async def test_a_gateway_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "TIMEOUT_SECONDS", 0.1)
    async with (
        raw_server(silence) as server,
        asking(server.url, HttpRequests) as gateways,
        asyncio.timeout(20),
    ):
        for ask in ASKS.values():
            with pytest.raises(ExecutionPlaneAway):
                await ask(gateways)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        ("400 Bad", "unsupported_parameter", errors.InvalidInput),
        ("400 Bad", "no_provider_connection", errors.InvalidInput),
        ("403 No", "project_suspended", errors.Forbidden),
        ("404 None", "request_not_found", errors.NotFound),
        ("409 Late", "already_finished", errors.Conflict),
        ("409 Not", "not_failed", errors.Conflict),
        ("410 Gone", "result_erased", errors.Gone),
        ("429 Full", "pending_limit_exceeded", errors.LimitReached),
        ("429 Full", "monthly_quota_exceeded", errors.LimitReached),
        ("429 Full", "rate_limit_exceeded", errors.LimitReached),
    ],
)
async def test_a_refusal_keeps_its_kind_text_and_code(
    status: str, code: str, kind: type[AppError]
) -> None:
    answer = reply(status, refusal(code, "So it is."), "Retry-After: 7")
    async with (
        raw_server(always(answer)) as server,
        asking(server.url, HttpRequests) as gateways,
    ):
        for ask in ASKS.values():
            with pytest.raises(kind) as refused:
                await ask(gateways)
            assert (refused.value.code, str(refused.value)) == (code, "So it is.")
            assert refused.value.retry_after == timedelta(seconds=7)


async def test_a_question_goes_out_as_the_gateway_reads_it() -> None:
    question = RequestsQuestion(
        mode="test",
        state=("queued", "retrying"),
        model="a&b",
        created_after=HOUR,
        limit=5,
    )
    async with (
        raw_server(always(reply("200 OK", EMPTY))) as server,
        asking(server.url, HttpRequests) as gateways,
    ):
        answer = await gateways.list_requests("prj_a", question)

    assert answer == RequestsAnswer((), None)
    [(head, body)] = server.requests
    line, *headers = head.decode().split("\r\n")
    assert line == (
        "GET /internal/projects/prj_a/requests?mode=test&state=queued&state=retrying&model=a%26b"
        "&created_after=2026-03-01T00%3A00%3A00Z&limit=5 HTTP/1.1"
    )
    assert any(header.lower().startswith("authorization: bearer ") for header in headers)
    assert body == b""


@pytest.mark.parametrize(
    "request_id",
    ["", "rr_", "..", "../x", f"{ID}/cancel", f"{ID}?x", "rr_%00"],
    ids=["empty", "prefix", "up", "up and on", "deeper", "query", "escaped"],
)
async def test_what_is_no_id_is_not_asked_about(request_id: str) -> None:
    async with (
        raw_server(always(reply("200 OK", EMPTY))) as server,
        asking(server.url, HttpRequests) as gateways,
    ):
        with pytest.raises(errors.NotFound) as refused:
            await gateways.show("prj_a", request_id)
        assert refused.value.code == "request_not_found"
    assert server.connections == 0
