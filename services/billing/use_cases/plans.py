"""What accounts may do: worked out anew from what is granted, what is bought, and the time."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
from prometheus_client import Counter

from libs.common import logs, outbox
from libs.common.contracts.billing import GRACE, PaymentFailed, PlanChanged, SubscriptionEnded
from libs.common.contracts.plans import PlanName
from libs.common.database import Transaction
from libs.common.errors import Unavailable
from libs.common.pauses import growing
from libs.common.runtime import sleep
from services.billing.domain import subscriptions
from services.billing.domain.subscriptions import Bought, Standing, grace_ends_at
from services.billing.ports import Ports
from services.billing.repositories.accounts import BillingAccountRepository, Books
from services.billing.repositories.entities import EntityRepository
from services.billing.repositories.subscriptions import Failure, Owned, SubscriptionRepository

log = logs.get(__name__)

PLAN_CHANGED: Final = "plan_changed"
DUE_LOOK_FAILED: Final = "due_plans_failed"
DUE_PLAN_FAILED: Final = "due_plan_failed"

CHANGED: Final = Counter("reqrun_plans_changed_total", "Changes of an account's plan or its period")
ENDED: Final = Counter("reqrun_subscriptions_ended_total", "Subscriptions that came to their end")

LOOK_EVERY: Final = timedelta(seconds=1)
LONGEST_PAUSE: Final = timedelta(seconds=30)
BATCH: Final = 100


async def refresh(tx: Transaction, ports: Ports, account_ids: Collection[str]) -> None:
    """Work out what these may do, and tell what changed. Accounts that are not there yet wait.

    Whoever changes what an account has bought, or its books, calls this in the same transaction;
    the locks taken here make the last one see what all the others did.
    """
    if not account_ids:
        return
    await EntityRepository(tx).lock_accounts(account_ids)
    books = [
        one for one in await BillingAccountRepository(tx).find(account_ids) if not one.is_closed
    ]
    ids = [one.account_id for one in books]
    if not ids:
        return
    owned: dict[str, list[Owned]] = defaultdict(list)
    repository = SubscriptionRepository(tx, ports.prices)
    for one in await repository.of_accounts(ids):
        owned[one.account_id].append(one)
    failures = await repository.untold_failures(ids)
    for one_books in books:
        await _Account(tx, ports, one_books, owned[one_books.account_id]).tell(
            [failure for failure in failures if failure.account_id == one_books.account_id]
        )


class _Account:
    """One account, what it bought, and the transaction in which it is looked at."""

    def __init__(self, tx: Transaction, ports: Ports, books: Books, owned: Sequence[Owned]) -> None:
        self._tx, self._now, self._books, self._owned = tx, ports.clock.now(), books, owned
        self._bought = {one.id: one.as_bought(ports.prices) for one in owned}
        self._subscriptions = SubscriptionRepository(tx, ports.prices)

    async def tell(self, failures: Sequence[Failure]) -> None:
        standing = subscriptions.stand(self._books.granted, list(self._bought.values()), self._now)
        await self._tell_plan(standing)
        for one in self._owned:
            await self._tell_end(one, standing.plan)
        for failure in failures:
            await self._tell_failure(failure)

    async def _tell_plan(self, standing: Standing) -> None:
        books = self._books
        is_changed = (books.plan, books.anchor_day) != (standing.plan, standing.anchor_day)
        told = msgspec.structs.replace(
            books,
            plan=standing.plan,
            anchor_day=standing.anchor_day,
            version=books.version + is_changed,
            due_at=standing.due_at,
        )
        if told != books:
            await BillingAccountRepository(self._tx).save(told)
        if is_changed:
            event = PlanChanged(
                account_id=told.account_id,
                plan=told.plan,
                anchor_day=told.anchor_day,
                version=told.version,
            )
            await outbox.add(self._tx, event)
            CHANGED.inc()
            log.info(PLAN_CHANGED, account_id=told.account_id, version=told.version)

    async def _tell_end(self, owned: Owned, plan: PlanName) -> None:
        """Once, when it is over for good: an unpaid one may still be paid."""
        bought = self._bought[owned.id]
        if bought.is_living or owned.ended_told_at or self._now < subscriptions.gives_until(bought):
            return
        await self._subscriptions.note_told_end(owned.id, self._now)
        ENDED.inc()
        if bought.plan is not None:
            event = SubscriptionEnded(
                account_id=owned.account_id,
                subscription_id=owned.id,
                ended_plan=bought.plan,
                plan=plan,
            )
            await outbox.add(self._tx, event)

    async def _tell_failure(self, failure: Failure) -> None:
        """Once; not where the subscription is known to have gone on since.

        Nor for what is not known to be the account's: it may be told when that is.
        """
        owned = next((one for one in self._owned if one.id == failure.subscription_id), None)
        if owned is None and not failure.is_named:
            return
        has_gone_on = (
            owned is not None
            and owned.state != "past_due"
            and owned.occurred_at > failure.failed_at
        )
        if has_gone_on:
            return
        bought = self._bought[failure.subscription_id] if owned else None
        event = PaymentFailed(
            account_id=failure.account_id,
            transaction_id=failure.id,
            amount=failure.amount,
            currency=failure.currency,
            grace_ends_at=_grace_ends_at(bought, failure),
        )
        await self._subscriptions.note_told_failure(failure.id, self._now)
        await outbox.add(self._tx, event)


def _grace_ends_at(bought: Bought | None, failure: Failure) -> datetime:
    ends_at = grace_ends_at(bought) if bought else None
    return ends_at or failure.failed_at + GRACE


async def grant(ports: Ports, account_id: str, plan: PlanName) -> None:
    """The operator's word: the plan of an account that buys nothing, its floor where it does.

    Raises BillingAccountNotFound.
    """
    async with ports.db.transaction() as tx:
        await EntityRepository(tx).lock_accounts([account_id])
        accounts = BillingAccountRepository(tx)
        books = await accounts.get(account_id)
        await accounts.save(msgspec.structs.replace(books, granted=plan))
        await refresh(tx, ports, [account_id])


async def keep_time(ports: Ports, stop: asyncio.Event) -> None:
    """A loop: what the clock changes, it changes within a second or so. Any number of workers."""
    pauses = growing(LOOK_EVERY, LONGEST_PAUSE)
    while not stop.is_set():
        try:
            await refresh_due(ports)
        except Exception:  # it is tried again
            log.exception(DUE_LOOK_FAILED)
            await sleep(stop, next(pauses))
            continue
        pauses = growing(LOOK_EVERY, LONGEST_PAUSE)
        await sleep(stop, LOOK_EVERY.total_seconds())


async def refresh_due(ports: Ports) -> int:
    """All accounts whose grace, paid period or the like has ended; how many.

    One that fails keeps no other waiting: it is raised when all have been looked at.
    """
    count, failures = 0, []
    async for account_id in _due(ports):
        try:
            async with ports.db.transaction() as tx:
                await refresh(tx, ports, [account_id])
        except Unavailable:
            raise
        except Exception as failure:
            log.exception(DUE_PLAN_FAILED, account_id=account_id)
            failures.append(failure)
        count += 1
    if failures:
        raise ExceptionGroup("not looked at", failures)
    return count


async def _due(ports: Ports) -> AsyncIterator[str]:
    now, some = ports.clock.now(), [""]
    while some:
        async with ports.db.transaction() as tx:
            some = await BillingAccountRepository(tx).find_due(now, some[-1], BATCH)
        for account_id in some:
            yield account_id
