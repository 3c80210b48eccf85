"""One request's way through all processes, as a collector of traces sees it."""

import httpx2

from tests.support.collector import Collector, Seen
from tests.support.waiting import until

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CHAT = {"model": "sim-ok", "messages": [{"role": "user", "content": "Hello"}], "wait": True}


async def test_a_request_has_one_trace_and_its_call_that_of_the_caller(
    api: httpx2.AsyncClient, collector: Collector
) -> None:
    answer = await api.post(
        "/v1/chat/completions", json=CHAT, headers={"traceparent": f"00-{TRACE}-{SPAN}-01"}
    )
    request_id = answer.headers["x-reqrun-request-id"]

    def ours() -> list[Seen]:
        names = ("accept", "claim", "attempt")
        return [span for name in names for span in collector.of(name, request_id=request_id)]

    # Exported every five seconds, by each process for itself.
    await until(lambda: len(ours()) == 3 and bool(of_call(collector)), 60)
    accept, claim, attempt = ours()
    assert [span.process for span in ours()] == ["gateway", "executor", "executor"]
    assert claim.trace_id == attempt.trace_id == accept.trace_id
    assert claim.parent_id == attempt.parent_id == accept.span_id
    assert attempt.attributes["reqrun.outcome"] == "completed"
    parts = [span for span in collector.spans if span.parent_id == attempt.span_id]
    assert {"provider_call", "finish"} <= {span.name for span in parts}
    [call] = of_call(collector)
    assert (call.name, call.parent_id) == ("POST /v1/chat/completions", SPAN)
    assert call.links == [(accept.trace_id, accept.span_id)]


def of_call(collector: Collector) -> list[Seen]:
    return [
        span
        for span in collector.spans
        if span.trace_id == TRACE and span.process == "gateway" and span.name.startswith("POST")
    ]


async def test_questions_between_services_stand_in_the_trace_of_who_asks(
    api: httpx2.AsyncClient, collector: Collector
) -> None:
    await api.post("/v1/chat/completions", json=CHAT)

    def asked() -> list[tuple[str, str]]:
        by_id = {span.span_id: span for span in collector.spans}
        answered = [span for span in collector.spans if "/internal/" in span.name]
        return [
            (by_id[span.parent_id].process, span.process)
            for span in answered
            if span.parent_id in by_id
        ]

    await until(lambda: {("gateway", "accounts"), ("executor", "accounts")} <= {*asked()}, 60)
