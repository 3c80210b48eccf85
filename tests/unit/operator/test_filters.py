"""Filters as they are typed."""

from argparse import ArgumentTypeError, Namespace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.operator import table
from deploy.operator.requests import filters
from libs.ledger.states import State

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


def parsed(*words: str) -> Namespace:
    return table.parser().parse_args(["requests", "list", *words])


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("2h", timedelta(hours=2)),
        ("7d", timedelta(days=7)),
        ("2026-11-22", datetime(2026, 11, 22, tzinfo=UTC)),
        ("2026-11-22T10:00", datetime(2026, 11, 22, 10, tzinfo=UTC)),
        ("2026-11-22T10:00+02:00", datetime(2026, 11, 22, 8, tzinfo=UTC)),
    ],
    ids=lambda value: str(value).replace(" ", "-"),
)
def test_a_time_is_ago_or_at(text: str, meant: Any) -> None:
    assert filters.when(text) == meant


@pytest.mark.parametrize("text", ["", "2", "h2", "2w", "yesterday", "-2h", "9999999d"])
def test_what_is_no_time_is_told(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="is no time"):
        filters.when(text)


def test_all_filters_reach_the_ledger() -> None:
    given = parsed(
        "--account", "acc_a", "--project", "prj_a", "--mode", "live", "--state", "failed",
        "--state", "queued", "--model", "m", "--error-code", "provider_timeout", "--since", "2h",
        "--until", "2026-11-23T07:30",
    )  # fmt: skip

    wanted = filters.wanted(given, NOW, 10, "rr_last")

    assert wanted.account_id == "acc_a"
    assert wanted.project_id == "prj_a"
    assert wanted.mode == "live"
    assert wanted.states == frozenset({State.FAILED, State.QUEUED})
    assert (wanted.model, wanted.error_code) == ("m", "provider_timeout")
    assert wanted.created_after == NOW - timedelta(hours=2)
    assert wanted.created_before == NOW - timedelta(minutes=30)
    assert (wanted.limit, wanted.before_id) == (10, "rr_last")


def test_a_limit_or_a_page_is_no_filter() -> None:
    assert not filters.is_any(parsed("--limit", "10", "--before", "rr_a"))
    assert filters.is_any(parsed("--since", "2h"))
