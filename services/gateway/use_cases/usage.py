"""Usage: what billing compares its books with, page by page, so that it is in nobody's way."""

from datetime import UTC, datetime
from typing import Final

from libs.common.contracts.usage import PAGE, EndedQuestion, UsageQuestion
from libs.common.ids import is_id
from libs.ledger.usage import EndedPage, TallyPage, UsageRange
from services.gateway.domain.errors import UnsupportedParameter
from services.gateway.ports import Ports
from services.gateway.use_cases.following import PREFIX

_EARLIEST: Final = datetime(2020, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(2200, 1, 1, tzinfo=UTC)


async def tally(ports: Ports, asked: UsageQuestion) -> tuple[TallyPage, list[str]]:
    """One page, and the accounts that are being erased. Raises UnsupportedParameter, Unavailable.

    Who is being erased is read afterwards: of whoever is not named, nothing was gone yet.
    """
    of = _range(asked.from_, asked.to, asked.cursor)
    page = await ports.ledger.tally_usage(of)
    return page, await ports.ledger.list_erasing()


async def list_ended(ports: Ports, asked: EndedQuestion) -> EndedPage:
    """One page of final requests. Raises UnsupportedParameter, Unavailable."""
    of = _range(asked.from_, asked.to, asked.cursor)
    return await ports.ledger.list_ended(of, list(asked.account))


def _range(low: datetime, high: datetime, cursor: str | None) -> UsageRange:
    if cursor is not None and not is_id(PREFIX, cursor):
        raise UnsupportedParameter("`cursor` must be the `cursor` of the page that came before.")
    if not (_EARLIEST <= low < high <= _LATEST):
        raise UnsupportedParameter("`from` must be before `to`, and both in our time.")
    return UsageRange(low=low, high=high, after=cursor, limit=PAGE)
