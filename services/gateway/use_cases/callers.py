"""Who is calling: from an API key to what its holder may do.

What accounts says is believed for three seconds. A key in use is asked about again in the
background after two, so that it never waits. While accounts does not answer, what it last said
counts for ten minutes (static stability, docs/request-lifecycle.md): a revoked key ends within
seconds while accounts answers, and within ten minutes while it does not.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final, TypeVar

import msgspec
from prometheus_client import Counter

from libs.common import logs
from libs.common.batching import Batch
from libs.common.content import DataKey
from libs.common.contracts.accounts import (
    MAX_DIGESTS,
    KeyContext,
    KeyDigests,
    data_key_context,
    signing_secret_context,
)
from libs.common.crypto import SealBroken, SealingKeyring, digest, is_well_formed
from libs.common.errors import AppError, Unavailable
from services.gateway.domain.errors import (
    AccountsAway,
    ContentUnreadable,
    InvalidApiKey,
    ProjectSuspended,
)
from services.gateway.ports import LastContext, Ports

log = logs.get(__name__)

Value = TypeVar("Value")

KEY_CONTEXTS_KEPT: Final = "key_contexts_kept_without_accounts"
SEAL_BROKEN: Final = "key_context_seal_broken"

LAST_CONTEXTS_USED: Final = Counter(
    "reqrun_gateway_last_contexts_used_total",
    "Times a key context was used although accounts did not answer",
)

SEALS_BROKEN: Final = Counter(
    "reqrun_gateway_seals_broken_total", "Keys of projects that none of our private keys opens"
)

# Seconds.
GOOD_FOR: Final = 3.0
ASK_AGAIN_AFTER: Final = 2.0
ASK_AGAIN_IN_OUTAGE: Final = 1.0
UNKNOWN_FOR: Final = 1.0
STABLE_FOR: Final = 600.0

MAX_KNOWN: Final = 50_000
MAX_UNKNOWN: Final = 10_000
_MAX_ASKING: Final = 5_000


class Caller(msgspec.Struct, frozen=True):
    """Who is calling, with the secrets that accounts gave us sealed."""

    context: KeyContext
    data_key: DataKey
    signing_secret: bytes | None


class Secrets(msgspec.Struct, frozen=True):
    """What the gateway opens and recognises with; peppers newest first."""

    peppers: Sequence[bytes]
    keyring: SealingKeyring


class _Known(msgspec.Struct, frozen=True):
    """A caller and until when that may be used. Times are readings of the monotonic clock."""

    caller: Caller
    confirmed_at: float
    ask_again_at: float
    good_until: float


_Answer = _Known | AppError | None


class Callers:
    """Knows the callers of the last minutes. One question for all who wait for the same key."""

    def __init__(
        self, ports: Ports, secrets: Secrets, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """`monotonic`: seconds."""
        self._accounts, self._last, self._clock = ports.accounts, ports.last_contexts, ports.clock
        self._secrets, self._monotonic = secrets, monotonic
        # Oldest first: what is used is asked about every few seconds and so stays at the end.
        self._known: OrderedDict[str, _Known] = OrderedDict()
        # Apart, so that made-up keys push no real one out.
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._asking: dict[str, asyncio.Task[_Answer]] = {}
        self._ask_batch: Batch[KeyDigests, _Known | None] = Batch(
            self._ask_many,
            name="key_contexts",
            limit=MAX_DIGESTS,
            queue_limit=_MAX_ASKING,
            workers=2,
        )

    def knows(self, key: str) -> bool:
        """Whether this key was good when it was last asked about; costs no question."""
        return is_well_formed(key) and digest(key, self._secrets.peppers[0]).hex() in self._known

    async def identify(self, key: str) -> Caller:
        """The caller behind an API key.

        Raises InvalidApiKey, ProjectSuspended, AccountsAway, ContentUnreadable or Unavailable.
        """
        if not is_well_formed(key):
            raise InvalidApiKey
        newest, *older = self._secrets.peppers
        mark = digest(key, newest).hex()
        now = self._monotonic()
        known = self._known.get(mark)
        if known is None or now >= known.ask_again_at:
            digests = KeyDigests(mark, tuple(digest(key, pepper).hex() for pepper in older))
            if known is None or now >= known.good_until:
                known = await self._learn(digests, now)
            else:
                self._ask(digests)
        if known.caller.context.is_suspended:
            raise ProjectSuspended
        return known.caller

    async def _learn(self, digests: KeyDigests, now: float) -> _Known:
        if now < self._unknown.get(digests.digest, 0.0):
            raise InvalidApiKey
        answer = await asyncio.shield(self._ask(digests))
        if answer is None:
            raise InvalidApiKey
        if isinstance(answer, AppError):
            return self._known_still(digests.digest, answer)
        return answer

    def _known_still(self, mark: str, failure: AppError) -> _Known:
        """While questions are not answered, what was known of it; else raises `failure`.

        A full queue of questions above all: strangers may fill it.
        """
        known = self._known.get(mark)
        again = known and _again(known, self._monotonic())
        is_about_it = isinstance(failure, ContentUnreadable) or not isinstance(failure, Unavailable)
        if again is None or is_about_it:
            raise failure
        self._known[mark] = again
        return again

    def _ask(self, digests: KeyDigests) -> asyncio.Task[_Answer]:
        """The question about this key that is under way; started where there is none."""
        mark = digests.digest
        task = self._asking.get(mark)
        if task is None:
            task = self._asking[mark] = asyncio.create_task(self._ask_and_keep(digests))
            task.add_done_callback(lambda _: self._asking.pop(mark, None))
        return task

    async def _ask_and_keep(self, digests: KeyDigests) -> _Answer:
        """Answers an error instead of raising it: in the background nobody would pick it up."""
        try:
            known = await self._ask_batch(digests)
        except AppError as error:
            return error
        mark = digests.digest
        self._known.pop(mark, None)
        if known is None:
            _put(self._unknown, mark, self._monotonic() + UNKNOWN_FOR, MAX_UNKNOWN)
        else:
            _put(self._known, mark, known, MAX_KNOWN)
        return known

    async def _ask_many(self, keys: Sequence[KeyDigests]) -> list[_Known | AppError | None]:
        asked_at, asked = self._monotonic(), self._clock.now()
        marks = [key.digest for key in keys]
        try:
            contexts = await self._accounts.resolve(keys)
        except AccountsAway as away:
            return await self._carry_on(marks, away)
        self._last.keep(
            [LastContext(context, asked) for context in contexts.values()],
            gone=[mark for mark in marks if mark not in contexts],
        )
        return [self._fresh(contexts.get(mark), asked_at) for mark in marks]

    def _fresh(self, context: KeyContext | None, asked_at: float) -> _Known | AppError | None:
        """Counted from when we asked: the answer may have been true then and not now."""
        if context is None:
            return None
        try:
            caller = self._open(context)
        except SealBroken as broken:
            SEALS_BROKEN.inc()
            log.error(SEAL_BROKEN, project_id=context.project_id, exc_info=broken)  # noqa: TRY400  # one table of levels
            return ContentUnreadable()
        return _Known(caller, asked_at, asked_at + ASK_AGAIN_AFTER, asked_at + GOOD_FOR)

    def _open(self, context: KeyContext) -> Caller:
        """Open its seals (0.1 ms each), or take what was opened last time. Raises SealBroken."""
        before = self._known.get(context.digest)
        if before is not None and _has_same_seals(before.caller.context, context):
            return msgspec.structs.replace(before.caller, context=context)
        return open_context(self._secrets.keyring, context)

    async def _carry_on(
        self, marks: Sequence[str], away: AccountsAway
    ) -> list[_Known | AppError | None]:
        """Without accounts: what we were told last, else what any gateway was told last."""
        now = self._monotonic()
        found = {mark: _again(self._known[mark], now) for mark in marks if mark in self._known}
        missing = [mark for mark in marks if found.get(mark) is None]
        if missing:
            last = await self._last.find(missing)
            found |= self._told_elsewhere(last, now)
        kept = sum(known is not None for known in found.values())
        LAST_CONTEXTS_USED.inc(kept)
        log.warning(KEY_CONTEXTS_KEPT, count=kept, depth=len(marks))
        return [found.get(mark) or away for mark in marks]

    def _told_elsewhere(
        self, last: Mapping[str, LastContext], now: float
    ) -> dict[str, _Known | None]:
        """Contexts that were kept outside this process; their age is by the wall clock."""
        found: dict[str, _Known | None] = {}
        for mark, kept in last.items():
            age = max(self._clock.now() - kept.confirmed_at, timedelta()).total_seconds()
            known = self._fresh(kept.context, now - age)
            found[mark] = _again(known, now) if isinstance(known, _Known) else None
        return found


def open_context(keyring: SealingKeyring, context: KeyContext) -> Caller:
    """The caller of whom accounts says this. Raises SealBroken."""
    project_id = context.project_id
    data_key = keyring.open(context.sealed_data_key, data_key_context(project_id))
    secret = context.sealed_signing_secret and keyring.open(
        context.sealed_signing_secret, signing_secret_context(context.key_id, project_id)
    )
    return Caller(context, DataKey(data_key), secret)


def _has_same_seals(one: KeyContext, other: KeyContext) -> bool:
    return (one.sealed_data_key, one.sealed_signing_secret) == (
        other.sealed_data_key,
        other.sealed_signing_secret,
    )


def _again(known: _Known, now: float) -> _Known | None:
    """`known`, good for a little longer, but not past ten minutes after it was confirmed."""
    end = known.confirmed_at + STABLE_FOR
    if now >= end:
        return None
    return msgspec.structs.replace(
        known, ask_again_at=now + ASK_AGAIN_IN_OUTAGE, good_until=min(now + GOOD_FOR, end)
    )


def _put(kept: OrderedDict[str, Value], mark: str, value: Value, limit: int) -> None:
    kept[mark] = value
    if len(kept) > limit:
        kept.popitem(last=False)
