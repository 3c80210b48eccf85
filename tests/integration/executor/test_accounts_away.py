"""An executor asks accounts about a project, and accounts stands still or is away."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import httpx2
import msgspec
import pytest

from libs.common.clock import SystemClock
from libs.common.contracts.accounts import ProviderConnectionAnswer
from libs.common.crypto import SealingKey, SealingKeyring
from libs.common.errors import Unavailable
from libs.common.tokens import ServiceTokens
from services.executor.adapters import accounts
from services.executor.adapters.accounts import AccountsProjects, Seals
from services.executor.adapters.seals import OpenedSeals
from services.executor.ports import Project
from tests.support.accounts_stand_in import AccountsStandIn
from tests.support.service_keys import ServiceKey
from tests.support.waiting import until

PROJECT, STRANGER = "prj_a", "prj_b"
OLD, NEW = "http://old.example/v1", "http://new.example/v1"
FRESH = 0.05
TIMEOUT = 0.3


class Asker(msgspec.Struct, frozen=True):
    """An executor's knowledge, whom it asks, and how often it did."""

    projects: AccountsProjects
    accounts: AccountsStandIn
    asked: list[str]

    async def find(self, project_id: str = PROJECT) -> Project | None:
        return await self.projects.find(project_id, "live")

    async def find_when_old(self) -> Project | None:
        """When what is known is no longer fresh."""
        old_at = time.monotonic() + FRESH
        await until(lambda: time.monotonic() > old_at)
        return await self.find()


@pytest.fixture
async def asker(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Asker]:
    monkeypatch.setattr(accounts, "ASK_AGAIN_SECONDS", FRESH)
    monkeypatch.setattr(accounts, "FRESH_SECONDS", FRESH)
    monkeypatch.setattr(accounts, "ASK_AGAIN_IN_OUTAGE", TIMEOUT)
    monkeypatch.setattr(accounts, "_TIMEOUT_SECONDS", TIMEOUT)
    key, asked = ServiceKey("executor"), list[str]()
    told = AccountsStandIn(ServiceKey("gateway"), b"p" * 32, key)
    told.connect(PROJECT, OLD)

    async def note(request: httpx2.Request) -> None:
        asked.append(request.url.path)

    hooks = {"request": [note]}
    async with (
        told.running(),
        httpx2.AsyncClient(base_url=told.url, trust_env=False, event_hooks=hooks) as client,
    ):
        tokens = ServiceTokens("executor", key.key_id, key.private.reveal(), SystemClock())
        seals = Seals(_opens(told.executor), _opens(told.data_plane))
        asking = Asker(AccountsProjects(client, tokens, seals, OLD), told, asked)
        yield asking
        told.speak()
        await asking.find_when_old()  # what is under way ends before its client does


def _opens(key: SealingKey) -> OpenedSeals:
    return OpenedSeals(SealingKeyring([key]))


def at_once(question: Coroutine[Any, Any, Project | None]) -> Project | None:
    """Its answer, for which nothing is waited."""
    try:
        question.send(None)
    except StopIteration as answered:
        return answered.value  # type: ignore[no-any-return]  # what the coroutine returns
    question.close()
    raise AssertionError("it waits")


def base_url(project: Project | None) -> str:
    assert project is not None
    assert project.connection is not None
    return project.connection.base_url


@pytest.mark.fault(92)
async def test_once_its_silence_is_noticed_nobody_waits_for_it(asker: Asker) -> None:
    await asker.find()
    asker.accounts.silence()

    assert base_url(await asker.find_when_old()) == OLD
    before = len(asker.asked)
    answers = [at_once(asker.find()) for _ in range(1_000)]

    assert {base_url(answer) for answer in answers} == {OLD}
    assert len(asker.asked) == before


@pytest.mark.fault(92)
async def test_it_is_asked_now_and_then_and_believed_as_soon_as_it_answers(asker: Asker) -> None:
    await asker.find()
    asker.accounts.silence()
    await asker.find_when_old()
    asker.accounts.connect(PROJECT, NEW)

    async def has_asked_again() -> bool:
        at_once(asker.find())
        await asyncio.sleep(0)
        return len(asker.asked) > 2

    await until(has_asked_again)
    asker.accounts.speak()

    async def is_told() -> bool:
        return base_url(await asker.find()) == NEW

    await until(is_told)
    before = len(asker.asked)
    await asker.find_when_old()
    assert len(asker.asked) == before + 1


@pytest.mark.fault(92)
async def test_who_is_not_known_is_not_waited_for_without_end(asker: Asker) -> None:
    await asker.find()
    asker.accounts.silence()
    await asker.find_when_old()

    began_at = time.monotonic()
    with pytest.raises(Unavailable):
        await asker.find(STRANGER)

    assert time.monotonic() - began_at < 10 * TIMEOUT


@pytest.mark.fault(92)
async def test_what_it_said_ends_in_the_end(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    await asker.find()
    asker.accounts.silence()
    await asker.find_when_old()
    assert base_url(at_once(asker.find())) == OLD

    monkeypatch.setattr(accounts, "STABLE_SECONDS", FRESH)
    with pytest.raises(Unavailable):
        await asker.find()


@pytest.mark.fault(92)
async def test_one_projects_error_is_no_outage(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a project that accounts cannot show would keep the others from what is new."""
    await asker.find()
    show = asker.accounts._show  # noqa: SLF001  # what breaks is deep inside

    def fail(project_id: str) -> ProviderConnectionAnswer:
        if project_id == STRANGER:
            raise RuntimeError
        return show(project_id)

    monkeypatch.setattr(asker.accounts, "_show", fail)
    with pytest.raises(Unavailable):
        await asker.find(STRANGER)
    asker.accounts.connect(PROJECT, NEW)

    assert base_url(await asker.find_when_old()) == NEW


@pytest.mark.fault(92)
async def test_one_projects_broken_seal_is_no_outage(asker: Asker) -> None:
    await asker.find()
    broken = asker.accounts.connections[PROJECT]
    other = SealingKey.generate().public.seal(b"sk", "")
    asker.accounts.connections[STRANGER] = msgspec.structs.replace(broken, sealed_key=other)
    with pytest.raises(Unavailable):
        await asker.find(STRANGER)
    asker.accounts.connect(PROJECT, NEW)

    assert base_url(await asker.find_when_old()) == NEW
