"""A caller behind a load balancer: one address for all gateways that are in, and every answer kept.

As a balancer that reads readiness does, and no more: who is taken out gets no new call, and what a
gateway answers reaches the caller as it is. Nothing is sent again.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Final

import msgspec

from tests.support.client import CarefulClient, Sent
from tests.support.client_http import Answer, NoAnswer

_NO_CONTENT: Final = b"{}"


class _Answered(msgspec.Struct):
    """Of a status, or of an error."""

    status: str | None = None


class Balance:
    """Gateways that are in, in turn. `served`: how many calls each was given."""

    def __init__(self) -> None:
        """None is in."""
        self._members: list[str] = []
        self.served: Counter[str] = Counter()

    def take_in(self, origin: str) -> None:
        """It is ready."""
        self._members.append(origin)

    def take_out(self, origin: str) -> None:
        """It is about to leave."""
        self._members.remove(origin)

    def next(self) -> str:
        """Who gets the next call: each that is in, in turn, however new it is."""
        chosen = self._members.pop(0)
        self._members.append(chosen)
        self.served[chosen] += 1
        return chosen


class BalancedClient(CarefulClient):
    """See above. `answers`: how often each status, or kind of failure, came back, by method."""

    def __init__(self, balance: Balance, keys: Mapping[str, str]) -> None:
        """`keys`: the API key of each mode."""
        super().__init__(["balance"], keys)
        self._balance = balance
        self.answers: Counter[str] = Counter()

    def bad(self) -> dict[str, int]:
        """What came back that is not 2xx."""
        return {what: n for what, n in self.answers.items() if not what.split()[1].startswith("2")}

    async def cancel(self, sent: Sent) -> str | None:
        """End an accepted request; the state that was answered, None without one."""
        what = f"POST /v1/requests/{sent.request_id}/cancel"
        try:
            answer = await self._call(what, sent.mode, sent.gateway, _NO_CONTENT)
        except NoAnswer:
            return None
        return msgspec.json.decode(answer.body, type=_Answered).status

    async def _call(self, what: str, mode: str, gateway: int, body: bytes = b"") -> Answer:
        method, chosen = what.split(" ", maxsplit=1)[0], self._balance.next()
        self._gateways[gateway] = chosen
        try:
            answer = await super()._call(what, mode, gateway, body)
        except NoAnswer as failure:
            self.answers[f"{method} {failure}"] += 1
            raise
        self.answers[f"{method} {answer.status_code}"] += 1
        return answer
