"""What the use cases around Paddle share: the buyer, and that a person waits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import msgspec

from services.billing.domain.buying import NothingSold, NotSubscribed
from services.billing.domain.paddle import PaddleAway
from services.billing.ports import Paddle, Ports
from services.billing.repositories.accounts import BillingAccountRepository, Books
from services.billing.repositories.entities import EntityRepository
from services.billing.repositories.subscriptions import Owned, SubscriptionRepository

PATIENCE: Final = timedelta(seconds=12)
"""Of a person, for all calls of one use case together."""

_ENDED: Final = "canceled"


class Buyer(msgspec.Struct, frozen=True, kw_only=True):
    """An account as Paddle's customer. `living`: its subscriptions that have not ended.

    `customers`: those that are this account's alone, so that nobody sees what is another's.
    """

    books: Books
    living: tuple[Owned, ...]
    customers: tuple[str, ...]

    @property
    def customer_id(self) -> str | None:
        """Who pays, if they did before: for what goes on, else the latest."""
        paying = [one.customer_id for one in self.living if one.customer_id in self.customers]
        return paying[-1] if paying else max(self.customers, default=None)

    def subscription(self) -> Owned:
        """The one that changes are about: the latest. Raises NotSubscribed."""
        if not self.living:
            raise NotSubscribed
        return self.living[-1]


async def find_buyer(ports: Ports, account_id: str) -> Buyer:
    """As our books have it. Raises BillingAccountNotFound."""
    async with ports.db.transaction() as tx:
        books = await BillingAccountRepository(tx).get(account_id)
        owned = await SubscriptionRepository(tx, ports.prices).of_accounts([account_id])
        customers = await EntityRepository(tx).customers_of(account_id)
    living = tuple(one for one in owned if one.state != _ENDED)
    return Buyer(books=books, living=living, customers=tuple(customers))


def seller(ports: Ports) -> Paddle:
    """The payment provider. Raises NothingSold."""
    if ports.paddle is None or not ports.prices:
        raise NothingSold
    return ports.paddle


@asynccontextmanager
async def waiting() -> AsyncIterator[None]:
    """A person waits, and not for long. Raises PaddleAway."""
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            yield
    except TimeoutError:
        raise PaddleAway("The payment provider is slow now. Try again in a moment.") from None
