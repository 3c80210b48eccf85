"""What is seen of a load while it runs: answers by the generator, states by the ledger."""

import asyncio
from collections import Counter
from typing import Final

import msgspec

from bench.generator.job import Accepted
from bench.generator.tally import Tally
from bench.histogram import percentile
from libs.ledger.connection import LEDGER_TROUBLE
from libs.ledger.operator_ledger import OperatorLedger

LOOK_SECONDS: Final = 1.0
_OK: Final = 200
_MOST: Final = 20_000
"""Requests that are looked up at once."""


class _Id(msgspec.Struct):
    id: str


class _Detail(msgspec.Struct):
    code: str | None = None


class _Refusal(msgspec.Struct):
    error: _Detail


class Watched(Tally):
    """Remembers the ids of what was accepted, and refusals by their code."""

    def __init__(self) -> None:
        """Nothing was sent yet."""
        super().__init__(Accepted())
        self.accepted: list[str] = []
        self.codes: Counter[str] = Counter()

    def count(self, latency: float, status: int, body: bytes, *, is_measured: bool = True) -> None:
        """See Tally."""
        super().count(latency, status, body, is_measured=is_measured)
        if status == _OK:
            self.accepted.append(msgspec.json.decode(body, type=_Id).id)
        else:
            self.codes[_code(status, body)] += 1

    def errors(self) -> dict[str, int]:
        """Everything that was not accepted: refusals by code, the rest by what happened."""
        others = {
            kind: count
            for kind, count in self.report().failures.items()
            if not kind.startswith("status ")
        }
        return {**self.codes, **others}

    def percentiles(self) -> tuple[float | None, float | None]:
        """p50 and p99 of accepts in milliseconds, from the intended send time."""
        seen = self.report().latencies
        return (percentile(seen, 50), percentile(seen, 99)) if seen else (None, None)


def _code(status: int, body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Refusal).error.code or f"status {status}"
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"status {status}"


class Follower:
    """Keeps looking how the accepted requests stand; what ended is not looked at again."""

    def __init__(self, tally: Watched, ledger: OperatorLedger | None) -> None:
        """Without a ledger nothing is known of states."""
        self._tally, self._ledger = tally, ledger
        self._taken = 0
        self._open: list[str] = []
        self._ended: Counter[str] = Counter()
        self._standing: dict[str, int] = {}

    @property
    def states(self) -> dict[str, int]:
        """How many are in which state, as far as was looked."""
        return {**self._standing, **self._ended}

    @property
    def has_open(self) -> bool:
        """Whether something accepted has not ended, as far as can be seen."""
        return self._ledger is not None and bool(self._open or self._rest())

    async def follow(self) -> None:
        """Until cancelled, every second; a ledger that is away is asked again."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Once."""
        if self._ledger is None:
            return
        self._open += self._rest()
        self._taken = len(self._tally.accepted)
        oldest = self._open[:_MOST]
        if not oldest:
            return
        try:
            ended = await self._ledger.list_ended(oldest)
            standing = await self._ledger.count_open(self._open)
        except LEDGER_TROUBLE:
            return
        self._ended.update(state.value for state in ended.values())
        self._open = [one for one in self._open if one not in ended]
        self._standing = {state.value: count for state, count in standing.items()}

    def _rest(self) -> list[str]:
        """Accepted since the last look."""
        return self._tally.accepted[self._taken :]
