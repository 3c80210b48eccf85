"""What is printed: one JSON document, or a picture."""

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.operator import pictures
from deploy.operator.doctor.check import Finding, Report, State
from deploy.operator.load.commands import LoadSeen
from deploy.operator.requests.changing import Changed, Outcome
from deploy.operator.requests.commands import RequestsFound
from deploy.operator.screen import Screen
from libs.ledger.search import Found
from libs.ledger.states import State as RequestState

AT = datetime(2026, 11, 23, 8, tzinfo=UTC)
FOUND = Found(
    id="rr_01m83r4d56a09wc6w53m9s1vfa",
    account_id="acc_a",
    project_id="prj_01m83qbdcp4j11ae9zth2esqdw",
    mode="live",
    model="[red]gpt[/]",
    state=RequestState.FAILED,
    attempts=3,
    created_at=AT,
    updated_at=AT,
    last_error_code="provider_timeout",
)
REPORT = Report(
    is_good=False,
    counts={State.OK: 1, State.WARN: 0, State.FAIL: 1, State.SKIP: 0},
    findings=[
        Finding(check="redis: reachable", state=State.FAIL, says="no [answer]", do="start it"),
        Finding(check="redis: version", state=State.OK, says="Redis 7"),
    ],
)


def printed(answer: Any, *, is_json: bool = False) -> str:
    out = io.StringIO()
    Screen(pictures.of, is_json=is_json, out=out).show(answer)
    return out.getvalue()


def test_a_report_says_what_is_wrong_and_what_to_do() -> None:
    text = printed(REPORT)

    assert "✗ fail" in text
    assert "no [answer]" in text  # nothing of an answer is markup
    assert "→ start it" in text
    assert "Something is wrong: 1 ok, 1 fail" in text


def test_json_is_one_document_and_nothing_else() -> None:
    text = printed(REPORT, is_json=True)

    assert text.count("\n") == 1
    assert json.loads(text)["findings"][0]["state"] == "fail"


def test_an_id_stays_in_one_piece_and_a_models_name_is_no_markup() -> None:
    text = printed(RequestsFound(is_good=True, requests=[FOUND], before=FOUND.id))

    assert FOUND.id in text
    assert FOUND.project_id in text
    assert "[red]gpt[/]" in text
    assert f"--before {FOUND.id}" in text
    assert "\x1b" not in text


def test_a_dry_run_says_that_nothing_was_done() -> None:
    one = Outcome(request_id=FOUND.id, project_id="prj_a", state=RequestState.QUEUED)
    changed = Changed(
        is_good=True, verb="cancel", is_dry_run=True, found=1, done=0, refused=0, requests=[one]
    )

    assert "Would cancel 1. Nothing was done: say it again with --yes." in printed(changed)


def test_what_has_no_picture_is_told_line_by_line() -> None:
    seen = LoadSeen(
        is_good=True, url="http://a", model="sim-ok", wished_per_second=10.0, seconds=1.0,
        accepted=10, accepted_per_second=10.0, p50_ms=1.5, p99_ms=2.5, late_p99_ms=None, errors={},
        states={"completed": 10},
    )  # fmt: skip

    assert "accepted             10" in printed(seen)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "yes"),
        (AT, "2026-11-23 08:00:00Z"),
        (timedelta(days=30), "30 days"),
        (1234.5, "1,234.5"),
        ("plain", "plain"),
    ],
    ids=str,
)
def test_a_cell_is_short(value: Any, text: str) -> None:
    assert pictures.text_of(value) == text


def test_a_refusal_is_json_for_who_asked_for_it() -> None:
    out = io.StringIO()
    Screen(pictures.of, is_json=True, out=out).refuse("no_filter", "Name one.")

    assert json.loads(out.getvalue()) == {"error": {"code": "no_filter", "message": "Name one."}}
