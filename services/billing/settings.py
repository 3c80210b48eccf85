"""What billing takes from the environment, as REQRUN_<FIELD>."""

import msgspec

from libs.common.settings import Secret


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """For the worker and the operator's commands."""

    database_url: Secret
    broker_url: Secret
    log_level: str = "info"
    host: str = "127.0.0.1"
    internal_port: int = 8081


class MigrationSettings(msgspec.Struct, frozen=True, kw_only=True):
    """For `migrate`: the address of the database for the role that owns its tables."""

    migration_url: Secret
