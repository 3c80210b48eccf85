"""What the client sends next, given what came back: no server, no clock, no sleep."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import pytest

from reqrun import NoAnswer, ReqRunError, Retries, WaitTimedOut
from reqrun.exchange import Answer, Call, Flow, Lost, Outcome, Send
from reqrun.flows import Flows
from tests.support.signing_server import refused, standing

T = TypeVar("T")
LOST = Lost(ConnectionResetError())
ACCEPTED = {"id": "rr_1", "object": "chat.completion.async", "status": "queued", "created": 1}


def said(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, headers or {}, json.dumps(body).encode())


def no(status: int, code: str, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return said(status, refused(code), named)


class Stage:
    """Plays flows against outcomes; its clock moves with the pauses, and a poll takes its time."""

    def __init__(self, *outcomes: Outcome, poll_seconds: float = 0.0) -> None:
        self.sent: list[Send] = []
        self._outcomes: Iterator[Outcome] = iter(outcomes)
        self._now = 100.0
        self._poll_seconds = poll_seconds
        keys = iter(range(1000))
        retries = Retries(draw=lambda: 1.0)
        self.flows = Flows(retries, lambda: self._now, lambda: f"key-{next(keys)}")

    def play(self, flow: Flow[T]) -> T:
        send = next(flow)
        try:
            while True:
                self.sent.append(send)
                self._now += send.pause + self._poll_seconds
                send = flow.send(next(self._outcomes))
        except StopIteration as done:
            result: T = done.value
            return result

    @property
    def pauses(self) -> list[float]:
        return [send.pause for send in self.sent]

    @property
    def bodies(self) -> list[bytes]:
        return [send.call.body for send in self.sent]

    @property
    def calls(self) -> list[Call]:
        return [send.call for send in self.sent]


def submit(stage: Stage, **more: Any) -> Any:
    messages = [{"role": "user", "content": "Hello"}]
    return stage.play(stage.flows.submit({"model": "m", "messages": messages, **more}))  # type: ignore[typeddict-item]


@pytest.mark.parametrize("first", [LOST, no(503, "unavailable"), no(429, "rate_limit_exceeded")])
def test_a_repeat_of_a_submission_carries_the_same_key_and_the_same_bytes(first: Outcome) -> None:
    stage = Stage(first, said(200, ACCEPTED))

    assert submit(stage) == ACCEPTED
    assert stage.bodies[0] == stage.bodies[1]
    assert json.loads(stage.bodies[0])["idempotency_key"] == "key-0"


def test_two_submissions_have_two_keys() -> None:
    stage = Stage(said(200, ACCEPTED), said(200, ACCEPTED))
    submit(stage)
    submit(stage, idempotency_key=None)

    keys = [json.loads(body)["idempotency_key"] for body in stage.bodies]
    assert keys == ["key-0", "key-1"]


def test_pauses_grow_to_a_cap_and_tries_are_counted() -> None:
    stage = Stage(*[LOST] * 5)

    with pytest.raises(NoAnswer) as raised:
        submit(stage)

    assert stage.pauses == [0.0, 0.5, 1.0, 2.0, 4.0]
    assert isinstance(raised.value.__cause__, ConnectionResetError)


def test_no_pause_ends_before_the_server_said() -> None:
    stage = Stage(no(429, "rate_limit_exceeded", retry_after="7"), said(200, ACCEPTED))
    submit(stage)

    assert stage.pauses == [0.0, 7.5]


def test_a_pause_that_is_too_long_is_the_callers_to_take() -> None:
    stage = Stage(no(429, "rate_limit_exceeded", retry_after="61"))

    with pytest.raises(ReqRunError) as raised:
        submit(stage)
    assert (raised.value.status, raised.value.retry_after) == (429, 61.0)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "invalid_body"),
        (401, "invalid_api_key"),
        (401, "invalid_signature"),
        (401, "stale_timestamp"),
        (403, "project_suspended"),
        (404, "request_not_found"),
        (409, "idempotency_conflict"),
        (410, "result_erased"),
        (413, "body_too_large"),
        (429, "monthly_quota_exceeded"),
    ],
)
def test_what_time_does_not_change_is_not_sent_again(status: int, code: str) -> None:
    stage = Stage(no(status, code))

    with pytest.raises(ReqRunError) as raised:
        submit(stage)
    assert (raised.value.code, raised.value.status, len(stage.sent)) == (code, status, 1)


@pytest.mark.parametrize(("status", "code"), [(401, "nonce_reused"), (400, "request_timeout")])
def test_what_the_way_there_did_is_sent_again(status: int, code: str) -> None:
    stage = Stage(no(status, code), said(200, ACCEPTED))

    assert submit(stage) == ACCEPTED


def test_the_error_of_a_request_that_has_failed_is_its_end() -> None:
    stage = Stage(no(503, "provider_unavailable", x_reqrun_status="failed"))

    with pytest.raises(ReqRunError, match="503 provider_unavailable"):
        submit(stage)


def test_advice_for_calls_without_a_key_is_not_for_calls_with_one() -> None:
    stage = Stage(no(429, "rate_limit_exceeded", x_should_retry="false"), said(200, ACCEPTED))

    assert submit(stage) == ACCEPTED


def test_a_drop_in_keys_wait_that_ended_early_goes_on() -> None:
    still = no(504, "wait_timeout", x_reqrun_status="retrying")

    assert submit(Stage(still, said(200, ACCEPTED))) == ACCEPTED


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"\xff"])
def test_a_2xx_that_is_no_object_is_an_error_of_its_own(body: bytes) -> None:
    stage = Stage(Answer(200, {}, body))

    with pytest.raises(ReqRunError) as raised:
        submit(stage)
    assert raised.value.code == "unreadable_answer"


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"error": "no"}', b'{"error": null}'])
def test_a_proxys_error_is_still_an_error(body: bytes) -> None:
    stage = Stage(Answer(418, {}, body))

    with pytest.raises(ReqRunError) as raised:
        submit(stage)
    assert (raised.value.status, raised.value.code) == (418, "unreadable_answer")


def test_waiting_polls_until_the_end_and_asks_for_no_more_than_is_left() -> None:
    stage = Stage(
        said(200, standing("queued")),
        said(200, standing("retrying")),
        said(200, standing("completed")),
        poll_seconds=25.0,
    )

    found = stage.play(stage.flows.wait("rr_1", 60))

    assert found["status"] == "completed"
    assert [call.query for call in stage.calls] == [
        {"wait": "25.000"},
        {"wait": "25.000"},
        {"wait": "10.000"},
    ]
    assert stage.pauses == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
def test_every_final_state_ends_the_wait(status: str) -> None:
    stage = Stage(said(200, standing(status)))

    assert stage.play(stage.flows.wait("rr_1", None))["status"] == status


def test_waiting_outlives_an_outage_longer_than_any_count_of_tries() -> None:
    busy = no(503, "unavailable", retry_after="1")
    outage: list[Outcome] = [LOST, busy, no(429, "rate_limit_exceeded")]
    stage = Stage(*outage * 20, said(200, standing("completed")))

    assert stage.play(stage.flows.wait("rr_1", None))["status"] == "completed"
    assert max(stage.pauses) == 8.0


def test_a_server_that_does_not_wait_is_asked_once_a_second() -> None:
    stage = Stage(*[said(200, standing("queued"))] * 3, said(200, standing("completed")))
    stage.play(stage.flows.wait("rr_1", None))

    assert stage.pauses == [0.0, 1.0, 1.0, 1.0]


def test_a_wait_that_ends_early_says_how_the_request_stood() -> None:
    stage = Stage(*[said(200, standing("retrying"))] * 2, poll_seconds=25.0)

    with pytest.raises(WaitTimedOut) as raised:
        stage.play(stage.flows.wait("rr_1", 50))

    assert raised.value.request_id == "rr_1"
    assert raised.value.last == standing("retrying")


def test_a_wait_of_no_time_looks_once() -> None:
    stage = Stage(said(200, standing("queued")))

    with pytest.raises(WaitTimedOut):
        stage.play(stage.flows.wait("rr_1", 0))
    assert stage.calls[0].query == {}


def test_waiting_for_what_is_not_there_ends_at_once() -> None:
    stage = Stage(no(404, "request_not_found"))

    with pytest.raises(ReqRunError, match="request_not_found"):
        stage.play(stage.flows.wait("rr_1", None))


def test_a_cancellation_whose_answer_was_lost_is_recognised() -> None:
    stage = Stage(LOST, no(409, "already_finished"), said(200, standing("cancelled")))

    assert stage.play(stage.flows.cancel("rr_1"))["status"] == "cancelled"
    assert [(call.method, call.path) for call in stage.calls] == [
        ("POST", "/v1/requests/rr_1/cancel"),
        ("POST", "/v1/requests/rr_1/cancel"),
        ("GET", "/v1/requests/rr_1"),
    ]


def test_cancelling_what_is_finished_is_an_error() -> None:
    at_once = Stage(no(409, "already_finished"))
    in_between = Stage(LOST, no(409, "already_finished"), said(200, standing("completed")))

    for stage in (at_once, in_between):
        with pytest.raises(ReqRunError, match="already_finished"):
            stage.play(stage.flows.cancel("rr_1"))


def test_an_erased_request_is_shown_as_it_stands() -> None:
    stage = Stage(said(200, standing("cancelled")))

    assert stage.play(stage.flows.erase("rr_1"))["status"] == "cancelled"
    assert stage.calls[0].method == "DELETE"
