"""What accounts asks gateways about requests, through the adapter that it asks with."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from libs.common import periods
from libs.common.clock import SystemClock
from libs.common.contracts import gateway as contract
from libs.common.contracts.executor import TokenUsage
from libs.common.contracts.gateway import RequestsQuestion
from libs.common.contracts.stats import stats_path
from libs.common.errors import AppError, Conflict, Gone, InvalidInput, LimitReached, NotFound
from libs.common.ids import new_id
from libs.ledger import export
from tests.support.accounts_stand_in import LIMITS, AccountsStandIn
from tests.support.gateways import Gateway, bearer
from tests.support.ledgers import Bench, retry
from tests.support.overseen import ERROR, RESULT, Project
from tests.support.service_keys import ServiceKey

SENT = b'{"model":"gpt-5-nano","messages":[{"role":"user","content":"Hello"}]}'


def told(error: pytest.ExceptionInfo[AppError]) -> tuple[type[AppError], str]:
    return type(error.value), error.value.code


async def test_a_list_is_filtered_and_comes_in_pages(project: Project) -> None:
    done, waiting = await project.submit(model="a"), await project.submit(model="b")
    await project.complete(done)
    keyed = await project.submit(idempotency_key="order-1")

    assert await project.ids() == [keyed, waiting, done]
    assert await project.ids(state=("completed",)) == [done]
    assert await project.ids(state=("completed", "queued")) == [keyed, waiting, done]
    assert await project.ids(model="b") == [waiting]
    assert await project.ids(created_after=datetime(2020, 1, 1, tzinfo=UTC)) != []
    assert await project.ids(created_before=datetime(2020, 1, 1, tzinfo=UTC)) == []
    assert await project.ids(idempotency_key="order-1") == [keyed]
    assert await project.ids(idempotency_key="order-2") == []
    assert await project.ids(idempotency_key="order-1", state=("failed",)) == []
    assert await project.ids(mode="test") == []

    first = await project.asking.list_requests(project.id, RequestsQuestion(mode="live", limit=2))
    assert first.before == waiting
    rest = RequestsQuestion(mode="live", limit=2, before=first.before)
    last = await project.asking.list_requests(project.id, rest)
    assert ([one.id for one in last.requests], last.before) == ([done], None)


async def test_a_row_tells_what_a_person_wants_to_know(project: Project) -> None:
    done, waiting = await project.submit(), await project.submit(idempotency_key="order-1")
    await project.complete(done)

    rows = (await project.asking.list_requests(project.id, RequestsQuestion(mode="live"))).requests
    queued, completed = rows

    assert (queued.id, queued.state, queued.idempotency_key) == (waiting, "queued", "order-1")
    assert (queued.finished_at, queued.attempts) == (None, 0)
    assert queued.not_before is not None
    assert (completed.state, completed.not_before, completed.attempts) == ("completed", None, 1)
    assert completed.finished_at == completed.updated_at
    assert (completed.model, completed.endpoint) == ("gpt-5-nano", "chat/completions")
    assert not completed.is_erased


async def test_a_key_finds_the_request_and_its_retries(project: Project) -> None:
    first = await project.submit(idempotency_key="order-1")
    await project.fail(first)
    change = await project.asking.retry(project.id, first, project.context)

    assert change.state == "queued"
    assert await project.ids(idempotency_key="order-1") == [change.request_id, first]
    assert (await project.asking.show(project.id, change.request_id)).request.retried_from == first


async def test_the_timeline_tells_why_each_wait_was(project: Project) -> None:
    request_id = await project.submit()
    await project.refuse(request_id, timedelta(hours=1))

    answer = await project.asking.show(project.id, request_id)

    [attempt] = answer.attempts
    assert (attempt.number, attempt.outcome, attempt.status_code) == (1, "transient", 429)
    assert (attempt.retry_rule, attempt.error_code) == ("retry-after", "provider_unavailable")
    assert attempt.provider_headers == {"retry-after": "2"}
    assert attempt.sent_at is not None
    assert attempt.finished_at is not None
    assert attempt.retry_at == answer.request.not_before
    assert (answer.request.state, answer.waits_for) == ("retrying", "retry")
    assert (answer.max_attempts, answer.tokens) == (8, None)
    assert answer.deadline is not None
    assert answer.request.mode == "live"


async def test_a_finished_request_tells_its_usage(project: Project) -> None:
    request_id = await project.submit()
    await project.complete(request_id)

    answer = await project.asking.show(project.id, request_id)

    assert answer.tokens == answer.attempts[0].tokens == TokenUsage(3, 4, 7)
    assert (answer.waits_for, answer.deadline, answer.max_attempts) == (None, None, None)
    assert answer.content_expires_on > datetime.now(UTC).date()


async def test_what_a_request_waits_for_is_said(project: Project) -> None:
    request_id = await project.submit()

    async def waits_for() -> str | None:
        return (await project.asking.show(project.id, request_id)).waits_for

    assert await waits_for() == "executor"
    await project.ledger.dispatcher.pause(project.id)
    assert await waits_for() == "resume"
    await project.ledger.dispatcher.resume(project.id)
    assert await waits_for() == "slot"
    await project.ledger.dispatcher.release()
    await project.claim(request_id)
    assert await waits_for() is None
    running = (await project.asking.show(project.id, request_id)).attempts
    assert [(one.number, one.outcome, one.finished_at) for one in running] == [(1, None, None)]


async def test_a_connection_that_cools_down_is_what_its_requests_wait_for(
    project: Project,
) -> None:
    first, second = await project.submit(model="m"), await project.submit(model="m")
    claim = await project.claim(first)
    await project.ledger.finish(retry(claim, cooldown=timedelta(minutes=5)))

    assert (await project.asking.show(project.id, second)).waits_for == "cool_down"


async def test_content_is_told_in_plain(project: Project) -> None:
    request_id = await project.submit()
    await project.refuse(request_id)
    await project.ledger.dispatcher.release()
    await project.complete(request_id)

    content = await project.asking.open_content(project.id, request_id, project.context)

    assert (content.request, content.result) == (SENT, RESULT)
    assert (content.errors, content.gone) == ({1: ERROR}, None)


async def test_content_that_is_gone_is_said_to_be(project: Project) -> None:
    erased, expired = await project.submit(), await project.submit()
    await project.gateway.client.delete(f"/v1/requests/{erased}", headers=bearer(project.key))
    for table in ("bodies", "body_keys"):
        statement = f"DELETE FROM {table} WHERE request_id = $1"  # noqa: S608  # constants
        await project.ledger.sql.execute(statement, expired)

    answers = [
        await project.asking.open_content(project.id, request_id, project.context)
        for request_id in (erased, expired)
    ]

    assert [(one.request, one.result, one.errors) for one in answers] == [(None, None, {})] * 2
    assert [one.gone for one in answers] == ["erased", "expired"]
    assert (await project.asking.show(project.id, erased)).request.is_erased


async def taken_along(
    project: Project, before: str | None = None, limit: int = 100
) -> contract.ExportAnswer:
    question = contract.ExportQuestion(
        mode="live", before=before, limit=limit, context=project.context
    )
    return await project.asking.export(project.id, question)


async def test_an_export_tells_what_the_pages_of_single_requests_tell(project: Project) -> None:
    again, done, erased = [await project.submit() for _ in range(3)]
    await project.refuse(again)
    await project.ledger.dispatcher.release()
    await project.complete(again)
    await project.complete(done)
    await project.gateway.client.delete(f"/v1/requests/{erased}", headers=bearer(project.key))
    running = await project.submit(idempotency_key="order-1")
    await project.claim(running)

    answer = await taken_along(project)

    assert [one.request.id for one in answer.requests] == [running, erased, done, again]
    assert answer.before is None
    for one in answer.requests:
        shown = await project.asking.show(project.id, one.request.id)
        content = await project.asking.open_content(project.id, one.request.id, project.context)
        assert (one.request, one.attempts) == (shown.request, shown.attempts)
        assert (one.tokens, one.content) == (shown.tokens, content)


async def test_an_export_comes_in_pages(project: Project) -> None:
    ids = [await project.submit() for _ in range(5)]

    first = await taken_along(project, limit=2)
    second = await taken_along(project, first.before, limit=2)
    last = await taken_along(project, second.before, limit=2)

    found = [one.request.id for page in (first, second, last) for one in page.requests]
    assert found == ids[::-1]
    assert last.before is None


async def test_a_page_of_an_export_ends_before_it_is_heavy(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [await project.submit() for _ in range(3)]
    sealed = await project.ledger.sql.fetchval(
        "SELECT max(octet_length(content)) FROM bodies WHERE request_id = ANY($1)", ids
    )
    pages = []
    for most in (2 * sealed, sealed - 1):
        monkeypatch.setattr(export, "BYTES", most)
        pages.append(await taken_along(project))

    assert [[one.request.id for one in page.requests] for page in pages] == [
        [ids[2], ids[1]],
        [ids[2]],
    ]
    assert [page.before for page in pages] == [ids[1], ids[2]]


async def test_what_does_not_open_costs_an_export_nothing_else(project: Project) -> None:
    good, broken = await project.submit(), await project.submit()
    await project.ledger.sql.execute(
        "UPDATE body_keys SET secret = decode(repeat('00', 16), 'hex') WHERE request_id = $1",
        broken,
    )

    told = {one.request.id: one.content for one in (await taken_along(project)).requests}

    opened = told[good]
    assert told[broken] is None
    assert opened is not None
    assert opened.request == SENT


async def test_without_a_context_an_export_opens_nothing(project: Project) -> None:
    request_id = await project.submit()
    question = contract.ExportQuestion(mode="live", before=None)

    [one] = (await project.asking.export(project.id, question)).requests

    assert (one.request.id, one.content) == (request_id, None)


async def test_a_request_is_cancelled_once(project: Project) -> None:
    request_id = await project.submit()

    change = await project.asking.cancel(project.id, request_id, project.context)

    assert (change.request_id, change.state) == (request_id, "cancelled")
    with pytest.raises(Conflict) as refused:
        await project.asking.cancel(project.id, request_id, project.context)
    assert told(refused) == (Conflict, "already_finished")
    assert "cancelled" in str(refused.value)


async def test_a_retry_runs_the_same_body_under_the_same_rules(project: Project) -> None:
    request_id = await project.submit()
    with pytest.raises(Conflict) as refused:
        await project.asking.retry(project.id, request_id, project.context)
    assert told(refused) == (Conflict, "not_failed")
    await project.fail(request_id)

    full = msgspec.structs.replace(
        project.context, limits=msgspec.structs.replace(LIMITS, pending=0)
    )
    with pytest.raises(LimitReached) as over:
        await project.asking.retry(project.id, request_id, full)
    assert told(over) == (LimitReached, "pending_limit_exceeded")
    assert over.value.retry_after is not None

    first, second = [
        await project.asking.retry(project.id, request_id, project.context) for _ in range(2)
    ]
    assert first.request_id == second.request_id != request_id
    claim = await project.claim(first.request_id)
    assert claim.body is not None
    assert project.accounts.body_seal(claim).open(claim.body, "request") == SENT


async def test_a_retry_takes_from_the_calls_a_minute(project: Project) -> None:
    request_id = await project.submit()
    await project.fail(request_id)
    limits = msgspec.structs.replace(LIMITS, requests_per_minute=1)
    slow = msgspec.structs.replace(project.context, limits=limits, key_id=new_id("usr"))

    await project.asking.retry(project.id, request_id, slow)
    with pytest.raises(LimitReached) as refused:
        await project.asking.retry(project.id, request_id, slow)
    assert told(refused) == (LimitReached, "rate_limit_exceeded")


async def test_an_erased_request_is_not_retried(project: Project) -> None:
    request_id = await project.submit()
    await project.fail(request_id)
    await project.gateway.client.delete(f"/v1/requests/{request_id}", headers=bearer(project.key))

    with pytest.raises(Gone) as refused:
        await project.asking.retry(project.id, request_id, project.context)
    assert told(refused) == (Gone, "result_erased")


async def test_another_projects_request_is_not_there(
    project: Project, gateway: Gateway, accounts: AccountsStandIn, ledger: Bench
) -> None:
    other = Project(gateway, accounts, ledger, project.asking)
    request_id = await project.submit()

    for ask in (
        other.asking.show(other.id, request_id),
        other.asking.open_content(other.id, request_id, other.context),
        other.asking.cancel(other.id, request_id, other.context),
        other.asking.retry(other.id, request_id, other.context),
        # A context of one project under the path of another.
        other.asking.open_content(project.id, request_id, other.context),
        other.asking.cancel(project.id, request_id, other.context),
        other.asking.export(
            project.id,
            contract.ExportQuestion(mode="live", before=None, context=other.context),
        ),
        # The other mode.
        other.asking.cancel(
            project.id, request_id, msgspec.structs.replace(project.context, mode="test")
        ),
        other.asking.show(project.id, "rr_none"),
        other.asking.show(project.id, "../../../accounts/acc_a/standing"),
        other.asking.show(project.id, new_id("rr")),
    ):
        with pytest.raises(NotFound) as refused:
            await ask
        assert refused.value.code == "request_not_found"
    assert await other.ids() == []
    assert (await project.asking.show(project.id, request_id)).request.state == "queued"


async def test_a_suspended_project_starts_nothing_and_its_people_may_read_and_end_what_there_is(
    project: Project,
) -> None:
    failed, waiting = await project.submit(), await project.submit()
    await project.fail(failed)
    suspended = msgspec.structs.replace(project.context, is_suspended=True)

    with pytest.raises(AppError) as refused:
        await project.asking.retry(project.id, failed, suspended)

    assert refused.value.code == "project_suspended"
    assert (await project.asking.open_content(project.id, failed, suspended)).request is not None
    ended = await project.asking.cancel(project.id, waiting, suspended)
    assert ended.state == "cancelled"


async def test_an_account_stands_where_its_limits_count(project: Project) -> None:
    account_id = project.context.account_id
    done, _ = await project.submit(), await project.submit()
    await project.complete(done)

    standing = await project.asking.standing(account_id, 1)
    nothing = await project.asking.standing(new_id("acc"), 1)

    assert (standing.pending, standing.pending_test, standing.accepted) == (1, 0, 2)
    assert (nothing.pending, nothing.pending_test, nothing.accepted) == (0, 0, 0)
    now = datetime.now(UTC)
    assert now < standing.resets_at <= now + timedelta(days=31)
    assert (standing.resets_at.day, standing.resets_at.hour) == (1, 0)
    last_month = "UPDATE account_counters SET period = period - 1 WHERE account_id = $1"
    await project.ledger.sql.execute(last_month, account_id)
    assert (await project.asking.standing(account_id, 1)).accepted == 0


async def test_an_account_stands_in_its_own_period(
    gateway: Gateway, accounts_key: ServiceKey
) -> None:
    path = contract.account_standing_path(new_id("acc"))
    headers = accounts_key.headers(contract.AUDIENCE, SystemClock())
    answer = await gateway.internal.get(path, params={"anchor_day": 31}, headers=headers)
    refused = await gateway.internal.get(path, params={"anchor_day": 32}, headers=headers)

    standing = msgspec.json.decode(answer.content, type=contract.AccountStandingAnswer)
    assert standing.resets_at == periods.resets_at(31, datetime.now(UTC))
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unsupported_parameter")


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("", "mode"),
        ("mode=both", "mode"),
        ("mode=live&limit=0", "limit"),
        ("mode=live&limit=x", "limit"),
        ("mode=live&limit=1&limit=2", "limit"),
        ("mode=live&state=done", "state"),
        ("mode=live&created_after=soon", "created_after"),
        ("mode=live&created_after=2026-01-01T00:00:00", "created_after"),
        ("mode=live&model=", "model"),
        ("mode=live&model=%00", "model"),
        ("mode=live&idempotency_key=", "idempotency_key"),
        ("mode=live&before=rr_1", "before"),
        ("mode=live&colour=red", "colour"),
        ("mode=live&model=%ff", "UTF-8"),
    ],
)
async def test_wrong_filters_are_refused_in_so_many_words(
    gateway: Gateway, accounts_key: ServiceKey, query: str, text: str
) -> None:
    answer = await gateway.internal.get(
        f"{contract.requests_path('prj_a')}?{query}",
        headers=accounts_key.headers(contract.AUDIENCE, SystemClock()),
    )

    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["code"] == "unsupported_parameter"
    assert text in error["message"]


async def test_the_adapter_passes_on_what_is_wrong(project: Project) -> None:
    with pytest.raises(InvalidInput) as refused:
        await project.ids(before="rr_1")
    assert refused.value.code == "unsupported_parameter"
    assert "`before`" in str(refused.value)


async def test_only_accounts_may_ask(
    gateway: Gateway, accounts_key: ServiceKey, gateway_key: ServiceKey
) -> None:
    paths = (
        f"{contract.requests_path('prj_a')}?mode=live",
        f"{stats_path('prj_a')}?mode=live",
        contract.request_path("prj_a", new_id("rr")),
        contract.account_standing_path("acc_a"),
    )
    clock = SystemClock()
    for headers, status in (
        (gateway_key.headers(contract.AUDIENCE, clock), 403),
        (accounts_key.headers("accounts", clock), 401),
        (ServiceKey("accounts").headers(contract.AUDIENCE, clock), 401),
        ({}, 401),
    ):
        for path in paths:
            assert (await gateway.internal.get(path, headers=headers)).status_code == status
    changing = await gateway.internal.post(
        contract.cancel_path("prj_a", new_id("rr")), headers=accounts_key.headers("x", clock)
    )
    assert changing.status_code == 401
    taking = contract.ExportQuestion(mode="live", before=None)
    body = msgspec.json.encode(taking)
    for headers in (gateway_key.headers(contract.AUDIENCE, clock), {}):
        asked = await gateway.internal.post(
            contract.export_path("prj_a"), content=body, headers=headers
        )
        assert asked.status_code in {401, 403}
    # The public port has no such paths.
    assert (await gateway.client.get(paths[0])).status_code == 404
