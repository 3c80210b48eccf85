"""Doctor's verdicts, and the bound of time that each check has."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from deploy.operator.doctor import clocks, roles
from deploy.operator.doctor.check import (
    Check,
    Finding,
    State,
    Unable,
    Verdict,
    examine,
    fail,
    ok,
    warn,
)
from deploy.operator.doctor.grants import GRANTS
from libs.common.retention import DATABASES

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


def check(name: str, verdict: Verdict | Exception) -> Check:
    async def look() -> Verdict:
        if isinstance(verdict, Exception):
            raise verdict
        return verdict

    return Check(name, look)


async def test_a_check_that_hangs_is_left_behind_and_no_other_waits_for_it() -> None:
    async def hang() -> Verdict:
        hanging.append(asyncio.current_task())
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if is_over.is_set():
                    raise

    hanging: list[asyncio.Task[object] | None] = []
    is_over = asyncio.Event()
    told: list[Finding] = []
    began = time.monotonic()
    report = await examine([Check("slow", hang), check("quick", ok("fine"))], told.append, 0.05)
    is_over.set()
    for task in filter(None, hanging):  # and nobody else's: the loop is all tests'
        task.cancel()

    assert time.monotonic() - began < 10
    assert [one.state for one in report.findings] == [State.FAIL, State.OK]
    assert report.findings[0].says == "no answer within 0.05 s"
    assert [one.check for one in told] == ["quick", "slow"]


async def test_an_error_is_told_by_its_kind_because_its_text_may_quote_a_password() -> None:
    trouble = ConnectionError("postgresql://reqrun:secret@host")
    report = await examine([check("one", trouble), check("two", Unable("not set"))], lambda _: None)

    assert [(one.state, one.says) for one in report.findings] == [
        (State.FAIL, "could not be looked at: ConnectionError"),
        (State.SKIP, "not set"),
    ]


async def test_only_what_fails_makes_a_report_bad() -> None:
    good = await examine([check("a", warn("hm")), check("b", Unable("-"))], lambda _: None)
    bad = await examine([check("a", ok("fine")), check("b", fail("no"))], lambda _: None)

    assert (good.is_good, bad.is_good) == (True, False)
    assert bad.counts == {State.OK: 1, State.WARN: 0, State.FAIL: 1, State.SKIP: 0}


@pytest.mark.parametrize(
    ("told", "grain", "state"),
    [
        (0.5, 0, State.OK),
        (-0.9, 0, State.OK),
        (3, 0, State.WARN),
        (-3, 0, State.WARN),
        (30, 0, State.FAIL),
        (-30, 0, State.FAIL),
        (-2, 2, State.OK),
    ],
    ids=str,
)
def test_a_clock_may_be_a_second_off(told: float, grain: float, state: State) -> None:
    asked_at, heard_at = NOW, NOW + timedelta(milliseconds=100)
    verdict = clocks.judge_skew(
        NOW + timedelta(seconds=told), asked_at, heard_at, timedelta(seconds=grain)
    )

    assert verdict.state is state


def test_time_on_the_way_is_no_skew() -> None:
    assert clocks.judge_skew(NOW + timedelta(seconds=2), NOW, NOW + timedelta(seconds=4)).state is (
        State.OK
    )


def test_rights_are_compared_one_by_one() -> None:
    wanted = {"live": "SELECT UPDATE", "outbox": "INSERT"}

    assert roles.judge([], wanted, wanted).state is State.OK
    verdict = roles.judge(["is a superuser"], {"live": "DELETE SELECT UPDATE"}, wanted)

    assert verdict.says == "too much: is a superuser, DELETE on live; too little: INSERT on outbox"


@pytest.mark.parametrize("database", sorted(GRANTS))
def test_rights_are_to_tables_that_there_are(database: str) -> None:
    others = {"schema public", "bodies_default", "body_keys_default"}
    tables = {what.partition("(")[0] for rights in GRANTS[database].values() for what in rights
              if not what.endswith("()")}  # fmt: skip

    assert tables - others <= set(DATABASES[database])
