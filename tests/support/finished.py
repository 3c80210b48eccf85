"""Requests that an executor could have finished."""

from datetime import UTC, datetime, timedelta
from typing import Any

from libs.common.contracts.executor import FinishedRequest, TokenUsage

CREATED_AT = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)


def finished(number: int, **changes: Any) -> FinishedRequest:
    """A completed live request of account `acc_1`, with 10 + 5 tokens, but for `changes`."""
    fields: dict[str, Any] = {
        "id": f"rr_{number:026d}",
        "account_id": "acc_1",
        "project_id": "prj_1",
        "mode": "live",
        "endpoint": "/v1/chat/completions",
        "model": "gpt-4o-mini",
        "state": "completed",
        "attempts": 1,
        "created_at": CREATED_AT,
        "finished_at": CREATED_AT + timedelta(seconds=2),
        "tokens": TokenUsage(prompt=10, completion=5, total=15),
    }
    return FinishedRequest(**fields | changes)
