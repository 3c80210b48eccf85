"""What accounts needs from outside, in one bundle."""

from collections.abc import Callable
from typing import Protocol

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.accounts import KeyContext
from libs.common.contracts.billing import (
    BillingAnswer,
    CancelQuestion,
    CheckoutQuestion,
    GrantQuestion,
    LinkAnswer,
    PlanChangeAnswer,
    PlanChangeQuestion,
    TaxDetails,
)
from libs.common.contracts.executor import TestConnectionAnswer, TestConnectionQuestion
from libs.common.contracts.gateway import (
    AccountStandingAnswer,
    ChangeAnswer,
    ContentAnswer,
    ExportAnswer,
    ExportQuestion,
    RequestAnswer,
    RequestsAnswer,
    RequestsQuestion,
)
from libs.common.contracts.plans import PlanName
from libs.common.contracts.stats import StatsAnswer, StatsQuestion
from libs.common.crypto import PublicSealingKey
from libs.common.database import Database
from services.accounts.domain.letters import Envelope, WriteLetter


class Requests(Protocol):
    """What the execution plane knows of requests. Everything raises ExecutionPlaneAway.

    What it refuses is raised as an error of its kind, with its text and code.
    """

    async def list_requests(self, project_id: str, question: RequestsQuestion) -> RequestsAnswer:
        """A page of a project's requests, newest first. Raises InvalidInput."""
        ...

    async def show(self, project_id: str, request_id: str) -> RequestAnswer:
        """One with its timeline. Raises NotFound."""
        ...

    async def open_content(
        self, project_id: str, request_id: str, context: KeyContext
    ) -> ContentAnswer:
        """Its bodies in plain. Raises NotFound."""
        ...

    async def export(self, project_id: str, question: ExportQuestion) -> ExportAnswer:
        """A page of them whole, newest first."""
        ...

    async def cancel(self, project_id: str, request_id: str, context: KeyContext) -> ChangeAnswer:
        """End one that is open. Raises NotFound, Conflict."""
        ...

    async def retry(self, project_id: str, request_id: str, context: KeyContext) -> ChangeAnswer:
        """Send one that failed once more, as a new one. Raises what a submit raises."""
        ...

    async def stats(self, project_id: str, question: StatsQuestion) -> StatsAnswer:
        """A project's numbers. Raises InvalidInput."""
        ...

    async def standing(self, account_id: str, anchor_day: int) -> AccountStandingAnswer:
        """How much of an account's limits is used, in the period that is now."""
        ...


class Executors(Protocol):
    """They alone open provider keys."""

    async def test(self, question: TestConnectionQuestion) -> TestConnectionAnswer:
        """Whatever the provider did; within some twelve seconds. Raises ExecutionPlaneAway."""
        ...


class Billing(Protocol):
    """It alone knows what is bought, paid and used. Everything raises BillingAway, BooksNotOpen.

    What it refuses is raised as an error of its kind, with its text and code.
    """

    async def show(self, account_id: str) -> BillingAnswer:
        """All that is known of an account's plan, use and money."""
        ...

    async def check_out(self, account_id: str, question: CheckoutQuestion) -> LinkAnswer:
        """Where the person buys a plan. Raises Conflict where they have a subscription."""
        ...

    async def open_portal(self, account_id: str) -> LinkAnswer:
        """Where cards and the provider's own invoices are. Raises Conflict, NotFound."""
        ...

    async def change_plan(self, account_id: str, question: PlanChangeQuestion) -> PlanChangeAnswer:
        """What another plan costs; or change it. Raises Conflict."""
        ...

    async def cancel(self, account_id: str, question: CancelQuestion) -> BillingAnswer:
        """End the subscription with the period that is paid, or not after all. Raises Conflict."""
        ...

    async def set_details(self, account_id: str, details: TaxDetails) -> BillingAnswer:
        """To whom invoices are written from now on. Raises InvalidInput."""
        ...

    async def open_invoice(self, account_id: str, invoice_id: str) -> LinkAnswer:
        """Where its PDF is, for minutes. Raises NotFound."""
        ...

    async def grant(self, account_id: str, question: GrantQuestion) -> BillingAnswer:
        """What the operator gives."""
        ...


class Post(Protocol):
    """Takes mails to their people."""

    async def send(self, envelope: Envelope) -> None:
        """Return when the next one on the way has taken it on. Raises MailDelayed, MailRefused."""
        ...


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """`digest`: of an API key, under the pepper `pepper_id`.

    `executor_key` seals to executors, `data_plane_key` to gateways and executors.
    `open_hosts`: provider hosts that may be plain HTTP. `is_production`: nothing made up goes in.
    `base_url`: of the dashboard, for links in mails. `new_plan`: of who signs up.
    `terms_version`: what they accept. `support_address`: the operator's, for support messages.
    """

    db: Database
    clock: Clock
    digest: Callable[[str], bytes]
    pepper_id: int
    executor_key: PublicSealingKey
    data_plane_key: PublicSealingKey
    open_hosts: frozenset[str]
    is_production: bool
    write: WriteLetter
    base_url: str
    terms_version: str
    new_plan: PlanName
    support_address: str
    requests: Requests
    executors: Executors
    billing: Billing
