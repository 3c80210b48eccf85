"""A running gateway with everything around it real, as the integration tests of the gateway have.

Only the loop of contract tests shares it: their gateway is another one, over another ledger.
"""

from tests.integration.gateway.conftest import (
    accounts,
    accounts_key,
    billing_key,
    executor_url,
    gateway,
    gateway_key,
    key,
    ledger,
    service_keys,
    settings,
    shared_ledger_url,
)

__all__ = [
    "accounts",
    "accounts_key",
    "billing_key",
    "executor_url",
    "gateway",
    "gateway_key",
    "key",
    "ledger",
    "service_keys",
    "settings",
    "shared_ledger_url",
]
