"""To whom invoices are written: kept by Paddle, which writes them."""

import re
from typing import Final

import msgspec

from libs.common.contracts.billing import TaxDetails
from services.billing.domain import tax_ids
from services.billing.domain.paddle import DetailsRefused
from services.billing.ports import Paddle, Ports
from services.billing.repositories.buying import BuyingRepository
from services.billing.use_cases.buying import Buyer, find_buyer, seller, waiting

_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_LONGEST: Final = 200


async def write(ports: Ports, account_id: str, details: TaxDetails) -> None:
    """All of them at once; of a business name that is gone, the business goes too.

    Cut short, the next time brings the rest. Raises BillingAccountNotFound, NothingSold,
    InvalidTaxId, DetailsRefused, PaddleAway, PaddleRefused.
    """
    paddle = seller(ports)
    checked = check(details)
    buyer = await find_buyer(ports, account_id)
    async with waiting():
        customer_id = await _customer(ports, buyer, checked.email)
        address_id = await _address(paddle, customer_id, checked)
        business_id = await _business(paddle, customer_id, checked)
        if address_id is None:
            return
        for one in buyer.living:
            if one.customer_id == customer_id:
                await paddle.bill_to(one.id, address_id, business_id)


def check(details: TaxDetails) -> TaxDetails:
    """What can be told wrong without asking anybody. Raises InvalidTaxId, DetailsRefused."""
    tidy = TaxDetails(
        **{name: _tidy(value) for name, value in msgspec.structs.asdict(details).items()}
    )
    if tidy.country is None:
        if tidy.postal_code or tidy.tax_id or tidy.business_name:
            raise DetailsRefused("Choose the country: taxes depend on it.")
        return tidy
    if not _COUNTRY.fullmatch(tidy.country):
        raise DetailsRefused("Choose the country from the list.")
    if tidy.tax_id is None:
        return tidy
    if tidy.business_name is None:
        raise DetailsRefused("A VAT id belongs to a business: add its name.")
    return msgspec.structs.replace(tidy, tax_id=tax_ids.normalized(tidy.tax_id, tidy.country))


def _tidy(text: str | None) -> str | None:
    tidy = (text or "").strip()
    if len(tidy) > _LONGEST:
        raise DetailsRefused(f"Nothing here may be longer than {_LONGEST} characters.")
    return tidy or None


async def _customer(ports: Ports, buyer: Buyer, email: str | None) -> str:
    """Theirs, with this address of e-mail; made where there is none yet."""
    paddle = seller(ports)
    if buyer.customer_id is not None:
        if email is not None and (await paddle.get_customer(buyer.customer_id)).email != email:
            await paddle.update_customer(buyer.customer_id, email)
        return buyer.customer_id
    if email is None:
        raise DetailsRefused("Add an address of e-mail: invoices are sent there.")
    account_id = buyer.books.account_id
    found = await paddle.find_customer(email) or await paddle.create_customer(email, account_id)
    async with ports.db.transaction() as tx:
        owner = await BuyingRepository(tx).owner_of(found.id, found.account_id)
    if owner != account_id:  # an address that somebody types proves nothing
        raise DetailsRefused("Invoices of somebody else go there: choose another address.")
    return found.id


async def _address(paddle: Paddle, customer_id: str, details: TaxDetails) -> str | None:
    known = next(iter(await paddle.list_addresses(customer_id)), None)
    if details.country is None:
        return known.id if known else None
    wanted = (details.country, details.postal_code)
    if known is not None and (known.country, known.postal_code) == wanted:
        return known.id
    return (await paddle.save_address(customer_id, known.id if known else None, *wanted)).id


async def _business(paddle: Paddle, customer_id: str, details: TaxDetails) -> str | None:
    known = next(iter(await paddle.list_businesses(customer_id)), None)
    if details.business_name is None:
        if known is not None:
            await paddle.archive_business(customer_id, known.id)
        return None
    wanted = (details.business_name, details.tax_id)
    if known is not None and (known.name, known.tax_id) == wanted:
        return known.id
    return (await paddle.save_business(customer_id, known.id if known else None, *wanted)).id
