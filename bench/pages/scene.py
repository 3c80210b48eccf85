"""What is there before a page is asked for: two customers, and what they have sent."""

import re
import time
from typing import Any, Final

import asyncpg
import httpx2
import msgspec

from bench.pages.addresses import Ids
from bench.pages.content import data_key, fill_content
from bench.pages.customer import Customer
from bench.pages.fill import Owner, Sql, fill
from bench.usage import Roots
from deploy.local.programs import ProgramFailed
from deploy.local.stack import Stack

_OPERATOR_PLAN: Final = "operator"
_WORKERS: Final = ("executor", "dispatcher")
_PARTS: Final = ("accounts", "gateway", "billing")
FIRST_REQUESTS: Final = 5
_PATIENCE_SECONDS: Final = 60.0
_LOOK_SECONDS: Final = 0.2
_REFUSED: Final = frozenset({401, 403, 409, 429, 503})

_NTH: Final = """
SELECT id FROM requests WHERE project_id = $1 AND mode = 'live'
ORDER BY project_id, mode, id OFFSET $2 LIMIT 1
"""
_ENDED: Final = """
SELECT request_id FROM results WHERE project_id = $1 AND mode = 'live' AND state = $2
    AND attempts = 3 ORDER BY project_id, mode, state, request_id DESC LIMIT 1
"""
_OPEN: Final = "SELECT id FROM live WHERE project_id = $1 AND state = $2 LIMIT 1"


class Scene(msgspec.Struct, frozen=True):
    """`customer`: of the many requests. `leaving`: who exports. `roots`: whose CPU counts."""

    customer: Customer
    leaving: Customer
    ids: Ids
    roots: Roots


async def set_up(stack: Stack, ended: int, opened: int, exported: int) -> Scene:
    """Sign up, write the rows, stop who would work on them. ProgramFailed."""
    customer, owner = _settle(stack)
    leaving, other = _settle(stack)
    for name in _WORKERS:
        stack.process(name).stop()
    sql = await asyncpg.connect(stack.postgresql.database_url("requests"))
    try:
        await fill(sql, owner, ended, opened)
        await fill(sql, other, exported, 0)
        await fill_content(sql, await data_key(stack, other.project_id), other.project_id)
        ids = await _ids(sql, owner.project_id, ended, _write(customer))
    finally:
        await sql.close()
    roots = {name: [stack.process(name).pid] for name in _PARTS}
    return Scene(customer, leaving, ids, {**roots, "postgresql": [stack.postgresql.pid]})


def _settle(stack: Stack) -> tuple[Customer, Owner]:
    """Somebody with a project, who has sent some requests in either mode."""
    customer = Customer(stack.url("accounts"), stack.url("mail"))
    account: str = _operate(stack, "people", "find", customer.email)["account_id"]
    _operate(stack, "accounts", "plan", account, _OPERATOR_PLAN)
    project = customer.make_project("Two million")
    provider = f"{stack.url('simulator')}/v1"
    customer.send(
        f"/projects/{project}/provider", base_url=provider, provider_key="sk-simulated-key-0000"
    )
    for mode in ("live", "test"):
        key = customer.make_key(project, mode)
        for _ in range(FIRST_REQUESTS):
            _call(stack, key)
    return customer, Owner(account, project)


def _call(stack: Stack, key: str) -> None:
    """Until it is taken: a new plan takes a moment to be known everywhere."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    order = {"model": "sim-ok", "messages": [{"role": "user", "content": "Hello"}], "wait": True}
    while time.monotonic() < deadline:
        answer = httpx2.post(
            f"{stack.base_url}/v1/chat/completions",
            headers={"authorization": f"Bearer {key}"},
            json=order,
            trust_env=False,
            timeout=_PATIENCE_SECONDS,
        )
        if answer.is_success:
            return
        if answer.status_code not in _REFUSED:
            break
        time.sleep(_LOOK_SECONDS)
    raise ProgramFailed(f"a first request was answered {answer.status_code}")


def _write(customer: Customer) -> str:
    """A support message; its id."""
    sent = customer.send("/support", kind="question", subject="A question", text="Where is it?")
    found = re.search(r"/support/(\w+)", sent.headers["location"])
    if found is None:
        raise ProgramFailed("the dashboard took no support message")
    return found[1]


async def _ids(sql: Sql, project: str, ended: int, thread: str) -> Ids:
    async def one(question: str, *values: object) -> str:
        return str(await sql.fetchval(question, project, *values))

    return Ids(
        project=project,
        thread=thread,
        middle=await one(_NTH, ended // 2),
        oldest=await one(_NTH, 20),
        completed=await one(_ENDED, "completed"),
        failed=await one(_ENDED, "failed"),
        processing=await one(_OPEN, "processing"),
        queued=await one(_OPEN, "queued"),
        retrying=await one(_OPEN, "retrying"),
    )


def _operate(stack: Stack, *words: str) -> Any:
    return msgspec.json.decode(stack.operate((*words, "--json"), {}))
