import asyncio
import secrets
from collections.abc import Mapping, Sequence
from datetime import timedelta

import msgspec
import pytest

from libs.common.content import new_data_key
from libs.common.contracts.accounts import KeyContext, KeyDigests, data_key_context
from libs.common.crypto import SealingKey, SealingKeyring, digest, issue_api_key
from libs.common.errors import AppError, Unavailable
from services.gateway.domain.errors import (
    AccountsAway,
    InvalidApiKey,
    ProjectSuspended,
)
from services.gateway.ports import LastContext, Ports
from services.gateway.use_cases import callers
from services.gateway.use_cases.callers import Callers, Secrets
from tests.support.accounts_stand_in import context
from tests.support.frozen_clock import FrozenClock

PEPPER, OLDER_PEPPER = secrets.token_bytes(32), secrets.token_bytes(32)
DATA_KEY = new_data_key()


class World:
    """Accounts and the last contexts in memory, and both clocks in the test's hand."""

    def __init__(self) -> None:
        self.clock, self.keyring_key = FrozenClock(), SealingKey.generate()
        self.seconds = 1000.0
        self.contexts: dict[str, KeyContext] = {}
        self.kept: dict[str, LastContext] = {}
        self.questions: list[list[str]] = []
        self.is_away = False
        self.answering = asyncio.Event()
        self.answering.set()
        self.callers = self.gateway()

    def gateway(self) -> Callers:
        """A gateway that has just started."""
        ports = Ports(
            ledger=None,  # type: ignore[arg-type]  # knows of no requests
            hints=None,  # type: ignore[arg-type]  # as above
            accounts=self,
            last_contexts=self,
            rates=None,  # type: ignore[arg-type]  # as above
            wakeups=None,  # type: ignore[arg-type]  # as above
            models=None,  # type: ignore[arg-type]  # as above
            clock=self.clock,
        )
        secrets = Secrets([PEPPER, OLDER_PEPPER], SealingKeyring([self.keyring_key]))
        return Callers(ports, secrets, monotonic=lambda: self.seconds)

    def issue(self, **changes: object) -> str:
        key = issue_api_key("live")
        known = self.context(key, **changes)
        self.contexts[known.digest] = known
        return key

    def context(self, key: str, **changes: object) -> KeyContext:
        known = context(key, PEPPER, **changes)  # type: ignore[arg-type]  # any field
        sealed = self.keyring_key.public.seal(DATA_KEY, data_key_context(known.project_id))
        return msgspec.structs.replace(known, sealed_data_key=sealed)

    def revoke(self, key: str) -> None:
        del self.contexts[digest(key, PEPPER).hex()]

    def advance(self, seconds: float) -> None:
        self.seconds += seconds
        self.clock.advance(timedelta(seconds=seconds))

    async def settle(self) -> None:
        """Let what goes on in the background come to its end."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def resolve(self, keys: Sequence[KeyDigests]) -> Mapping[str, KeyContext]:
        self.questions.append([key.digest for key in keys])
        answer = {key.digest: known for key in keys if (known := self.find_any(key)) is not None}
        is_away = self.is_away
        await self.answering.wait()
        if is_away:
            raise AccountsAway
        return answer

    def find_any(self, key: KeyDigests) -> KeyContext | None:
        found = (self.contexts.get(one) for one in (key.digest, *key.older))
        known = next((one for one in found if one is not None), None)
        return known and msgspec.structs.replace(known, digest=key.digest)

    async def find(self, digests: Sequence[str]) -> Mapping[str, LastContext]:
        return {one: self.kept[one] for one in digests if one in self.kept}

    def keep(self, contexts: Sequence[LastContext], *, gone: Sequence[str]) -> None:
        self.kept |= {last.context.digest: last for last in contexts}
        for one in gone:
            self.kept.pop(one, None)


@pytest.fixture
def world() -> World:
    return World()


async def test_a_key_in_use_is_asked_about_once_in_two_seconds_and_never_waits(
    world: World,
) -> None:
    key = world.issue()
    await world.callers.identify(key)
    world.answering.clear()

    for _ in range(20):
        world.advance(0.1)
        await world.callers.identify(key)
        await world.settle()

    assert len(world.questions) == 2
    world.answering.set()
    await world.settle()


async def test_a_revoked_key_ends_within_three_seconds(world: World) -> None:
    key = world.issue()
    await world.callers.identify(key)
    world.revoke(key)
    world.advance(callers.GOOD_FOR)

    with pytest.raises(InvalidApiKey):
        await world.callers.identify(key)


async def test_an_answer_counts_from_when_it_was_asked_for(world: World) -> None:
    key = world.issue()
    world.answering.clear()
    asking = asyncio.create_task(world.callers.identify(key))
    await world.settle()
    world.revoke(key)
    world.advance(callers.GOOD_FOR)
    world.answering.set()
    await asking

    with pytest.raises(InvalidApiKey):
        await world.callers.identify(key)


async def test_all_who_wait_for_a_key_share_one_question(world: World) -> None:
    key = world.issue()

    await asyncio.gather(*(world.callers.identify(key) for _ in range(50)))

    assert len(world.questions) == 1


async def test_keys_that_come_together_are_asked_about_together(world: World) -> None:
    keys = [world.issue() for _ in range(50)]
    world.answering.clear()
    asking = [asyncio.create_task(world.callers.identify(key)) for key in keys]
    await world.settle()
    world.answering.set()
    await asyncio.gather(*asking)

    assert len(world.questions) <= 4
    assert sum(map(len, world.questions)) == 50


async def test_a_caller_who_leaves_takes_nobody_along(world: World) -> None:
    key = world.issue()
    world.answering.clear()
    leaving = asyncio.create_task(world.callers.identify(key))
    staying = asyncio.create_task(world.callers.identify(key))
    await world.settle()
    leaving.cancel()
    await world.settle()
    world.answering.set()

    assert (await staying).context.key_id == world.contexts[digest(key, PEPPER).hex()].key_id


async def test_an_unknown_key_is_asked_about_once_a_second(world: World) -> None:
    key = issue_api_key("live")
    for _ in range(5):
        with pytest.raises(InvalidApiKey):
            await world.callers.identify(key)
    assert len(world.questions) == 1

    world.advance(callers.UNKNOWN_FOR)
    known = world.context(key)
    world.contexts[known.digest] = known

    assert (await world.callers.identify(key)).context == known


@pytest.mark.parametrize(
    "key", ["", "x", "sk-live", "reqrun_live_short", "reqrun_live_" + "a" * 49, "reqrun_live_é"]
)
async def test_a_malformed_key_costs_no_question(world: World, key: str) -> None:
    with pytest.raises(InvalidApiKey):
        await world.callers.identify(key)

    assert world.questions == []


async def test_made_up_keys_fill_no_memory_and_push_out_no_real_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callers, "MAX_UNKNOWN", 10)
    key = world.issue()
    await world.callers.identify(key)
    for _ in range(50):
        with pytest.raises(InvalidApiKey):
            await world.callers.identify(issue_api_key("live"))
    asked = len(world.questions)

    await world.callers.identify(key)

    assert len(world.questions) == asked
    assert len(world.callers._unknown) == 10  # noqa: SLF001  # the bound is what is tested


async def test_without_accounts_a_key_goes_on_for_ten_minutes(world: World) -> None:
    key = world.issue()
    await world.callers.identify(key)
    world.is_away = True

    for _ in range(599):
        world.advance(1)
        await world.callers.identify(key)
        await world.settle()
    world.advance(2)

    with pytest.raises(AccountsAway):
        await world.callers.identify(key)


async def test_without_accounts_a_key_in_use_does_not_wait_for_each_failure(world: World) -> None:
    key = world.issue()
    await world.callers.identify(key)
    world.is_away = True
    world.advance(callers.ASK_AGAIN_AFTER)
    await world.callers.identify(key)
    await world.settle()
    world.answering.clear()
    world.advance(callers.GOOD_FOR - 0.1)

    async with asyncio.timeout(1):
        await world.callers.identify(key)
    world.answering.set()
    await world.settle()


async def test_without_accounts_a_gateway_that_has_just_started_knows_what_others_were_told(
    world: World,
) -> None:
    key = world.issue()
    await world.callers.identify(key)
    world.is_away = True
    world.advance(300)
    fresh = world.gateway()

    assert (await fresh.identify(key)).context.digest == digest(key, PEPPER).hex()
    world.advance(301)
    with pytest.raises(AccountsAway):
        await fresh.identify(key)


async def test_without_accounts_an_unknown_key_is_not_called_invalid(world: World) -> None:
    world.is_away = True

    with pytest.raises(AccountsAway):
        await world.callers.identify(issue_api_key("live"))


async def test_a_revoked_key_does_not_come_back_in_an_outage(world: World) -> None:
    key = world.issue()
    await world.callers.identify(key)
    world.revoke(key)
    world.advance(callers.GOOD_FOR)
    with pytest.raises(InvalidApiKey):
        await world.callers.identify(key)
    world.is_away = True
    world.advance(callers.UNKNOWN_FOR)

    with pytest.raises(AccountsAway):
        await world.callers.identify(key)


async def test_a_key_that_was_revoked_in_an_outage_ends_soon_after_it(world: World) -> None:
    key = world.issue()
    await world.callers.identify(key)
    world.is_away = True
    world.revoke(key)
    world.advance(60)
    await world.callers.identify(key)
    world.is_away = False
    world.advance(callers.GOOD_FOR)

    with pytest.raises(InvalidApiKey):
        await world.callers.identify(key)


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [({"is_suspended": True}, ProjectSuspended)],
)
async def test_some_known_callers_may_not_come_in(
    world: World, changes: dict[str, bool], refusal: type[AppError]
) -> None:
    with pytest.raises(refusal):
        await world.callers.identify(world.issue(**changes))


async def test_strangers_who_fill_the_queue_of_questions_keep_no_known_key_out() -> None:
    world = World()
    key = world.issue()
    await world.callers.identify(key)
    world.answering.clear()
    asking = []
    for _ in range(2):  # what is asked at once, and then what waits behind it
        asking += [
            asyncio.create_task(world.callers.identify(issue_api_key("live"))) for _ in range(6_000)
        ]
        await world.settle()
    world.advance(callers.GOOD_FOR + 0.1)

    caller = await world.callers.identify(key)

    assert caller.context.project_id in {one.project_id for one in world.contexts.values()}
    world.answering.set()
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert Unavailable in {type(answer) for answer in answers}
