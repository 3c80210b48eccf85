"""Invoices as documents: Paddle makes and keeps them."""

from libs.common.contracts.billing import LinkAnswer
from services.billing.domain.buying import InvoiceNotFound
from services.billing.ports import Ports
from services.billing.repositories.buying import BuyingRepository
from services.billing.use_cases.buying import seller, waiting


async def link_pdf(ports: Ports, account_id: str, invoice_id: str) -> LinkAnswer:
    """Good for some minutes, for whoever has it.

    Raises NothingSold, InvoiceNotFound (also for another account's), PaddleAway, PaddleRefused.
    """
    paddle = seller(ports)
    async with ports.db.transaction() as tx:
        is_theirs = await BuyingRepository(tx).has_pdf(account_id, invoice_id)
    if not is_theirs:
        raise InvoiceNotFound
    async with waiting():
        url = await paddle.invoice_pdf(invoice_id)
    if url is None:
        raise InvoiceNotFound
    return LinkAnswer(url=url)
