import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest

from bench.generator.callers import CallerLoad
from bench.generator.job import Callers, Exactly, Pace, Report
from bench.generator.pace import PaceLoad
from bench.generator.tally import Tally

REQUEST = b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Provider:
    """Answers once it is `opened`, at the latest when it has so many calls."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.opens_at: int | None = None
        self.is_cutting = False
        self.calls = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.calls += 1
                if self.calls == self.opens_at:
                    self.opened.set()
                if self.is_cutting:
                    break
                await self.opened.wait()
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def provider() -> AsyncIterator[tuple[Provider, int]]:
    served = Provider()
    server = await asyncio.start_server(served.serve, "127.0.0.1", 0)
    yield served, server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


async def _call(plan: Callers, port: int) -> Report:
    tally = Tally(Exactly("{}"))
    await CallerLoad(plan, tally).run(port, lambda: REQUEST)
    return tally.report()


async def test_callers_send_exactly_as_many_as_they_were_told(
    provider: tuple[Provider, int],
) -> None:
    served, port = provider
    served.opened.set()
    report = await _call(Callers(3, count=20), port)
    assert (report.answers, served.calls) == (20, 20)
    assert not report.failures


async def test_a_cut_connection_is_a_failure_not_an_answer(
    provider: tuple[Provider, int],
) -> None:
    served, port = provider
    served.is_cutting = True
    report = await _call(Callers(2, count=10), port)
    assert report.answers == 0
    assert report.failures == {"connection lost": 2}


async def test_at_a_fixed_rate_everything_due_is_sent_and_answered(
    provider: tuple[Provider, int],
) -> None:
    served, port = provider
    served.opened.set()
    tally = Tally(Exactly("{}"))
    await PaceLoad(Pace(200, seconds=0.2), tally).run(port, lambda: REQUEST)
    report = tally.report()
    assert not report.failures
    assert report.answers == served.calls >= 35


async def test_latency_counts_from_the_intended_time_however_long_the_provider_stalls(
    provider: tuple[Provider, int],
) -> None:
    served, port = provider
    served.opens_at = 40
    tally = Tally(Exactly("{}"))
    await PaceLoad(Pace(500, seconds=0.1), tally).run(port, lambda: REQUEST)
    report = tally.report()
    assert not report.failures
    # Nothing is answered before the fortieth has come, 2 ms after one another: a closed loop would
    # have seen a few slow answers, here every one of them is as late as it is.
    latencies = sorted(Counter(report.latencies).elements(), reverse=True)
    assert len(latencies) >= 40
    for number in range(40):
        assert latencies[number] >= (39 - number) * 2_000 * 0.99
