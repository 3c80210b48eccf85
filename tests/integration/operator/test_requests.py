"""`reqrun requests`: found, told in words, cancelled, tried again; never their content."""

import asyncio
import json
from typing import Any

import httpx2
import pytest

from deploy.local.programs import Program, ProgramFailed, run_once
from deploy.local.servers.postgresql import binaries
from libs.common.errors import AppError
from libs.ledger.states import State
from tests.support import desks
from tests.support.desks import AtDesk
from tests.support.stack import System
from tests.support.waiting import until

CANARY = "canary-prompt-7f3a"


async def submit(api: httpx2.AsyncClient, model: str) -> str:
    body = {"model": model, "messages": [{"role": "user", "content": CANARY}]}
    answer = await api.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def ended(api: httpx2.AsyncClient, request_id: str, state: str) -> None:
    async def is_so() -> bool:
        return bool((await api.get(f"/v1/requests/{request_id}")).json()["status"] == state)

    await until(is_so)


async def failed(api: httpx2.AsyncClient) -> str:
    request_id = await submit(api, "sim-400")
    await ended(api, request_id, "failed")
    return request_id


def sql(system: System, database: str, statement: str) -> str:
    return system.stack.postgresql.execute(statement, database).strip()


async def ask(desk: AtDesk, *words: str) -> Any:
    """Answers open loops of their own, as `main` does; this test has one already."""
    return await asyncio.to_thread(desk.ask, *words)


async def test_filters_find_what_they_name(
    system: System, desk: AtDesk, api: httpx2.AsyncClient
) -> None:
    one, other = await failed(api), await submit(api, "sim-ok")
    await ended(api, other, "completed")
    where = ("--project", system.seeded.project_id, "--since", "10m")

    by_state = await ask(desk, "requests", "list", *where, "--state", "failed")
    by_code = await ask(desk, "requests", "list", *where, "--error-code", "provider_rejected")
    by_model = await ask(desk, "requests", "list", *where, "--model", "sim-ok")
    nothing = await ask(desk, "requests", "list", "--project", "prj_nobodys")

    assert one in [found.id for found in by_state.requests]
    assert one in [found.id for found in by_code.requests]
    assert {found.state for found in by_state.requests} == {State.FAILED}
    assert other in [found.id for found in by_model.requests]
    assert (nothing.is_good, nothing.requests) == (False, [])


async def test_pages_follow_each_other_without_a_gap(desk: AtDesk, api: httpx2.AsyncClient) -> None:
    made = [await submit(api, "sim-ok") for _ in range(5)]
    seen: list[str] = []
    before: tuple[str, ...] = ()
    for _ in range(3):
        page = await ask(desk, "requests", "list", "--since", "10m", "--limit", "2", *before)
        seen += [found.id for found in page.requests]
        before = ("--before", page.before)

    assert seen[:5] == made[::-1]


async def test_a_story_is_told_in_words_without_prompt_or_answer(
    environ: dict[str, str], api: httpx2.AsyncClient
) -> None:
    request_id = await submit(api, "sim-429-twice")
    await ended(api, request_id, "completed")

    text = desks.run(environ, "requests", "show", request_id)
    data = desks.run(environ, "requests", "show", request_id, "--json")

    assert (text.returncode, data.returncode) == (0, 0)
    assert "Attempt 1: failed, worth repeating (429)" in text.stdout
    assert "because the provider asked for it" in text.stdout
    assert [one["title"] for one in json.loads(data.stdout)["moments"]][-1].startswith("Completed")
    for secret in (CANARY, "This is the simulator"):
        assert secret not in text.stdout + data.stdout + text.stderr + data.stderr


async def test_what_is_not_there_is_said_in_json_too(environ: dict[str, str]) -> None:
    done = desks.run(environ, "requests", "show", "rr_nobodys", "--json")

    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["code"] == "request_not_found"


async def test_a_named_request_is_cancelled_and_its_owner_can_see_by_whom(
    system: System, desk: AtDesk, api: httpx2.AsyncClient
) -> None:
    request_id = await submit(api, "sim-slow-60000ms")

    changed = await ask(desk, "requests", "cancel", request_id)

    assert (changed.is_good, changed.done, changed.is_dry_run) == (True, 1, False)
    await ended(api, request_id, "cancelled")
    audit = f"SELECT actor, what FROM audit_events WHERE subject_id = '{request_id}'"  # noqa: S608
    assert "operator" in sql(system, "accounts", audit)
    assert "request.cancelled" in sql(system, "accounts", audit)


async def test_bulk_is_a_dry_run_until_it_is_meant(
    system: System, desk: AtDesk, api: httpx2.AsyncClient
) -> None:
    made = {await submit(api, "sim-slow-50000ms") for _ in range(3)}
    words = ("requests", "cancel", "--project", system.seeded.project_id, "--model",
             "sim-slow-50000ms")  # fmt: skip

    dry = await ask(desk, *words)
    assert (dry.is_dry_run, dry.found, dry.done) == (True, 3, 0)
    both = await ask(desk, *words, "--yes", "--dry-run")
    assert (both.is_dry_run, both.done) == (True, 0)
    some = await ask(desk, *words, "--yes", "--limit", "2")
    assert (some.is_good, some.done) == (True, 2)
    rest = await ask(desk, *words, "--yes")

    assert rest.done == 1
    assert {one.request_id for one in (*some.requests, *rest.requests)} == made
    assert (await ask(desk, *words, "--yes")).is_good is False


async def test_failed_requests_are_tried_again_and_what_is_refused_has_its_code(
    desk: AtDesk, api: httpx2.AsyncClient
) -> None:
    first, second = await failed(api), await submit(api, "sim-ok")
    await ended(api, second, "completed")

    changed = await ask(desk, "requests", "retry", first, second)

    by_id = {one.request_id: one for one in changed.requests}
    assert (changed.is_good, changed.done, changed.refused) == (False, 1, 1)
    assert by_id[first].made is not None
    assert by_id[second].code == "not_failed"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("requests", "cancel"), "no_filter"),
        (("requests", "cancel", "rr_nobodys"), "request_not_found"),
        (("requests", "retry", "--yes"), "no_filter"),
    ],
    ids=["nothing named", "nobody's", "yes to everything"],
)
async def test_what_is_too_vague_is_refused(
    desk: AtDesk, words: tuple[str, ...], code: str
) -> None:
    with pytest.raises(AppError) as refused:
        await ask(desk, *words)

    assert refused.value.code == code


def test_the_operators_role_reads_no_content_and_writes_nothing(system: System) -> None:
    url = system.stack.postgresql.database_url(
        "requests", "reqrun_operator", system.stack.site.keys.services["operator"]
    )
    for forbidden in (
        "SELECT content FROM bodies",
        "SELECT secret FROM body_keys",
        "SELECT fingerprint FROM idempotency_keys",
        "SELECT body FROM outbox",
        "DELETE FROM live",
        "UPDATE results SET state = 'completed'",
        "INSERT INTO erasures (project_id, account_id) VALUES ('a', 'b')",
    ):
        assert "permission denied" in refused_by(url, forbidden)


def refused_by(url: str, statement: str) -> str:
    command = (str(binaries() / "psql"), "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", url)
    with pytest.raises(ProgramFailed) as refused:
        run_once(Program(name="psql", command=command, environment={}), statement)
    return str(refused.value)
