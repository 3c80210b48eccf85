import re
from datetime import UTC, datetime

import pytest

from libs.common.ids import is_id, lowest_id, new_id


def test_an_id_is_url_safe_and_of_fixed_length() -> None:
    assert re.fullmatch(r"rr_[0-9a-hjkmnp-tv-z]{26}", new_id("rr"))


def test_ids_of_later_milliseconds_sort_later(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(range(1_790_000_000_000_000_000, 1_790_000_000_200_000_000, 1_000_000))
    monkeypatch.setattr("time.time_ns", lambda: next(times))

    made = [new_id("rr") for _ in range(200)]

    assert made == sorted(made)


def test_a_hundred_thousand_ids_differ() -> None:
    assert len({new_id("rr") for _ in range(100_000)}) == 100_000


def test_only_an_id_of_its_prefix_is_one() -> None:
    good = new_id("rr")

    assert is_id("rr", good)
    for text in (
        "",
        "rr_",
        good[:-1],
        good + "0",
        good.upper(),
        "acc" + good[2:],
        "rr_" + "u" * 26,
    ):
        assert not is_id("rr", text)


def test_the_lowest_id_of_a_moment_parts_what_is_older_from_what_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moment = datetime(2026, 11, 22, 12, 0, 0, 5_000, tzinfo=UTC)
    nanoseconds = int(moment.timestamp() * 1_000) * 1_000_000

    monkeypatch.setattr("time.time_ns", lambda: nanoseconds - 1)
    older = [new_id("rr") for _ in range(50)]
    monkeypatch.setattr("time.time_ns", lambda: nanoseconds)
    others = [new_id("rr") for _ in range(50)]

    assert max(older) < lowest_id("rr", moment) < min(others)
