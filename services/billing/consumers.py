"""Which event leads to which use case."""

from functools import partial
from typing import Final

from libs.common.broker.dispatch import Handlers
from libs.common.broker.topology import BILLING_ACCOUNTS, BILLING_REQUESTS
from libs.common.contracts.accounts import AccountCreated, AccountDeleted
from libs.common.contracts.executor import RequestsFinished
from services.billing.ports import Ports
from services.billing.use_cases import accounts, thresholds, usage

QUEUES: Final = (BILLING_REQUESTS, BILLING_ACCOUNTS)


def handlers(ports: Ports, watch: thresholds.Watch) -> Handlers:
    """The table."""
    return {
        AccountCreated: partial(accounts.open_books, ports),
        AccountDeleted: partial(accounts.close_books, ports),
        RequestsFinished: usage.Recorder(ports, watch.see).record,
    }
