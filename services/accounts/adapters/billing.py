"""Asks billing about plans, use and money, and hands on what people order."""

import asyncio
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final, TypeVar

import httpx2
import msgspec

from libs.common import errors, logs
from libs.common.contracts.billing import (
    AUDIENCE,
    BillingAnswer,
    CancelQuestion,
    CheckoutQuestion,
    GrantQuestion,
    LinkAnswer,
    PlanChangeAnswer,
    PlanChangeQuestion,
    TaxDetails,
    billing_path,
    cancel_path,
    checkout_path,
    details_path,
    grant_path,
    invoice_path,
    plan_change_path,
    portal_path,
)
from libs.common.tokens import ServiceTokens
from services.accounts.domain.errors import BillingAway, BooksNotOpen, InvoiceNotFound

log = logs.get(__name__)

BILLING_NOT_ANSWERING: Final = "billing_not_answering"

READ_SECONDS: Final = 2.0
ORDER_SECONDS: Final = 10.0
"""Billing asks the payment provider meanwhile."""

Answer = TypeVar("Answer")

# What billing refuses, by status: its text is for people. Any other error is a fault between us.
_KINDS: Final[Mapping[int, type[errors.AppError]]] = {
    400: errors.InvalidInput,
    404: errors.NotFound,
    409: errors.Conflict,
    410: errors.Gone,
    429: errors.LimitReached,
}
_FAULTS: Final = frozenset({"route_not_found", "invalid_body", "not_found"})
_NOT_OPEN: Final = "billing_account_not_found"
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SECONDS: Final = re.compile(r"[0-9]{1,9}")


class _Detail(msgspec.Struct):
    message: str
    code: str


class _Refusal(msgspec.Struct):
    error: _Detail


class HttpBilling:
    """Billing, on its internal port.

    Everything raises BillingAway for whatever is no good answer in time, BooksNotOpen until it
    knows the account. What it refuses comes back as an error of its kind, with its text and code.
    """

    def __init__(self, client: httpx2.AsyncClient, tokens: ServiceTokens) -> None:
        """`client`: with billing's internal address as its base URL."""
        self._client, self._tokens = client, tokens

    async def show(self, account_id: str) -> BillingAnswer:
        """See Billing."""
        return await self._ask("GET", billing_path(account_id), BillingAnswer, READ_SECONDS)

    async def check_out(self, account_id: str, question: CheckoutQuestion) -> LinkAnswer:
        """See Billing."""
        return await self._order("POST", checkout_path(account_id), LinkAnswer, question)

    async def open_portal(self, account_id: str) -> LinkAnswer:
        """See Billing."""
        return await self._order("POST", portal_path(account_id), LinkAnswer)

    async def change_plan(self, account_id: str, question: PlanChangeQuestion) -> PlanChangeAnswer:
        """See Billing."""
        return await self._order("POST", plan_change_path(account_id), PlanChangeAnswer, question)

    async def cancel(self, account_id: str, question: CancelQuestion) -> BillingAnswer:
        """See Billing."""
        return await self._order("POST", cancel_path(account_id), BillingAnswer, question)

    async def set_details(self, account_id: str, details: TaxDetails) -> BillingAnswer:
        """See Billing."""
        return await self._order("PUT", details_path(account_id), BillingAnswer, details)

    async def open_invoice(self, account_id: str, invoice_id: str) -> LinkAnswer:
        """See Billing."""
        if not _ID.fullmatch(invoice_id):  # it comes from a browser, and goes into a path
            raise InvoiceNotFound("There is no such invoice in your account.")
        path = invoice_path(account_id, invoice_id)
        return await self._ask("GET", path, LinkAnswer, ORDER_SECONDS)

    async def grant(self, account_id: str, question: GrantQuestion) -> BillingAnswer:
        """See Billing."""
        return await self._order("PUT", grant_path(account_id), BillingAnswer, question)

    async def _order(
        self, method: str, path: str, kind: type[Answer], question: msgspec.Struct | None = None
    ) -> Answer:
        return await self._ask(method, path, kind, ORDER_SECONDS, question)

    async def _ask(
        self,
        method: str,
        path: str,
        kind: type[Answer],
        seconds: float,
        question: msgspec.Struct | None = None,
    ) -> Answer:
        headers = {"authorization": f"Bearer {self._tokens.issue(AUDIENCE)}"}
        content = b""
        if question is not None:
            headers["content-type"] = "application/json"
            content = msgspec.json.encode(question)
        try:
            async with asyncio.timeout(seconds):
                response = await self._client.request(
                    method, path, content=content, headers=headers, timeout=seconds
                )
            if response.is_client_error:
                raise _refusal(response)
            response.raise_for_status()
            return msgspec.json.decode(response.content, type=kind)
        except (httpx2.HTTPError, TimeoutError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning(BILLING_NOT_ANSWERING, exc_info=error)
            raise BillingAway from None


def _refusal(response: httpx2.Response) -> Exception:
    """What billing said; an HTTPStatusError where it is nothing that it should say."""
    detail = msgspec.json.decode(response.content, type=_Refusal).error
    if detail.code == _NOT_OPEN:
        return BooksNotOpen("Your billing is being set up. Look again in a moment.")
    kind = _KINDS.get(response.status_code)
    if kind is None or detail.code in _FAULTS:
        text = f"{response.status_code} {detail.code}"
        return httpx2.HTTPStatusError(text, request=response.request, response=response)
    seconds = response.headers.get("retry-after", "")
    retry_after = timedelta(seconds=int(seconds)) if _SECONDS.fullmatch(seconds) else None
    error = kind(detail.message, retry_after=retry_after)
    error.code = detail.code  # type: ignore[misc]  # billing's own, of this one refusal
    return error
