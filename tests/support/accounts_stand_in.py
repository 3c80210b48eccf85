"""Accounts as gateways and executors see it: a real server on a socket, which a test sets up."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody

from deploy.local.ports import free_ports
from libs.common.clock import SystemClock
from libs.common.content import BodySeal, DataKey, new_data_key
from libs.common.contracts.accounts import (
    AUDIENCE,
    RESOLVE_KEYS_PATH,
    KeyContext,
    KeyDigests,
    Limits,
    ProjectStandingAnswer,
    ProviderConnectionAnswer,
    ResolveKeysAnswer,
    ResolveKeysQuestion,
    SealedConnection,
    data_key_context,
    project_standing_path,
    provider_connection_path,
    provider_key_context,
    signing_secret_context,
)
from libs.common.crypto import Mode, SealingKey, digest, issue_api_key
from libs.common.errors import NotFound
from libs.common.ids import new_id
from libs.common.settings import Secret
from libs.common.tokens import TokenVerifier
from libs.common.web.app import create, serve
from libs.common.web.guards import service_token
from libs.ledger.claim import Claim
from libs.ledger.finish import Finish
from tests.support.service_keys import ServiceKey
from tests.support.waiting import until

LIMITS = Limits(
    requests_per_minute=60_000,
    pending=100_000,
    requests_per_month=10_000_000,
    running=64,
    body_bytes=2 * 1024 * 1024,
)


def context(key: str, pepper: bytes, mode: Mode = "live", **changes: object) -> KeyContext:
    """A key context that allows everything, unless changed."""
    fields: dict[str, object] = {
        "digest": digest(key, pepper).hex(),
        "key_id": new_id("key"),
        "project_id": new_id("prj"),
        "account_id": new_id("acc"),
        "mode": mode,
        "is_suspended": False,
        "is_drop_in": False,
        "needs_signature": False,
        "sealed_signing_secret": None,
        "sealed_data_key": b"sealed",
        "connection_id": new_id("con") if mode == "live" else None,
        "on_unknown_outcome": "retry",
        "retention_seconds": 30 * 86_400,
        "limits": LIMITS,
    }
    return KeyContext(**(fields | changes))  # type: ignore[arg-type]  # any field may be changed


class ProjectErased(NotFound):
    """As accounts words it."""

    code = "project_not_found"


class AccountsStandIn:
    """Holds `contexts` by digest; counts `questions`. `silence` and `speak` play an outage.

    Every project has a data key from the moment it is first named; what is sealed opens with
    `data_plane` (gateways, executors) or `executor` (executors).
    """

    def __init__(
        self, gateway: ServiceKey, pepper: bytes, executor: ServiceKey | None = None
    ) -> None:
        """`gateway`, `executor`: who may ask."""
        self.data_plane, self.executor = SealingKey.generate(), SealingKey.generate()
        self.connections: dict[str, SealedConnection] = {}
        self.erased: set[str] = set()
        self.forgotten: set[str] = set()
        self.paused: set[str] = set()
        self._data_keys: dict[str, bytes] = {}
        self._sealed: dict[str, bytes] = {}
        self.contexts: dict[str, KeyContext] = {}
        self.questions: list[tuple[str, ...]] = []
        self.pepper = pepper
        self.port = free_ports()
        askers = [key for key in (gateway, executor) if key is not None]
        known = {key.key_id: key.public for key in askers}
        self._verifier = TokenVerifier(known, AUDIENCE, SystemClock())
        self._speaking = asyncio.Event()
        self._speaking.set()

    @property
    def url(self) -> str:
        """Its internal address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def data_plane_keys(self) -> Secret:
        """What gateways and executors have in their settings."""
        return Secret(self.data_plane.to_text())

    def data_key(self, project_id: str) -> DataKey:
        """The project's own, opened."""
        if project_id not in self._data_keys:
            raw = self._data_keys[project_id] = new_data_key()
            sealed = self.data_plane.public.seal(raw, data_key_context(project_id))
            self._sealed[project_id] = sealed
        return DataKey(self._data_keys[project_id])

    def sealed_data_key(self, project_id: str) -> bytes:
        """The same, sealed to the data plane."""
        self.data_key(project_id)
        return self._sealed[project_id]

    def body_seal(self, claim: Claim) -> BodySeal:
        """What opens and seals the bodies of a claimed request."""
        assert claim.body_key is not None
        return self.data_key(claim.project_id).of(claim.request_id, claim.body_key)

    def sealed(self, claim: Claim, finish: Finish) -> Finish:
        """`finish` with its bodies sealed, as an executor writes it."""
        seal, number = self.body_seal(claim), finish.attempt
        result, error = finish.result, finish.provider_error
        return msgspec.structs.replace(
            finish,
            result=None if result is None else seal.seal(result, "result"),
            provider_error=None if error is None else seal.seal(error, "provider_error", number),
        )

    def connect(self, project_id: str, base_url: str, key: str = "sk-simulated") -> None:
        """Give a project its provider."""
        connection_id = new_id("con")
        sealed = self.executor.public.seal(
            key.encode(), provider_key_context(connection_id, project_id)
        )
        self.connections[project_id] = SealedConnection(
            connection_id=connection_id, base_url=base_url, sealed_key=sealed
        )

    def issue(
        self, mode: Mode = "live", signing_secret: str | None = None, **changes: object
    ) -> str:
        """A new key that is good now; with a signing secret, one that must sign."""
        key = issue_api_key(mode)
        known = self._sealed_context(context(key, self.pepper, mode, **changes))
        if signing_secret is not None:
            info = signing_secret_context(known.key_id, known.project_id)
            known = msgspec.structs.replace(
                known,
                needs_signature=True,
                sealed_signing_secret=self.data_plane.public.seal(signing_secret.encode(), info),
            )
        self.contexts[known.digest] = known
        return key

    def change(self, key: str, **changes: object) -> None:
        """Give a key another context."""
        known = context(key, self.pepper, **changes)  # type: ignore[arg-type]  # as above
        self.contexts[known.digest] = self._sealed_context(known)

    def _sealed_context(self, known: KeyContext) -> KeyContext:
        sealed = self.sealed_data_key(known.project_id)
        return msgspec.structs.replace(known, sealed_data_key=sealed)

    def of(self, key: str) -> KeyContext:
        """What it says about a key."""
        return self.contexts[digest(key, self.pepper).hex()]

    def revoke(self, key: str) -> None:
        """The key is good no more."""
        del self.contexts[digest(key, self.pepper).hex()]

    def silence(self) -> None:
        """Take questions and do not answer them."""
        self._speaking.clear()

    def speak(self) -> None:
        """Answer again, and all that was asked meanwhile."""
        self._speaking.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listens while the block runs."""

        @post(RESOLVE_KEYS_PATH, status_code=200, guards=[service_token(self._verifier, "gateway")])
        async def resolve(data: JSONBody[ResolveKeysQuestion]) -> ResolveKeysAnswer:
            self.questions.append(tuple(key.digest for key in data.keys))
            await self._speaking.wait()
            found = (self._resolve(key) for key in data.keys)
            return ResolveKeysAnswer(tuple(one for one in found if one is not None))

        @get(
            provider_connection_path("{project_id:str}"),
            guards=[service_token(self._verifier, "executor")],
        )
        async def show(project_id: FromPath[str]) -> ProviderConnectionAnswer:
            await self._speaking.wait()
            return self._show(project_id)

        @get(
            project_standing_path("{project_id:str}"),
            guards=[service_token(self._verifier, "executor")],
        )
        async def show_standing(project_id: FromPath[str]) -> ProjectStandingAnswer:
            await self._speaking.wait()
            return ProjectStandingAnswer(
                project_id=project_id,
                is_paused=project_id in self.paused,
                is_deleted=project_id in self.erased,
                is_account_deleted=project_id in self.forgotten,
            )

        stop = asyncio.Event()
        app = create([resolve, show, show_standing])
        task = asyncio.ensure_future(serve(app, "127.0.0.1", self.port)(stop))
        await until(lambda: _listens(self.port))
        try:
            yield
        finally:
            self.speak()
            stop.set()
            await task

    def _resolve(self, key: KeyDigests) -> KeyContext | None:
        digests = (key.digest, *key.older)
        found = next((self.contexts[one] for one in digests if one in self.contexts), None)
        return None if found is None else msgspec.structs.replace(found, digest=key.digest)

    def _show(self, project_id: str) -> ProviderConnectionAnswer:
        if project_id in self.erased:
            raise ProjectErased("This project was erased.")
        return ProviderConnectionAnswer(
            project_id=project_id,
            sealed_data_key=self.sealed_data_key(project_id),
            connection=self.connections.get(project_id),
        )


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
