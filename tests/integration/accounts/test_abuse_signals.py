"""What looks like abuse is counted by network and hour."""

from datetime import timedelta

import pytest

from services.accounts.domain.abuse import Signal
from services.accounts.domain.errors import TooManyTries, WrongPassword
from services.accounts.ports import Ports
from services.accounts.use_cases import abuse, recovery, sessions
from services.accounts.use_cases.sessions import Browser
from tests.support.customers import BROWSER, ELSEWHERE, NETWORK, signed_up
from tests.support.frozen_clock import FrozenClock


async def counted(ports: Ports) -> dict[tuple[str, str], int]:
    signals = await abuse.list_recent(ports, ports.clock.now())
    return {(signal.what, signal.network): signal.count for signal in signals}


async def guess(ports: Ports, browser: Browser, times: int) -> None:
    for _ in range(times):
        with pytest.raises((WrongPassword, TooManyTries)):
            await sessions.log_in(ports, "ada@example.org", "wrong-wrong-wrong", browser)


async def test_wrong_passwords_and_refused_tries_count(ports: Ports) -> None:
    await guess(ports, BROWSER, 12)
    await guess(ports, Browser(ELSEWHERE, "curl/8"), 1)

    assert await counted(ports) == {
        ("sign_in.failed", NETWORK): 10,
        ("password.throttled", NETWORK): 2,
        ("sign_in.failed", ELSEWHERE): 1,
    }


async def test_sign_ups_and_refused_mails_count(ports: Ports) -> None:
    await signed_up(ports)
    await signed_up(ports)  # of an address that is known: nobody can tell by this either
    for _ in range(3):
        await recovery.ask_for_reset(ports, "ada@example.org", NETWORK)
    with pytest.raises(TooManyTries):
        await recovery.ask_for_reset(ports, "ada@example.org", ELSEWHERE)

    assert await counted(ports) == {
        ("sign_up", NETWORK): 2,
        ("mail.throttled", ELSEWHERE): 1,
    }


async def test_every_hour_counts_anew_and_the_newest_comes_first(
    ports: Ports, clock: FrozenClock
) -> None:
    began = clock.now()
    for hour in range(3):
        for _ in range(hour + 1):
            await abuse.note(ports, Signal.SIGN_UP, NETWORK)
        await abuse.note(ports, Signal.SIGN_UP, ELSEWHERE)
        clock.advance(timedelta(hours=1))

    seen = await abuse.list_recent(ports, began + timedelta(hours=1))

    assert [(one.network, one.count) for one in seen] == [
        (NETWORK, 3),
        (ELSEWHERE, 1),
        (NETWORK, 2),
        (ELSEWHERE, 1),
    ]
    assert {one.started_at.minute for one in seen} == {0}
