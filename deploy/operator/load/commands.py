"""`reqrun load`: open-loop, so that a slow answer delays nobody and is seen in full."""

import asyncio
import ssl
import time
from argparse import Namespace
from collections.abc import Mapping
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

import msgspec
from rich.table import Table

from bench.generator import wire
from bench.generator.job import Accepted, Pace, Target
from bench.generator.pace import PaceLoad, Where
from bench.histogram import percentile
from deploy.local import demo
from deploy.operator.desk import Desk
from deploy.operator.load.watching import Follower, Watched
from libs.common.commands import Command
from libs.common.errors import InvalidInput, Unavailable
from libs.ledger.operator_ledger import OperatorLedger

_PATH: Final = "/v1/chat/completions"
_LIVE: Final = "reqrun_live_"
_KEY: Final = "REQRUN_API_KEY"
_LOOK_SECONDS: Final = 0.1


class LoadRefused(InvalidInput):
    """It is not sent; the text says why."""

    code = "load_refused"


class GatewayAway(Unavailable):
    """Nobody listens where the load should go."""

    code = "gateway_away"

    def __init__(self) -> None:
        super().__init__("No gateway answers there.")


class LoadSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A load and what became of it. `is_good`: everything was accepted, and nothing failed.

    Milliseconds are of accepts, from the intended send time. `late_p99_ms`: how late this machine
    sent what was due. `states`: of what was accepted; empty where the ledger is not asked.
    """

    is_good: bool
    url: str
    model: str
    wished_per_second: float
    seconds: float
    accepted: int
    accepted_per_second: float
    p50_ms: float | None
    p99_ms: float | None
    late_p99_ms: float | None
    errors: dict[str, int]
    states: dict[str, int]


async def load(desk: Desk, given: Namespace) -> LoadSeen:
    """`load`."""
    url = given.url or desk.needed("load_url")
    target, where = _target(url, _key(desk, given), given.model)
    tally = Watched()
    sending = PaceLoad(Pace(given.rate, given.seconds), tally, where)
    ledger_url = desk.settings.ledger_url.reveal()
    ledger = OperatorLedger(ledger_url) if ledger_url else None
    follower = Follower(tally, ledger)
    following = asyncio.create_task(follower.follow())
    began = time.monotonic()
    try:
        with desk.screen.watching(
            lambda: _picture(tally, follower, given, time.monotonic() - began)
        ):
            await sending.run(target.port, wire.encode(target))
            await _drain(follower, given.drain)
    except OSError:
        raise GatewayAway from None
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
    await follower.look()
    if ledger is not None:
        await ledger.close()
    return _seen(url, given, tally, follower)


async def _drain(follower: Follower, seconds: float) -> None:
    """Watch on until all has ended, or the time is over."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while follower.has_open:  # noqa: ASYNC110  the follower has no event for it
                await asyncio.sleep(_LOOK_SECONDS)


def _key(desk: Desk, given: Namespace) -> str:
    """Of the environment, or the local stack's. Raises LoadRefused."""
    folder = desk.installation.folder
    seeded = demo.seeded(folder) if folder else None
    key = desk.installation.own.get(_KEY) or (seeded.demo.test_key if seeded else "")
    if not key:
        raise LoadRefused(f"Set {_KEY}: an API key of the project that the load is for.")
    if key.startswith(_LIVE) and not given.live:
        raise LoadRefused("That is a live key, whose calls may cost money: say --live if so.")
    return key


def _target(url: str, key: str, model: str) -> tuple[Target, Where]:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise LoadRefused(f"{url} is no address of a gateway, such as http://127.0.0.1:8410.")
    is_tls = parts.scheme == "https"
    message = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    target = Target(
        host=parts.hostname,
        port=parts.port or (443 if is_tls else 80),
        path=parts.path.rstrip("/") + _PATH,
        body=msgspec.json.encode(message).decode(),
        headers={"Authorization": f"Bearer {key}"},
        expected=Accepted(),
    )
    return target, Where(parts.hostname, ssl.create_default_context() if is_tls else None)


def _seen(url: str, given: Namespace, tally: Watched, follower: Follower) -> LoadSeen:
    p50, p99 = tally.percentiles()
    report, errors, states = tally.report(), tally.errors(), follower.states
    accepted = len(tally.accepted)
    return LoadSeen(
        is_good=bool(accepted) and not errors and not states.get("failed"),
        url=url,
        model=given.model,
        wished_per_second=given.rate,
        seconds=given.seconds,
        accepted=accepted,
        accepted_per_second=round(accepted / given.seconds, 1),
        p50_ms=p50,
        p99_ms=p99,
        late_p99_ms=percentile(report.lags, 99) if report.lags else None,
        errors=errors,
        states=states,
    )


def _picture(tally: Watched, follower: Follower, given: Namespace, seconds: float) -> Table:
    sending = max(min(seconds, given.seconds), 1.0)
    p50, p99 = tally.percentiles()
    table = Table.grid(padding=(0, 2))
    accepted = len(tally.accepted)
    table.add_row("seconds", f"{seconds:.0f}")
    table.add_row("accepted", f"{accepted:,} ({accepted / sending:,.0f}/s)")
    if p50 is not None:
        table.add_row("accept", f"p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    table.add_row("states", _counts(follower.states))
    table.add_row("errors", _counts(tally.errors()))
    return table


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())) or "-"


COMMANDS: Final = {
    "load": Command(
        load,
        "send requests at a steady rate and watch what becomes of them, with the key in"
        f" {_KEY} (of the local stack: its test key)",
        (
            ("--rate", {"type": float, "default": 10.0, "metavar": "N", "help": "a second (10)"}),
            ("--seconds", {"type": float, "default": 10.0, "metavar": "N", "help": "(10)"}),
            ("--model", {"default": "sim-ok", "metavar": "NAME", "help": "(sim-ok)"}),
            ("--url", {"metavar": "URL", "help": "of a gateway; the installation's unless given"}),
            ("--live", {"action": "store_true", "help": "a live key is meant: it may cost money"}),
            (
                "--drain",
                {
                    "type": float,
                    "default": 60.0,
                    "metavar": "SECONDS",
                    "help": "watch on for so long, until all has ended (60)",
                },
            ),
        ),
    ),
}
