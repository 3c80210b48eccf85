import signal
from collections.abc import Awaitable, Callable, Iterator

import pytest

from libs.common import crash_points
from libs.common.crash_points import VARIABLE, arm, crash_point
from libs.common.settings import SettingsError
from services.accounts import __main__ as accounts
from services.billing import __main__ as billing
from services.executor import __main__ as executor
from services.gateway import __main__ as gateway

LOCAL = {"REQRUN_ENV": "local"}


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """What this process would have got."""
    sent: list[int] = []
    monkeypatch.setattr("os.kill", lambda _, number: sent.append(number))
    yield sent
    arm({})


def reach(name: str, times: int) -> None:
    for _ in range(times):
        crash_point(name)


def test_nothing_happens_where_nothing_is_armed(signals: list[int]) -> None:
    arm(LOCAL)

    for name in crash_points.POINTS:
        crash_point(name)

    assert signals == []


def test_the_armed_point_kills_the_first_time_and_no_other_does(signals: list[int]) -> None:
    arm(LOCAL | {VARIABLE: "finish.after_commit"})

    crash_point("finish.before_commit")
    assert signals == []
    crash_point("finish.after_commit")

    assert signals == [signal.SIGKILL]


def test_it_waits_for_the_nth_time(signals: list[int]) -> None:
    arm(LOCAL | {VARIABLE: "claim.after_commit:3"})

    reach("claim.after_commit", 2)
    assert signals == []
    reach("claim.after_commit", 2)

    assert signals == [signal.SIGKILL]


@pytest.mark.parametrize(
    ("asked", "nth"), [("claim.after_commit:stop", 1), ("claim.after_commit:2:stop", 2)]
)
def test_it_may_stand_still_instead(asked: str, nth: int, signals: list[int]) -> None:
    arm(LOCAL | {VARIABLE: asked})

    reach("claim.after_commit", nth)

    assert signals == [signal.SIGSTOP]


@pytest.mark.parametrize("environ", [{}, {"REQRUN_ENV": "production"}, {"REQRUN_ENV": "Local"}])
def test_only_a_process_that_says_it_is_local_may_be_armed(environ: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="REQRUN_CRASH_AT is for tests"):
        arm(environ | {VARIABLE: "finish.after_commit"})


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "finish.after_comit",
        "finish.after_commit:0",
        "finish.after_commit:x",
        "finish.after_commit:1:go",
    ],
)
def test_what_is_no_point_is_refused(asked: str) -> None:
    with pytest.raises(SettingsError, match="names no crash point"):
        arm(LOCAL | {VARIABLE: asked})


@pytest.mark.parametrize(
    "main",
    [
        lambda environ: gateway.main(["web"], environ),
        lambda environ: accounts.main(["worker"], environ),
        lambda environ: accounts.main(["keys", "reseal"], environ),
        lambda environ: billing.main(["worker"], environ),
    ],
)
def test_in_production_no_process_starts_with_one(
    main: Callable[[dict[str, str]], int], capsys: pytest.CaptureFixture[str]
) -> None:
    exit_code = main({"REQRUN_ENV": "production", VARIABLE: "finish.after_commit"})

    assert exit_code == 1
    assert "REQRUN_CRASH_AT is for tests" in capsys.readouterr().err


@pytest.mark.parametrize("role", [executor.work, executor.dispatch])
async def test_in_production_neither_worker_nor_dispatcher_starts_with_one(
    role: Callable[[], Awaitable[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQRUN_ENV", "production")
    monkeypatch.setenv(VARIABLE, "finish.after_commit")

    with pytest.raises(SettingsError, match="REQRUN_CRASH_AT is for tests"):
        await role()
