"""Checks of our processes: each answers, can work, and has our time."""

import time
from collections.abc import Iterator, Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Final

import httpx2

from deploy.operator.doctor.check import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    Check,
    State,
    Verdict,
    fail,
    ok,
)
from deploy.operator.doctor.clocks import judge_skew
from libs.common.clock import Clock

_OK: Final = 200
_SECOND: Final = timedelta(seconds=1)


def new_client() -> httpx2.AsyncClient:
    """For all of them: the library's own bounds are for patient callers."""
    limits = httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
    return httpx2.AsyncClient(timeout=limits, trust_env=False)


def checks(
    client: httpx2.AsyncClient, addresses: Mapping[str, str], clock: Clock
) -> Iterator[Check]:
    """One of each process."""
    for name, url in addresses.items():
        yield Check(f"process: {name}", _Ready(client, url, clock))


class _Ready:
    """Asks `/readyz` on the internal port."""

    def __init__(self, client: httpx2.AsyncClient, url: str, clock: Clock) -> None:
        self._client, self._url, self._clock = client, url, clock

    async def __call__(self) -> Verdict:
        began, asked_at = time.monotonic(), self._clock.now()
        try:
            answer = await self._client.get(f"{self._url}/readyz")
        except httpx2.TimeoutException:
            return fail("does not answer", "it hangs, or a policy is in between: see its log")
        except httpx2.HTTPError:
            return fail("is not there", "start it; its last line of log says why it ended")
        if answer.status_code != _OK:
            return fail("runs, and cannot work now", "see what else fails here, and its log")
        skew = judge_skew(
            parsedate_to_datetime(answer.headers["date"]), asked_at, self._clock.now(), _SECOND * 2
        )
        if skew.state is not State.OK:
            return Verdict(skew.state, f"is ready; its clock is {skew.says}", skew.do)
        return ok(f"ready, in {(time.monotonic() - began) * 1000:.0f} ms")
