"""Who hangs up while waiting gives the place back; their request runs on."""

import asyncio
import json
import socket
import struct

import pytest

from libs.ledger.states import State
from services.gateway.api.calls import REFUSALS
from services.gateway.use_cases.waiting import WAITING
from tests.support.accounts_stand_in import AccountsStandIn
from tests.support.gateways import Gateway
from tests.support.ledgers import Bench, ending
from tests.support.waiting import until

CALLERS = 5
SOON = 20


class Callers:
    """Some who submit and wait for a minute, each on a connection of its own."""

    def __init__(self, gateway: Gateway, key: str) -> None:
        self._port, self._key = gateway.settings.port, key
        self._sockets: list[socket.socket] = []
        self._before = WAITING._value.get()  # noqa: SLF001  # the gauge has no reader

    async def come(self) -> None:
        body = json.dumps(
            {
                "model": "gpt-5-nano",
                "messages": [{"role": "user", "content": "Hi"}],
                "wait": True,
                "wait_timeout": 60,
            }
        )
        lines = (
            "POST /v1/chat/completions HTTP/1.1",
            "Host: t",
            f"Authorization: Bearer {self._key}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        )
        for _ in range(CALLERS):
            made = await asyncio.to_thread(socket.create_connection, ("127.0.0.1", self._port))
            made.sendall("\r\n".join((*lines, "", body)).encode())
            self._sockets.append(made)
        await until(lambda: self.waiting() == CALLERS)

    def leave(self, *, is_rude: bool) -> None:
        """Rude is without a goodbye that TCP would wait for: a reset."""
        for made in self._sockets:
            if is_rude:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            made.close()

    def waiting(self) -> float:
        return float(WAITING._value.get() - self._before)  # noqa: SLF001  # as above


@pytest.mark.parametrize("is_rude", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("is_drop_in", [False, True], ids=["usual", "drop_in"])
async def test_who_hangs_up_waits_no_more(
    gateway: Gateway, accounts: AccountsStandIn, *, is_drop_in: bool, is_rude: bool
) -> None:
    key = await gateway.learn(accounts.issue(is_drop_in=is_drop_in))
    timed_out = REFUSALS.labels("wait_timeout")._value.get()  # noqa: SLF001  # as above
    callers = Callers(gateway, key)
    await callers.come()

    callers.leave(is_rude=is_rude)

    await until(lambda: callers.waiting() == 0, seconds=SOON)
    assert REFUSALS.labels("wait_timeout")._value.get() == timed_out  # noqa: SLF001


async def test_a_request_whose_caller_hung_up_runs_on(
    gateway: Gateway, accounts: AccountsStandIn, ledger: Bench
) -> None:
    key = await gateway.learn(accounts.issue())
    callers = Callers(gateway, key)
    await callers.come()
    callers.leave(is_rude=True)
    await until(lambda: callers.waiting() == 0, seconds=SOON)

    listed = (await gateway.get(key, "/v1/requests")).json()["data"]
    ids = [one["id"] for one in listed]
    for claim in await ledger.executor.claim(ids):
        await ledger.finish(accounts.sealed(claim, ending(claim, result=b"{}")))
    states = [(await gateway.get(key, f"/v1/requests/{name}")).json()["status"] for name in ids]

    assert states == [State.COMPLETED] * CALLERS
