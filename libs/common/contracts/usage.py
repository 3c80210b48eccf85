"""What gateways answer billing about live requests, so that its books can be compared.

Both questions are paged by request, whoever's it is: an answer may be empty and not the last. Times
are aware UTC; a day is that of acceptance.
"""

from datetime import date
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from libs.common.contracts.executor import FinishedRequest
from libs.common.contracts.gateway import Moment, Text

USAGE_PATH: Final = "/internal/usage"
"""`GET` with a UsageQuestion as the query answers LedgerUsageAnswer; billing alone may."""

ENDED_PATH: Final = "/internal/usage/requests"
"""`GET` with an EndedQuestion as the query answers EndedAnswer."""

PAGE: Final = 2_000
MAX_ACCOUNTS: Final = 50


class UsageQuestion(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}
):
    """Requests accepted from `from_` (included) to `to` (not). `cursor`: of the page before."""

    from_: Moment
    to: Moment
    cursor: Text | None = None


class EndedQuestion(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}
):
    """The final ones among them, of these accounts: one to MAX_ACCOUNTS."""

    from_: Moment
    to: Moment
    account: Annotated[tuple[Text, ...], Meta(max_length=MAX_ACCOUNTS)] = ()
    cursor: Text | None = None


class LedgerDay(msgspec.Struct, frozen=True, kw_only=True):
    """Of one page. `open`: not final yet; accepted = completed + failed + cancelled + open."""

    account_id: str
    day: date
    accepted: int
    completed: int
    failed: int
    cancelled: int
    open: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class LedgerUsageAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One page. `cursor`: None on the last.

    `erasing`: accounts that are being erased just now: what is told of them is not whole.
    """

    days: tuple[LedgerDay, ...]
    erasing: tuple[str, ...]
    cursor: str | None


class EndedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One page, in order of their ids: `cursor` is not less than any of them; None on the last."""

    requests: tuple[FinishedRequest, ...]
    cursor: str | None
