"""What was used, added up, and what it comes to if it goes on like that."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

import msgspec

from libs.common.contracts.billing import UsageAnswer, UsageLine
from libs.common.periods import midnight

_SOONEST: Final = 0.1
"""Of a period: before that the days so far say nothing of those to come."""


class Sum(msgspec.Struct, kw_only=True):
    """Live requests that ended, and their tokens."""

    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def requests(self) -> int:
        """All of them: each counts, however it ended."""
        return self.completed + self.failed + self.cancelled

    def add(self, line: UsageLine) -> None:
        """One more line."""
        self.completed += line.completed
        self.failed += line.failed
        self.cancelled += line.cancelled
        self.prompt_tokens += line.prompt_tokens
        self.completion_tokens += line.completion_tokens


def by_project_and_model(lines: Iterable[UsageLine]) -> list[tuple[str, str, Sum]]:
    """Project id, model, and what was used; the most used first."""
    sums: dict[tuple[str, str], Sum] = {}
    for line in lines:
        sums.setdefault((line.project_id, line.model), Sum()).add(line)
    ordered = sorted(sums.items(), key=lambda item: (-item[1].requests, item[0]))
    return [(project_id, model, total) for (project_id, model), total in ordered]


def projected(usage: UsageAnswer, now: datetime) -> int | None:
    """How many it will be when the period ends; None where it is too soon to say."""
    begins_at, ends_at = midnight(usage.period), midnight(usage.resets_on)
    share = (now - begins_at) / (ends_at - begins_at)
    if not _SOONEST <= share < 1 or not usage.finished:
        return None
    return round(usage.finished / share)
