"""Spans hold ids and codes; a request's trace is named after it; off, nothing is done."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Final

import pytest

from libs.common import tracing
from libs.common.errors import NotFound
from libs.common.logs import ALLOWED as ALLOWED_IN_LOGS
from libs.common.tracing.otel import OtelTracer
from libs.common.tracing.spans import NoTracer
from tests.support.canaries import Search
from tests.support.collector import Collector, collector

CANARY: Final = "Zq7canary-prompt-4711"
CALLER: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def _listening() -> Iterator[Collector]:
    with collector() as kept:
        yield kept


@pytest.fixture
def kept(_listening: Collector) -> Collector:
    _listening.bodies.clear()
    return _listening


@pytest.fixture
def tracer(kept: Collector) -> Iterator[OtelTracer]:
    made = OtelTracer("test", kept.url, 1.0)
    yield made
    made.provider.shutdown()


class AccountGone(NotFound):
    code = "account_gone"


def test_a_call_continues_its_callers_trace_and_is_linked_with_the_requests(
    kept: Collector, tracer: OtelTracer
) -> None:
    with (
        tracer.call("POST", CALLER) as call,
        tracer.begin_request("accept", "rr_1") as accept,
        tracer.within("part"),
    ):
        call.rename("POST /v1/chat/completions")
        call.note(status_code=200, method="POST", route="/v1/chat/completions")
        accept.note(project_id="prj_a", outcome="accepted")
    tracer.provider.force_flush()

    part, accepted, called = kept.spans
    assert (called.trace_id, called.parent_id) == (CALLER[3:35], CALLER[36:52])
    assert called.attributes == {
        "http.response.status_code": 200,
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
    }
    assert accepted.trace_id != called.trace_id
    assert accepted.parent_id == ""
    assert called.links == [(accepted.trace_id, accepted.span_id)]
    assert accepted.links == [(called.trace_id, called.span_id)]
    assert accepted.attributes == {
        "reqrun.request_id": "rr_1",
        "reqrun.project_id": "prj_a",
        "reqrun.outcome": "accepted",
    }
    assert (part.trace_id, part.parent_id) == (accepted.trace_id, accepted.span_id)


def test_who_only_knows_a_requests_id_adds_to_its_trace(
    kept: Collector, tracer: OtelTracer
) -> None:
    with tracer.begin_request("accept", "rr_1"):
        pass
    other = OtelTracer("other", kept.url, 1.0)
    other.record("claim", "rr_1", time.time() - 1).note(attempt=1, fence=3)
    with other.of_request("attempt", "rr_1"):
        pass
    for made in (tracer, other):
        made.provider.shutdown()

    first, claim, attempt = kept.spans
    assert {span.trace_id for span in (claim, attempt)} == {first.trace_id}
    assert {span.parent_id for span in (claim, attempt)} == {first.span_id}
    assert claim.attributes == {
        "reqrun.request_id": "rr_1",
        "reqrun.attempt": 1,
        "reqrun.fence": 3,
    }


def _raise_with_canary(tracer: OtelTracer) -> None:
    with tracer.call("POST", f"00-{CANARY}-01") as span:
        fields: dict[str, Any] = {"prompt": CANARY, "body": CANARY, "reason": CANARY}
        span.note(**fields, error_code=None)
        raise AccountGone(f"There is no {CANARY}.") from ValueError(CANARY)


def test_no_canary_gets_into_a_span(kept: Collector, tracer: OtelTracer) -> None:
    with pytest.raises(AccountGone):
        _raise_with_canary(tracer)
    with pytest.raises(ValueError, match=CANARY), tracer.within("other"):
        raise ValueError(CANARY)
    tracer.provider.force_flush()

    assert [span.attributes for span in kept.spans] == [
        {"error.type": "account_gone"},
        {"error.type": "ValueError"},
    ]
    assert all(span.has_failed for span in kept.spans)
    assert Search({"canary": CANARY}).in_bytes("spans", b"".join(kept.bodies)) == set()


def test_what_may_stand_in_a_span_may_stand_in_a_log_line() -> None:
    assert tracing.ALLOWED <= ALLOWED_IN_LOGS


def test_a_caller_may_ask_for_less_and_never_for_more(kept: Collector) -> None:
    nothing, everything = OtelTracer("a", kept.url, 0.0), OtelTracer("b", kept.url, 1.0)
    with nothing.call("POST", CALLER), nothing.begin_request("accept", "rr_1"):
        pass
    with everything.call("POST", f"{CALLER[:-2]}00"):
        assert everything.traceparent() is not None
    for made in (nothing, everything):
        made.provider.shutdown()

    assert kept.spans == []


def test_every_process_decides_alike_which_requests_are_traced(kept: Collector) -> None:
    one, other = OtelTracer("one", kept.url, 0.5), OtelTracer("other", kept.url, 0.5)
    for number in range(100):
        with one.begin_request("accept", f"rr_{number}"):
            pass
        with other.of_request("attempt", f"rr_{number}"):
            pass
    for made in (one, other):
        made.provider.shutdown()

    accepted = {span.attributes["reqrun.request_id"] for span in kept.of("accept")}
    attempted = {span.attributes["reqrun.request_id"] for span in kept.of("attempt")}
    assert accepted == attempted
    assert 20 < len(accepted) < 80


async def test_a_question_carries_the_span_it_is_asked_in(
    tracer: OtelTracer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.common.tracing.tracing._Process.tracer", tracer)
    inside, outside = SimpleNamespace(headers={}), SimpleNamespace(headers={})

    with tracing.call("POST", CALLER):
        await tracing.carry(inside)
    await tracing.carry(outside)

    assert inside.headers["traceparent"].startswith(CALLER[:36])
    assert outside.headers == {}


def test_off_nothing_is_made_and_nothing_is_loaded() -> None:
    assert isinstance(tracing.of_request("attempt", "rr_1"), type(NoTracer().within("finish")))
    asked = "import json, sys\n" + "\n".join(
        f"import services.{service}.__main__"
        for service in ("gateway", "executor", "accounts", "billing")
    )
    # The client of Redis loads parts of the library wherever it is installed, and uses none.
    asked += "\nprint(json.dumps([n for n in sys.modules if 'tracing.otel' in n or 'otlp' in n]))"
    found = subprocess.run(  # noqa: S603  # our own words
        [sys.executable, "-c", asked], check=True, capture_output=True, text=True
    )

    assert json.loads(found.stdout) == []


def test_a_collector_that_is_away_does_not_hold_up_the_end() -> None:
    away = OtelTracer("test", "http://127.0.0.1:1/v1/traces", 1.0)
    with away.call("POST", None):
        pass
    began = time.monotonic()

    away.provider.shutdown()

    assert time.monotonic() - began < 10
