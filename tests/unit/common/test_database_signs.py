"""Errors of a database by kind, and how far its clock is from ours."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY

from libs.common import database_signs


@pytest.mark.parametrize(
    ("sqlstate", "kind"),
    [
        ("53100", "disk_full"),
        ("53200", "no_resources"),
        ("53300", "no_connection_free"),
        ("57014", "too_slow"),
        ("57P01", "shutting_down"),
        ("25006", "read_only"),
        ("40P01", "conflict"),
        ("XX000", "other"),
        ("", "unreachable"),
        (None, "unreachable"),
    ],
)
def test_an_error_is_counted_by_its_kind(sqlstate: str | None, kind: str) -> None:
    labels = {"database": "of a test", "why": kind}
    before = REGISTRY.get_sample_value("reqrun_database_errors_total", labels) or 0

    database_signs.count_error("of a test", sqlstate)

    assert REGISTRY.get_sample_value("reqrun_database_errors_total", labels) == before + 1


def test_a_clock_that_is_behind_the_databases_is_told_below_zero() -> None:
    asked_at = time.time()

    database_signs.note_clock("of a test", datetime.now(UTC) + timedelta(seconds=90), asked_at)

    offset = REGISTRY.get_sample_value("reqrun_clock_offset_seconds", {"database": "of a test"})
    assert offset == pytest.approx(-90, abs=5)
