"""The public API's shapes, held to docs/api.md and to a golden file.

After a change on purpose, write the new document over the golden one:
`python -m services.gateway openapi > tests/contract/golden/openapi.json`.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libs.common.errors import AppError
from libs.common.web.errors import FORMS, ErrorView, render
from libs.ledger.look import Standing
from libs.ledger.states import FINAL, State
from libs.ledger.timeline import Attempt
from services.gateway.api import examples, openapi, views
from services.gateway.domain import errors, submissions

GOLDEN = Path(__file__).parent / "golden" / "openapi.json"
AT = datetime(2026, 11, 22, 8, 26, 40, 999_999, tzinfo=UTC)

DOCUMENT = msgspec.json.decode(openapi.DOCUMENT)
PATHS = tuple(DOCUMENT["paths"])


def standing(state: State, **changes: Any) -> Standing:
    plain = Standing(
        request_id="rr_01kav5m9x3f8q2r7t6w4y1z0bc",
        state=state,
        attempts=2,
        created_at=AT,
        updated_at=AT + timedelta(seconds=3),
        last_error_code=None,
        result=None,
    )
    return msgspec.structs.replace(plain, **changes)


@pytest.mark.parametrize("state", sorted(set(State) - {State.COMPLETED}))
def test_the_accepted_shape_is_exactly_this(state: State) -> None:
    assert views.accepted(standing(state)) == (
        b'{"id":"rr_01kav5m9x3f8q2r7t6w4y1z0bc","object":"chat.completion.async",'
        b'"status":"' + state.value.encode() + b'","created":1795335999}'
    ).replace(b"1795335999", b"%d" % int(AT.timestamp()))


def test_the_status_shape_is_exactly_this() -> None:
    result = b'{ "object" : "chat.completion", "n": 1.0 }'

    assert views.request(standing(State.COMPLETED, result=result)) == (
        b'{"id":"rr_01kav5m9x3f8q2r7t6w4y1z0bc","status":"completed","attempts":2,'
        b'"created_at":"2026-11-22T08:26:40Z","updated_at":"2026-11-22T08:26:43Z",'
        b'"last_error_code":null,"result":' + result + b"}"
    )


def test_the_two_nullable_members_are_there_as_null() -> None:
    body = msgspec.json.decode(views.request(standing(State.QUEUED)))

    assert (body["last_error_code"], body["result"]) == (None, None)


def test_a_running_attempt_is_told_with_what_is_known() -> None:
    nothing: dict[str, Any] = dict.fromkeys(Attempt.__struct_fields__)
    running = Attempt(**nothing | {"number": 1, "started_at": AT})

    body = msgspec.json.decode(views.attempts([running]))

    attempt = body["data"][0]
    assert (attempt["outcome"], attempt["started_at"]) == (None, "2026-11-22T08:26:40.999Z")
    assert set(attempt) == set(views.AttemptView.__struct_fields__)


def kinds() -> list[type[AppError]]:
    return [one for one in vars(errors).values() if isinstance(one, type)]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 413, 429, 503])
def test_an_error_is_three_strings_and_nothing_else(status: int) -> None:
    kind = next(kind for kind, form in FORMS.items() if form.status == status)

    found, body, _ = render(kind("What was wrong, and what to do."))

    assert found == status
    error = msgspec.json.decode(body)
    assert list(error) == ["error"]
    assert list(error["error"]) == ["message", "type", "code"]
    assert all(isinstance(value, str) and value for value in error["error"].values())


def test_the_document_is_the_golden_one() -> None:
    assert msgspec.json.format(openapi.DOCUMENT, indent=2) + b"\n" == GOLDEN.read_bytes()


def test_every_code_of_ours_is_documented_where_it_can_happen() -> None:
    documented = {
        code
        for path in PATHS
        for operation in ("get", "post")
        for response in DOCUMENT["paths"][path].get(operation, {}).get("responses", {}).values()
        for code in response["content"]["application/json"]["examples"]
    }

    assert {kind.code for kind in kinds() if issubclass(kind, AppError)} <= documented


def test_every_status_tells_how_support_can_find_the_call() -> None:
    for path in PATHS:
        for operation in ("get", "post"):
            responses = DOCUMENT["paths"][path].get(operation, {}).get("responses", {})
            assert all("X-Request-Id" in one["headers"] for one in responses.values())


def test_the_states_of_the_document_are_the_ledgers() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    accepted = schemas["AcceptedView"]["properties"]["status"]["enum"]
    status = schemas["RequestView"]["properties"]["status"]["enum"]

    assert set(status) == set(State)
    assert set(accepted) == set(State) - {State.COMPLETED}
    assert set(State) >= FINAL


def test_the_control_fields_are_the_documented_ones() -> None:
    properties = set(DOCUMENT["components"]["schemas"]["ChatCompletionBody"]["properties"])

    assert properties == submissions.CONTROL_FIELDS | {"model", "messages", "stream"}


@pytest.mark.parametrize(
    ("example", "shape"),
    [
        (examples.ACCEPTED, views.AcceptedView),
        (examples.REQUEST, views.RequestView),
        (examples.REQUESTS, views.RequestsView),
        (examples.REQUESTS["data"][0], views.ListedView),
        (examples.MODELS, views.ModelsView),
        (examples.ATTEMPTS, views.AttemptsView),
        (examples.ATTEMPTS["data"][0], views.AttemptView),
    ],
)
def test_an_example_has_the_members_of_what_it_shows(
    example: dict[str, Any], shape: type[msgspec.Struct]
) -> None:
    assert tuple(example) == shape.__struct_fields__


def test_the_example_of_a_submission_can_be_submitted() -> None:
    assert submissions.parse(msgspec.json.encode(examples.SUBMIT)).model


def test_the_example_of_a_retry_can_be_sent() -> None:
    assert submissions.parse_retry(msgspec.json.encode(examples.RETRY)).wish.wants_wait


def test_error_examples_have_the_envelopes_shape() -> None:
    for path in PATHS:
        for operation in ("get", "post"):
            responses = DOCUMENT["paths"][path].get(operation, {}).get("responses", {})
            for status, response in responses.items():
                if status != "200":
                    for example in response["content"]["application/json"]["examples"].values():
                        msgspec.convert(example["value"], ErrorView)
