"""What the operator's program takes from the environment, as REQRUN_<FIELD>."""

from typing import Final

import msgspec

from libs.common.settings import Secret

NOTHING: Final = Secret("")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All may be missing: what needs it says so, and the rest works.

    `ledger_url`: database `requests` for the operator's own role; `broker_url`: its own user there.
    `processes`: `name=http://…`, comma separated: the internal port of every process that is
    looked at. `api_url`: where customers call a gateway. `key_folder`: the key material, where this
    machine has it.
    """

    env: str = "production"
    ledger_url: Secret = NOTHING
    broker_url: Secret = NOTHING
    redis_url: Secret = NOTHING
    processes: tuple[str, ...] = ()
    api_url: str = ""
    key_folder: str = ""

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
