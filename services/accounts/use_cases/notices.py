"""What billing tells that people are to hear of by mail, each of it once.

An event may come twice, and long after its mail is gone: what was told stands in `notices`. Of an
account that was erased meanwhile nobody is told anything.
"""

from datetime import date, datetime
from typing import Final

from libs.common.contracts.billing import PaymentFailed, SubscriptionEnded, UsageThresholdReached
from libs.common.contracts.plans import PLANS
from libs.common.errors import NotFound
from services.accounts.domain.letters import Letter, LetterKind
from services.accounts.domain.money import amount_of
from services.accounts.domain.plan_changes import InUse, differences
from services.accounts.models import Person
from services.accounts.ports import Ports
from services.accounts.repositories.accounts import AccountRepository
from services.accounts.repositories.mails import MailRepository
from services.accounts.repositories.people import PeopleRepository
from services.accounts.repositories.projects import ProjectRepository

_SOMEBODY: Final = "there"


async def tell_usage(ports: Ports, event: UsageThresholdReached) -> None:
    """A mail to who wants such mails; who does not is not told later either."""
    kind, now = LetterKind.USAGE_NOTICE, ports.clock.now()
    async with ports.db.transaction() as tx:
        account = await AccountRepository(tx).lock_living(event.account_id)
        name = f"usage.{event.percent}.{event.period.isoformat()}"
        if account is None or not await MailRepository(tx).tell_once(account.id, name, at=now):
            return
        person = await PeopleRepository(tx).find_of(account.id)
        if person is None or not person.wants_notices:
            return
        letter = ports.write(
            kind,
            name=person.name,
            share=str(event.percent),
            used=f"{event.used:,}",
            limit=f"{event.allowed:,}",
            period_ends_on=_day(event.resets_on),
            base_url=ports.base_url,
        )
        MailRepository(tx).add(kind, letter, person, at=now)


async def tell_failed_payment(ports: Ports, event: PaymentFailed) -> None:
    """Mails to the person and to whom invoices go. Raises BillingAway; the person's is out then."""
    person = await _note_debt(ports, event)
    if person is None:
        return
    try:
        details = (await ports.billing.show(event.account_id)).details
    except NotFound:
        return  # billing has forgotten the account meanwhile
    if details.email and details.email.lower() != person.email_key:
        await _tell_payer(ports, event, person, details.email)


async def tell_end(ports: Ports, event: SubscriptionEnded) -> None:
    """A mail that says what is less from now on, and that nothing is deleted."""
    kind, now = LetterKind.SUBSCRIPTION_ENDED, ports.clock.now()
    async with ports.db.transaction() as tx:
        account = await AccountRepository(tx).lock_living(event.account_id)
        name = f"ended.{event.subscription_id}"
        if account is None or not await MailRepository(tx).tell_once(account.id, name, at=now):
            return
        account.payment_due_at = None
        person = await PeopleRepository(tx).find_of(account.id)
        if person is None:
            return
        used = InUse(projects=len(await ProjectRepository(tx).list_living(account.id)))
        losses = differences(PLANS[event.ended_plan], PLANS[event.plan], used)
        letter = ports.write(
            kind,
            name=person.name,
            ended_plan=event.ended_plan.capitalize(),
            plan=event.plan.capitalize(),
            changes="\n".join(f"- {one.text}" for one in losses),
            base_url=ports.base_url,
        )
        MailRepository(tx).add(kind, letter, person, at=now)


async def _note_debt(ports: Ports, event: PaymentFailed) -> Person | None:
    """The pages say it from now on, and so does a mail to who logs in: them, if there is one."""
    kind, now = LetterKind.PAYMENT_FAILED, ports.clock.now()
    async with ports.db.transaction() as tx:
        account = await AccountRepository(tx).lock_living(event.account_id)
        if account is None:
            return None
        person = await PeopleRepository(tx).find_of(account.id)
        name = f"payment.{event.transaction_id}"
        if await MailRepository(tx).tell_once(account.id, name, at=now):
            account.payment_due_at = event.grace_ends_at
            if person is not None:
                letter = _of_failed_payment(ports, event, person.name)
                MailRepository(tx).add(kind, letter, person, at=now)
        return person


async def _tell_payer(ports: Ports, event: PaymentFailed, person: Person, email: str) -> None:
    kind, now = LetterKind.PAYMENT_FAILED, ports.clock.now()
    async with ports.db.transaction() as tx:
        account = await AccountRepository(tx).lock_living(event.account_id)
        name = f"payment.{event.transaction_id}.payer"
        if account is not None and await MailRepository(tx).tell_once(account.id, name, at=now):
            # Whoever reads it may be a stranger: no word of the person's is in it.
            letter = _of_failed_payment(ports, event, _SOMEBODY)
            MailRepository(tx).add(kind, letter, person, at=now, to=email)


def _of_failed_payment(ports: Ports, event: PaymentFailed, name: str) -> Letter:
    return ports.write(
        LetterKind.PAYMENT_FAILED,
        name=name,
        amount=amount_of(event.amount, event.currency),
        grace_ends_on=_day(event.grace_ends_at),
        base_url=ports.base_url,
    )


def _day(at: date | datetime) -> str:
    return f"{at.day} {at:%B %Y}"
