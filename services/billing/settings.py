"""What billing takes from the environment, as REQRUN_<FIELD>."""

import msgspec

from libs.common.settings import Secret, SettingsError


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """For the worker and the operator's commands."""

    database_url: Secret
    broker_url: Secret
    log_level: str = "info"
    host: str = "127.0.0.1"
    internal_port: int = 8081


class MigrationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """For `migrate`: `migration_url` is of the role that owns the tables; else `database_url`."""

    database_url: Secret = Secret("")
    migration_url: Secret = Secret("")

    def url(self) -> Secret:
        """The one that is set. Raises SettingsError."""
        if not (self.migration_url.reveal() or self.database_url.reveal()):
            raise SettingsError("REQRUN_MIGRATION_URL is not set")
        return self.migration_url if self.migration_url.reveal() else self.database_url
