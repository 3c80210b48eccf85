"""Asks accounts about projects; opens what it answers sealed, here and nowhere else."""

import asyncio
import time
from typing import Final

import httpx2
import msgspec
from prometheus_client import Counter

from libs.common import logs
from libs.common.content import DataKey
from libs.common.contracts.accounts import (
    AUDIENCE,
    ProviderConnectionAnswer,
    SealedConnection,
    data_key_context,
    provider_connection_path,
    provider_key_context,
)
from libs.common.crypto import SealBroken
from libs.common.errors import Unavailable
from libs.common.settings import Secret
from libs.common.tokens import ServiceTokens
from services.executor.adapters.seals import OpenedSeals
from services.executor.domain.calls import ProviderConnection
from services.executor.ports import Project

log = logs.get(__name__)

ACCOUNTS_AWAY: Final = "accounts_away"
SEAL_BROKEN: Final = "project_seal_broken"

SEALS_BROKEN: Final = Counter(
    "reqrun_executor_seals_broken_total", "Keys of projects that none of our private keys opens"
)

ASK_AGAIN_SECONDS: Final = 2.0
FRESH_SECONDS: Final = 3.0
STABLE_SECONDS: Final = 600.0
"""How long the last answer serves while accounts does not answer (static stability)."""

ASK_AGAIN_IN_OUTAGE: Final = 1.0

_TIMEOUT_SECONDS: Final = 2.0
_SLOW_SECONDS: Final = 0.25
"""An error that comes sooner is one project's matter, and costs those of the others nothing."""
_NOT_FOUND: Final = 404
_NO_PROJECT: Final = "project_not_found"
_MAX_KEPT: Final = 10_000
TEST_CONNECTION_ID: Final = "simulator"
# What the simulator takes as a key; it is no secret, it only has to be there.
_TEST_KEY: Final = Secret("sk-reqrun-simulator")


class Seals(msgspec.Struct, frozen=True):
    """`executor`: opens provider keys. `data_plane`: opens data keys."""

    executor: OpenedSeals
    data_plane: OpenedSeals

    def open_connection(self, project_id: str, sealed: SealedConnection) -> ProviderConnection:
        """With its key in the clear. Raises SealBroken."""
        context = provider_key_context(sealed.connection_id, project_id)
        try:
            key = self.executor.open(sealed.sealed_key, context).decode()
        except UnicodeDecodeError:
            raise SealBroken("what the seal holds is no text") from None
        return ProviderConnection(
            connection_id=sealed.connection_id, base_url=sealed.base_url, key=Secret(key)
        )


class _Detail(msgspec.Struct):
    code: str


class _Refusal(msgspec.Struct):
    error: _Detail


class _Kept(msgspec.Struct):
    project: Project | None
    asked_at: float


class _Outage:
    """Whether accounts is away: then nobody waits for it who need not, and one asks a second."""

    def __init__(self) -> None:
        self.is_on = False
        self._ask_at = 0.0

    def note(self, *, is_on: bool) -> None:
        self.is_on = is_on
        self._ask_at = time.monotonic() + ASK_AGAIN_IN_OUTAGE

    def may_ask(self) -> bool:
        """Whether it is time for somebody to see if it is over: for who is told so."""
        now = time.monotonic()
        if now < self._ask_at:
            return False
        self._ask_at = now + ASK_AGAIN_IN_OUTAGE
        return True


class AccountsProjects:
    """Keeps what it knows of each project for three seconds; asks once for all who wait.

    While accounts is away, or stands still, what it last said is used at once: an attempt that
    waited would hold a place meanwhile, and with it the requests of everybody.
    """

    def __init__(
        self, client: httpx2.AsyncClient, tokens: ServiceTokens, seals: Seals, simulator_url: str
    ) -> None:
        """`client`: with accounts' internal address as its base URL."""
        self._client, self._tokens, self._seals = client, tokens, seals
        self._kept: dict[str, _Kept] = {}
        self._asking: dict[str, asyncio.Task[_Kept | None]] = {}
        self._outage = _Outage()
        self._simulator = ProviderConnection(
            connection_id=TEST_CONNECTION_ID, base_url=simulator_url, key=_TEST_KEY
        )

    async def find(self, project_id: str, mode: str) -> Project | None:
        """None where there is no such project. Raises Unavailable when nobody knows."""
        project = await self._find(project_id)
        if project is None or mode != "test":
            return project
        return Project(project.data_key, self._simulator)

    async def _find(self, project_id: str) -> Project | None:
        kept = self._kept.get(project_id)
        age = STABLE_SECONDS if kept is None else time.monotonic() - kept.asked_at
        if kept is not None and age <= ASK_AGAIN_SECONDS:
            return kept.project
        if kept is not None and age < STABLE_SECONDS and self._outage.is_on:
            if self._outage.may_ask():
                self._refresh(project_id)
            return kept.project
        asking = self._refresh(project_id)
        if kept is not None and age <= FRESH_SECONDS:
            return kept.project  # asked ahead, so that a project in use never waits
        answer = await asyncio.shield(asking)
        if answer is not None:
            return answer.project
        if kept is None or age >= STABLE_SECONDS:
            raise Unavailable("The project cannot be looked up now.")
        return kept.project

    def _refresh(self, project_id: str) -> "asyncio.Task[_Kept | None]":
        """The question that is under way, one for all who need its answer."""
        asking = self._asking.get(project_id)
        if asking is None:
            asking = asyncio.create_task(self._ask(project_id))
            self._asking[project_id] = asking
            asking.add_done_callback(lambda _: self._asking.pop(project_id, None))
        return asking

    async def _ask(self, project_id: str) -> _Kept | None:
        """None when accounts gave no answer that can be used."""
        asked_at = time.monotonic()
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                project = await self._look_up(project_id)
        except (
            httpx2.HTTPError,
            TimeoutError,
            msgspec.DecodeError,
            UnicodeDecodeError,
            SealBroken,
        ) as away:
            is_broken = isinstance(away, SealBroken)
            SEALS_BROKEN.inc(is_broken)
            event = SEAL_BROKEN if is_broken else ACCOUNTS_AWAY
            log.warning(event, project_id=project_id, exc_info=away)
            is_answer = is_broken or isinstance(away, httpx2.HTTPStatusError)
            self._outage.note(is_on=not is_answer or time.monotonic() - asked_at > _SLOW_SECONDS)
            return None
        self._outage.note(is_on=False)
        return self._keep(project_id, _Kept(project, asked_at))

    async def _look_up(self, project_id: str) -> Project | None:
        """None where accounts says that there is none."""
        response = await self._client.get(
            provider_connection_path(project_id),
            headers={"authorization": f"Bearer {self._tokens.issue(AUDIENCE)}"},
        )
        if response.status_code == _NOT_FOUND and _has_none(response.content):
            return None
        response.raise_for_status()
        return self._open(msgspec.json.decode(response.content, type=ProviderConnectionAnswer))

    def _open(self, answer: ProviderConnectionAnswer) -> Project:
        """Raises SealBroken: we lack a private key, which an operator can mend."""
        context = data_key_context(answer.project_id)
        data_key = DataKey(self._seals.data_plane.open(answer.sealed_data_key, context))
        if answer.connection is None:
            return Project(data_key, None)
        connection = self._seals.open_connection(answer.project_id, answer.connection)
        return Project(data_key, connection)

    def _keep(self, project_id: str, kept: _Kept) -> _Kept:
        if len(self._kept) >= _MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        self._kept[project_id] = kept
        return kept


def _has_none(body: bytes) -> bool:
    """Whether accounts itself says so: some other 404 (a wrong address) must not fail requests."""
    return msgspec.json.decode(body, type=_Refusal).error.code == _NO_PROJECT
