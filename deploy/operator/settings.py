"""What the operator's program takes from the environment, as REQRUN_<FIELD>."""

from typing import Final

import msgspec

from libs.common.settings import Secret

NOTHING: Final = Secret("")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All may be missing: what needs it says so, and the rest works.

    `ledger_url`: database `requests` for the operator's own role; `broker_url`: its own user there.
    `processes`: `name=http://…`, comma separated: the internal port of every process that is
    looked at. `load_url`: a gateway's public port, for `load`. `key_folder`: the key material,
    where this machine has it. `secrets_accounts`, `secrets_billing`: the folders that stand in for
    REQRUN_SECRETS where a service's own command is handed on (installation.py).
    """

    env: str = "production"
    ledger_url: Secret = NOTHING
    broker_url: Secret = NOTHING
    redis_url: Secret = NOTHING
    processes: tuple[str, ...] = ()
    load_url: str = ""
    key_folder: str = ""
    secrets_accounts: str = ""
    secrets_billing: str = ""

    def addresses(self) -> dict[str, str]:
        """The internal address of each process, by its name."""
        pairs = (one.partition("=") for one in self.processes)
        return {name: url for name, _, url in pairs}


class DatabaseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Of a service's settings only where its database is."""

    database_url: Secret


class LedgerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Of the dispatcher's settings only where the ledger is."""

    ledger_url: Secret
