"""What the client's calls look like on the wire, and what its errors tell."""

import inspect
import json
import pickle
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import reqrun
from reqrun import (
    AsyncReqRun,
    NoAnswer,
    ReqRun,
    ReqRunError,
    WaitTimedOut,
    asynchronous,
    blocking,
    calls,
)
from reqrun.errors import refusal
from reqrun.exchange import Answer
from reqrun.shapes import ChatParams
from reqrun.version import VERSION
from tests.support.signing_server import refused, standing

CLIENTS = Path(__file__).parents[3] / "clients"
KEY, SECRET = "reqrun_live_of_a_test", "a signing secret"
MESSAGES = [{"role": "user", "content": "Hello"}]


def submit(**params: Any) -> tuple[dict[str, Any], float]:
    wish: ChatParams = {"model": "m", "messages": MESSAGES, **params}  # type: ignore[typeddict-item]
    call = calls.submit(wish, lambda: "made")
    return json.loads(call.body), call.seconds


def test_a_submission_says_whether_it_waits_and_has_a_key() -> None:
    body, seconds = submit()

    assert body == {"model": "m", "messages": MESSAGES, "wait": False, "idempotency_key": "made"}
    assert seconds == 30


def test_a_key_of_the_callers_is_kept() -> None:
    assert submit(idempotency_key="mine")[0]["idempotency_key"] == "mine"
    assert submit(extra_body={"idempotency_key": "mine"})[0]["idempotency_key"] == "mine"


def test_what_belongs_to_the_client_is_not_sent() -> None:
    body, seconds = submit(timeout=5, extra_body={"top_k": 3}, wait_timeout=None)

    assert "timeout" not in body
    assert "extra_body" not in body
    assert "wait_timeout" not in body
    assert (body["top_k"], seconds) == (3, 5)


@pytest.mark.parametrize(
    ("params", "seconds"),
    [
        ({"wait": True}, 55),
        ({"wait": True, "wait_timeout": 600}, 630),
        ({"wait_timeout": 600}, 30),
        ({"wait": True, "wait_timeout": 0, "timeout": 1}, 1),
    ],
)
def test_a_call_is_as_patient_as_its_wait(params: dict[str, Any], seconds: float) -> None:
    assert submit(**params)[1] == seconds


@given(st.dictionaries(st.text(), st.text()))
def test_text_goes_out_as_plain_utf8(fields: dict[str, str]) -> None:
    encoded = calls.encode(fields)

    assert json.loads(encoded.decode()) == fields
    assert b"\\u00e9" not in encoded


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800"])
def test_what_json_does_not_have_is_refused_here(value: object) -> None:
    with pytest.raises(ValueError, match=r"surrogates|JSON compliant"):
        calls.encode({"value": value})


@pytest.mark.parametrize("request_id", ["", "..", "rr_1/cancel", "rr_1?wait=1", "rr_é", "r" * 65])
def test_what_cannot_be_an_id_never_becomes_a_path(request_id: str) -> None:
    with pytest.raises(ValueError, match="not the id"):
        calls.show(request_id)


def test_a_list_asks_for_what_was_named() -> None:
    call = calls.page({"limit": 5, "status": "failed"})

    assert (call.path, call.query) == ("/v1/requests", {"limit": "5", "status": "failed"})


@pytest.mark.parametrize("kind", [ReqRun, AsyncReqRun])
async def test_nothing_that_is_printed_shows_a_key_or_a_prompt(
    kind: type[ReqRun | AsyncReqRun],
) -> None:
    made = kind(KEY, SECRET, "https://api.example.test")
    call = calls.submit({"model": "m", "messages": MESSAGES}, lambda: "made")

    shown = f"{made!r} {call!r} {Answer(200, {}, b'Hello')!r}"
    assert "https://api.example.test" in shown
    for hidden in (KEY, SECRET, "Hello"):
        assert hidden not in shown


@pytest.mark.parametrize(
    "base_url",
    ["", "api.reqrun.com", "ftp://a.test", "https://a.test/v1", "https://me:x@a.test", "http://?a"],
)
def test_an_address_that_cannot_work_is_refused_at_once(base_url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        ReqRun(KEY, base_url=base_url)


@pytest.mark.parametrize("key", ["", "  ", "a\nb", "é"])
def test_a_key_that_no_header_takes_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ValueError, match="the API key is empty, or has characters"):
        ReqRun(key)


def test_an_error_tells_what_the_server_told() -> None:
    headers = {"x-request-id": "req_1", "x-reqrun-request-id": "rr_1", "retry-after": "3"}
    body = json.dumps(refused("pending_limit_exceeded", "rate_limit_error")).encode()

    error = refusal(Answer(429, headers, body))

    assert str(error) == "429 pending_limit_exceeded: Refused by the test."
    assert (error.status, error.code, error.type) == (
        429,
        "pending_limit_exceeded",
        "rate_limit_error",
    )
    assert (error.retry_after, error.call_id, error.request_id) == (3.0, "req_1", "rr_1")


@pytest.mark.parametrize(
    "error",
    [
        refusal(Answer(404, {"x-request-id": "req_1"}, json.dumps(refused("gone")).encode())),
        NoAnswer("There was no answer.", "no_answer"),
        WaitTimedOut("rr_1", standing("queued")),  # type: ignore[arg-type]  # as from the wire
    ],
)
def test_an_error_survives_a_task_queue(error: ReqRunError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  our own bytes

    assert type(again) is type(error)
    assert (str(again), again.call_id, again.request_id) == (
        str(error),
        error.call_id,
        error.request_id,
    )


@pytest.mark.parametrize("name", ["Completions", "Requests", "Models"])
def test_the_two_clients_of_python_have_the_same_methods(name: str) -> None:
    def surface(module: ModuleType) -> dict[str, tuple[list[inspect.Parameter], str | None]]:
        methods = inspect.getmembers(getattr(module, name), inspect.isfunction)
        return {
            method: ([*inspect.signature(function).parameters.values()], function.__doc__)
            for method, function in methods
            if method != "__init__"
        }

    assert surface(blocking) == surface(asynchronous)


def test_both_packages_have_one_version() -> None:
    javascript = json.loads((CLIENTS / "js" / "package.json").read_text())
    python = tomllib.loads((CLIENTS / "python" / "pyproject.toml").read_text())

    assert javascript["version"] == VERSION
    assert javascript["name"] == python["project"]["name"] == "reqrun"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = reqrun.Nothing
