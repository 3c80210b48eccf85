from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.accounts_stand_in import AccountsStandIn
from tests.support.gateways import Gateway
from tests.support.ledgers import Bench, ending, retry

RESULT = b'{"id":"chatcmpl_1",  "object":"chat.completion","choices":[],"x":1.00}'


async def _stored(ledger: Bench, request_id: str) -> dict[str, Any]:
    row = await ledger.sql.fetchrow("SELECT * FROM requests WHERE id = $1", request_id)
    assert row is not None
    return dict(row)


async def test_an_accepted_request_has_exactly_the_four_members(
    gateway: Gateway, accounts: AccountsStandIn, ledger: Bench
) -> None:
    key = accounts.issue()

    answer = await gateway.accept(key)

    body = answer.json()
    assert answer.status_code == 200
    assert list(body) == ["id", "object", "status", "created"]
    assert (body["object"], body["status"]) == ("chat.completion.async", "queued")
    assert abs(body["created"] - datetime.now(UTC).timestamp()) < 60
    stored = await _stored(ledger, body["id"])
    assert stored["project_id"] == accounts.of(key).project_id
    assert (stored["mode"], stored["model"]) == ("live", "gpt-5-nano")
    assert answer.headers["location"] == f"/v1/requests/{body['id']}"
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["x-reqrun-request-id"] == body["id"]
    assert answer.headers["x-reqrun-status"] == "queued"
    assert answer.headers["x-reqrun-attempts"] == "0"
    assert answer.headers["content-type"] == "application/json"


async def test_the_provider_gets_the_body_without_our_fields_byte_for_byte(
    gateway: Gateway, accounts: AccountsStandIn, ledger: Bench
) -> None:
    head = {"authorization": f"Bearer {accounts.issue()}"}
    sent = (
        b'{ "model": "m", "wait" : false, "messages":[ {"role":"user",'
        b'"content":"\xc3\xa9 \\u2603"} ], "top_k": 1.00, "max_attempts": 3, '
        b'"idempotency_key":null, "stream":false }'
    )

    answer = await gateway.client.post("/v1/chat/completions", content=sent, headers=head)

    claims = await ledger.claim(answer.json()["id"])
    expected = (
        b'{"model":"m","messages":[ {"role":"user","content":"\xc3\xa9 \\u2603"} ]'
        b',"top_k":1.00,"stream":false}'
    )
    assert claims[0].body is not None
    assert accounts.body_seal(claims[0]).open(claims[0].body, "request") == expected
    assert claims[0].max_attempts == 3


async def test_a_test_key_goes_to_the_simulator(
    gateway: Gateway, accounts: AccountsStandIn, ledger: Bench
) -> None:
    answer = await gateway.accept(accounts.issue("test"))

    claims = await ledger.claim(answer.json()["id"])
    assert (claims[0].connection_id, claims[0].mode) == ("simulator", "test")


async def test_status_has_exactly_the_seven_members_in_every_state(
    gateway: Gateway, accounts: AccountsStandIn, ledger: Bench
) -> None:
    key = accounts.issue()
    request_id = (await gateway.accept(key)).json()["id"]
    path = f"/v1/requests/{request_id}"

    queued = (await gateway.get(key, path)).json()
    claim = (await ledger.claim(request_id))[0]
    processing = (await gateway.get(key, path)).json()
    await ledger.finish(accounts.sealed(claim, retry(claim)))
    retrying = (await gateway.get(key, path)).json()
    await ledger.dispatcher.release()
    claim = (await ledger.claim(request_id))[0]
    await ledger.finish(accounts.sealed(claim, ending(claim, result=RESULT)))
    completed = await gateway.get(key, path)

    members = [
        "id", "status", "attempts", "created_at", "updated_at", "last_error_code", "result",
    ]  # fmt: skip
    assert all(list(one) == members for one in (queued, processing, retrying, completed.json()))
    states = [one["status"] for one in (queued, processing, retrying, completed.json())]
    assert states == ["queued", "processing", "retrying", "completed"]
    assert [one["attempts"] for one in (queued, processing, retrying)] == [0, 1, 1]
    assert (queued["last_error_code"], queued["result"]) == (None, None)
    assert retrying["last_error_code"] == "provider_unavailable"
    assert completed.json()["last_error_code"] is None
    assert b'"result":' + RESULT in completed.content
    datetime.strptime(queued["created_at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert "location" not in completed.headers


async def test_the_timeline_tells_each_attempt_and_why_the_next_one_waits(
    gateway: Gateway, accounts: AccountsStandIn, ledger: Bench
) -> None:
    key = accounts.issue()
    request_id = (await gateway.accept(key)).json()["id"]
    claim = (await ledger.claim(request_id))[0]
    said = retry(
        claim, status_code=429, provider_error=b'{"e":1}\xff', provider_headers='{"a":"b"}'
    )
    await ledger.finish(accounts.sealed(claim, said))

    answer = await gateway.get(key, f"/v1/requests/{request_id}/attempts")

    body = answer.json()
    assert (body["object"], body["has_more"]) == ("list", False)
    attempt = body["data"][0]
    assert (attempt["number"], attempt["outcome"], attempt["status_code"]) == (1, "transient", 429)
    assert attempt["provider_error"] == '{"e":1}\ufffd'
    assert attempt["provider_headers"] == {"a": "b"}
    assert attempt["retry_rule"] == "backoff-waits"
    assert attempt["started_at"] <= attempt["finished_at"] <= attempt["retry_at"]


@pytest.mark.parametrize("path", ["", "/attempts"])
async def test_anothers_request_looks_like_none(
    gateway: Gateway, accounts: AccountsStandIn, path: str
) -> None:
    mine = accounts.issue()
    request_id = (await gateway.accept(mine)).json()["id"]
    owner = accounts.of(mine)
    same_project_in_test = accounts.issue("test", project_id=owner.project_id)
    stranger = accounts.issue()
    unknown = f"/v1/requests/{request_id[:-1]}{'0' if request_id[-1] != '0' else '1'}{path}"

    answers = [
        await gateway.get(stranger, f"/v1/requests/{request_id}{path}"),
        await gateway.get(same_project_in_test, f"/v1/requests/{request_id}{path}"),
        await gateway.get(mine, unknown),
        await gateway.get(mine, f"/v1/requests/nonsense{path}"),
        await gateway.get(mine, f"/v1/requests/{'x' * 3000}{path}"),
    ]

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["error"]["code"] == "request_not_found"


async def test_two_slashes_before_the_path_are_one(
    gateway: Gateway, accounts: AccountsStandIn
) -> None:
    url = f"http://127.0.0.1:{gateway.settings.port}//v1/requests/rr_x"

    answer = await gateway.client.get(url, headers={"authorization": f"Bearer {accounts.issue()}"})

    assert answer.json()["error"]["code"] == "request_not_found"


async def test_many_at_once_are_all_stored(
    gateway: Gateway, accounts: AccountsStandIn, ledger: Bench
) -> None:
    key = accounts.issue()

    answers = await gateway.flood(await gateway.learn(key), 200)

    ids = {answer.json()["id"] for answer in answers}
    assert len(ids) == 200
    project_id = accounts.of(key).project_id
    stored = "SELECT count(*) FROM requests WHERE project_id = $1"
    assert await ledger.sql.fetchval(stored, project_id) == 200


async def test_how_long_records_are_kept_comes_with_the_key(
    gateway: Gateway, accounts: AccountsStandIn, ledger: Bench
) -> None:
    key = accounts.issue(metadata_retention_seconds=7 * 86_400)

    await gateway.accept(key)

    kept = await ledger.sql.fetchval(
        "SELECT metadata_seconds FROM project_counters WHERE project_id = $1",
        accounts.of(key).project_id,
    )
    assert kept == 7 * 86_400
