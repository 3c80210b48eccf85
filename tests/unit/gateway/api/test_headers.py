"""Any headers at all, over the whole application as its server calls it: told no, never a crash."""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.clock import SystemClock
from libs.common.content import new_data_key
from libs.common.contracts.accounts import (
    KeyContext,
    KeyDigests,
    data_key_context,
    signing_secret_context,
)
from libs.common.crypto import SealingKey, SealingKeyring, issue_api_key
from libs.common.web.app import create
from services.gateway.api.calls import BodyBounds
from services.gateway.api.desk import Desk, Waits
from services.gateway.api.edge import Edge
from services.gateway.api.routes import routes
from services.gateway.domain.rates import RateAsk, RateGrant
from services.gateway.ports import LastContext, Ports
from services.gateway.use_cases.addresses import Addresses
from services.gateway.use_cases.callers import Callers, Secrets
from services.gateway.use_cases.entrance import Entrance
from services.gateway.use_cases.waiting import WaitingRoom
from tests.support.accounts_stand_in import context

SECRET = b"test-signing-secret"
BODY = b'{"model":"m","messages":[]}'  # refused, but only by who has let it in
PATH = "/v1/chat/completions"
PEPPER = secrets.token_bytes(32)

Headers = Sequence[tuple[bytes, bytes]]


class Calm:
    """Every port that an entering call can meet: one signing key, one that need not sign."""

    def __init__(self) -> None:
        sealing = SealingKey.generate()
        self.keyring = SealingKeyring([sealing])
        self.signing, self.plain = issue_api_key("live"), issue_api_key("live")
        self._contexts: dict[str, KeyContext] = {}
        for key, needs_signature in ((self.signing, True), (self.plain, False)):
            known = context(key, PEPPER, needs_signature=needs_signature)
            project, name = known.project_id, known.key_id
            known = msgspec.structs.replace(
                known,
                sealed_data_key=sealing.public.seal(new_data_key(), data_key_context(project)),
                sealed_signing_secret=sealing.public.seal(
                    SECRET, signing_secret_context(name, project)
                ),
            )
            self._contexts[known.digest] = known

    async def resolve(self, keys: Sequence[KeyDigests]) -> Mapping[str, KeyContext]:
        return {one.digest: self._contexts[one.digest] for one in keys}

    async def find(self, _: Sequence[str]) -> Mapping[str, LastContext]:
        return {}

    def keep(self, contexts: Sequence[LastContext], *, gone: Sequence[str]) -> None:
        """Nothing."""

    async def take(self, _: RateAsk) -> RateGrant:
        return RateGrant(True, 10, 9, timedelta(), timedelta())  # noqa: FBT003  # is granted


def application(world: Calm) -> Edge:
    """As app.py puts it together, without anything outside."""
    ports = Ports(
        ledger=None,  # type: ignore[arg-type]  # nothing that is refused gets so far
        hints=None,  # type: ignore[arg-type]  # as above
        accounts=world,
        last_contexts=world,
        rates=world,
        wakeups=None,  # type: ignore[arg-type]  # as above
        models=None,  # type: ignore[arg-type]  # as above
        clock=SystemClock(),
    )
    callers = Callers(ports, Secrets([PEPPER], world.keyring))
    desk = Desk(
        ports=ports,
        entrance=Entrance(ports, callers, Addresses(1_000_000)),
        room=WaitingRoom(None, limit=1),  # type: ignore[arg-type]  # as above
        waits=Waits(timedelta(seconds=1), timedelta(seconds=1)),
        trusted=[],
    )
    return Edge(create(routes(desk, BodyBounds(1000, timedelta(seconds=1)))))


class Said(msgspec.Struct):
    """What the application answered."""

    status: int
    code: str


WORLD = Calm()


@pytest.fixture(scope="module")
async def app() -> Edge:
    return application(WORLD)


async def ask(app: Edge, headers: Headers, method: str = "POST", path: str = PATH) -> Said:
    sent: list[Any] = []
    parts = [{"type": "http.request", "body": BODY, "more_body": False}]

    async def receive() -> Any:
        return parts.pop() if parts else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": list(headers),
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    await app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return Said(sent[0]["status"], msgspec.json.decode(body)["error"]["code"])


def bearer(key: str) -> tuple[bytes, bytes]:
    return b"authorization", f"Bearer {key}".encode()


def signed(body: bytes = BODY) -> dict[bytes, bytes]:
    timestamp, nonce = datetime.now(UTC).isoformat(), secrets.token_hex(16)
    text = f"POST\n{PATH}\n{timestamp}\n{nonce}\n{hashlib.sha256(body).hexdigest()}"
    made = hmac.new(SECRET, text.encode(), hashlib.sha256).hexdigest()
    return {
        b"x-reqrun-timestamp": timestamp.encode(),
        b"x-reqrun-nonce": nonce.encode(),
        b"x-reqrun-signature": f"v1={made}".encode(),
    }


async def test_a_well_signed_call_comes_in(app: Edge) -> None:
    """Else everything below would be refused for another reason."""
    said = await ask(app, [bearer(WORLD.signing), *signed().items()])

    assert said == Said(400, "invalid_body")


SIGNED_NAMES = list(signed())


@pytest.mark.parametrize("name", SIGNED_NAMES)
async def test_a_header_of_the_signature_that_is_there_twice_is_refused(
    app: Edge, name: bytes
) -> None:
    headers = signed()
    twice = [bearer(WORLD.signing), *headers.items(), (name, headers[name])]

    assert await ask(app, twice) == Said(401, "invalid_signature")


@pytest.mark.parametrize("name", SIGNED_NAMES)
async def test_a_header_of_the_signature_that_is_missing_is_told(app: Edge, name: bytes) -> None:
    headers = signed()
    del headers[name]

    said = await ask(app, [bearer(WORLD.signing), *headers.items()])

    assert said == Said(401, "missing_signature")


@pytest.mark.parametrize("host", [b"a:b", b"[", b"a:99999999", b"\xff", b"", b"a b"])
async def test_a_host_that_is_none_breaks_nothing(app: Edge, host: bytes) -> None:
    """Beside our routes the framework looks at it, and may refuse it (RFC 9112, 3.2)."""
    headers = [bearer(WORLD.plain), (b"host", host)]

    assert await ask(app, headers) == Said(400, "invalid_body")
    assert (await ask(app, headers, path="/v1/nothing")).status in {400, 404}


ODD = st.binary(max_size=40) | st.text(max_size=20).map(str.encode)
EXPECTED = {400, 401}


@given(name=st.sampled_from(SIGNED_NAMES), value=ODD)
async def test_odd_bytes_in_one_header_of_the_signature_are_refused(
    app: Edge, name: bytes, value: bytes
) -> None:
    headers = {**signed(), name: value}

    assert (await ask(app, [bearer(WORLD.signing), *headers.items()])).status in EXPECTED


@given(ODD)
async def test_odd_bytes_for_a_key_are_refused(app: Edge, key: bytes) -> None:
    said = await ask(app, [(b"authorization", b"Bearer " + key), *signed().items()])

    assert (said.status, said.code) in {(401, "missing_api_key"), (401, "invalid_api_key")}


@given(place=st.integers(0, 50), letter=st.integers(0, 255))
async def test_a_key_with_one_letter_changed_is_refused_without_a_question(
    app: Edge, place: int, letter: int
) -> None:
    """Accounts here would fail on a key that it does not know."""
    key = bytearray(WORLD.signing.encode())
    place %= len(key)
    if key[place] == letter:
        return
    key[place] = letter

    said = await ask(app, [(b"authorization", b"Bearer " + bytes(key))])

    assert said.status == 401


NAMES = st.sampled_from(
    [
        *SIGNED_NAMES,
        b"authorization",
        b"content-length",
        b"content-encoding",
        b"content-type",
        b"idempotency-key",
        b"prefer",
        b"x-forwarded-for",
        b"x-request-id",
        b"host",
        b"transfer-encoding",
    ]
) | st.from_regex(rb"[!#$%&'*+.^_`|~0-9a-z-]{1,20}", fullmatch=True)
ANY_HEADERS = st.lists(st.tuples(NAMES, ODD), max_size=8)
PATHS = st.sampled_from([PATH, "/v1/requests/rr_1/retry", "/v1/requests/\xff/cancel"])


@given(ANY_HEADERS, PATHS, st.sampled_from([WORLD.signing, WORLD.plain, ""]))
async def test_any_headers_at_all_are_refused_in_our_words(
    app: Edge, headers: Headers, path: str, key: str
) -> None:
    """The key that need not sign comes in wherever the headers allow it: to a bad body."""
    path = path if key != WORLD.plain else PATH
    first = [bearer(key)] if key else []

    said = await ask(app, [*first, *headers], path=path)

    assert said.status in {*EXPECTED, 413}, said
