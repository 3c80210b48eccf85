"""What billing takes from the environment, as REQRUN_<FIELD>."""

from typing import Final, Literal

import msgspec

from libs.common.contracts.plans import SOLD, PlanName
from libs.common.settings import Secret, SettingsError
from libs.common.telemetry import Ratio
from libs.common.tokens import PublicServiceKey

LIVE_URL: Final = "https://api.paddle.com"
NOTHING: Final = Secret("")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """For every role of the service, and the operator's commands.

    `service_public_keys`: who may ask us, by key id. `service_key`: PEM of our Ed25519 private key;
    with `gateway_url`, the gateway's internal port, usage is compared with the ledger.

    Without `paddle_api_key` nothing is sold; without `paddle_webhook_secrets` no webhook is taken.
    `paddle_checkout_url`: the page with Paddle.js; empty: the default payment link at Paddle.
    `paddle_webhook_secrets`: comma-separated, all good: two while one replaces the other.
    `paddle_prices`: JSON, by Paddle's price id the plan that it buys; the first of a plan is
    offered. A price that anybody still pays stays here.
    """

    database_url: Secret
    broker_url: Secret
    env: Literal["local", "production"] = "production"
    log_level: str = "info"
    traces_url: str = ""
    traces_ratio: Ratio = 0.1
    host: str = "127.0.0.1"
    port: int = 8080
    internal_port: int = 8081
    service_public_keys: dict[str, PublicServiceKey] = msgspec.field(default_factory=dict)
    service_key: Secret = NOTHING
    service_key_id: str = ""
    gateway_url: str = ""
    paddle_api_url: str = LIVE_URL
    paddle_api_key: Secret = NOTHING
    paddle_checkout_url: str = ""
    paddle_webhook_secrets: Secret = NOTHING
    paddle_prices: dict[str, PlanName] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find at the start what would take money and give nothing. Raises SettingsError."""
        if not set(self.paddle_prices.values()) <= set(SOLD):
            raise SettingsError(
                f"REQRUN_PADDLE_PRICES names a plan that is not {' or '.join(SOLD)}"
            )
        if not self.paddle_api_key.reveal():
            return
        if not self.webhook_secrets():
            raise SettingsError(
                "REQRUN_PADDLE_API_KEY sells, and without REQRUN_PADDLE_WEBHOOK_SECRETS nobody"
                " would hear of it"
            )
        if self.env == "production" and not self.paddle_api_url.startswith("https://"):
            raise SettingsError("REQRUN_PADDLE_API_URL gets our API key: it must begin with https")

    def webhook_secrets(self) -> tuple[Secret, ...]:
        """Each of which may have signed; none where Paddle is not configured."""
        parts = self.paddle_webhook_secrets.reveal().split(",")
        return tuple(Secret(part.strip()) for part in parts if part.strip())


class MigrationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """For `migrate`: the address of the database for the role that owns its tables."""

    migration_url: Secret
