"""Who reads which secret, as data: a template a variable, over the facts of one installation.

`{host[…]}` is where a server is, `{password[…]}` one of passwords.py, `{key[…]}` a text of
deploy/keys/facts.py, `{given[…]}` what only the operator knows. A reader is a process, or several
of one service.
"""

from collections.abc import Mapping
from typing import Final

Templates = Mapping[str, str]
"""By variable, without the prefix REQRUN_."""

_REDIS: Final = {"REDIS_URL": "redis://:{password[redis]}@{host[redis]}/0"}
_VERIFIES: Final = {"SERVICE_PUBLIC_KEYS": "{key[service_public_keys]}"}


def _broker(user: str) -> Templates:
    return {"BROKER_URL": f"amqp://{user}:{{password[{user}]}}@{{host[rabbitmq]}}/"}


def _signs(service: str) -> Templates:
    return {"SERVICE_KEY": f"{{key[{service}]}}", "SERVICE_KEY_ID": f"{{key[{service}_id]}}"}


def _database(role: str, password: str, database: str) -> str:
    """The role is the service's, or the one that owns the tables."""
    return f"postgresql://{role}:{{password[{password}]}}@{{host[{database}]}}/{database}"


def _migration(database: str) -> Templates:
    role, password = f"reqrun_{database}_owner", f"{database}-owner"
    return {"MIGRATION_URL": _database(role, password, database)}


_LEDGER_OF_EXECUTORS: Final = {"LEDGER_URL": _database("reqrun_executor", "executor", "requests")}

READERS: Final[Mapping[str, Templates]] = {
    "gateway": {
        "LEDGER_URL": _database("reqrun_gateway", "gateway", "requests"),
        "API_KEY_PEPPER": "{key[pepper]}",
        "API_KEY_OLDER_PEPPERS": "{key[older_peppers]}",
        "DATA_PLANE_KEYS": "{key[data_plane]}",
        **_broker("gateway"),
        **_REDIS,
        **_signs("gateway"),
        **_VERIFIES,
    },
    "executor": {
        **_LEDGER_OF_EXECUTORS,
        "SEALING_KEYS": "{key[executor_sealing]}",
        "DATA_PLANE_KEYS": "{key[data_plane]}",
        **_broker("executor"),
        **_REDIS,
        **_signs("executor"),
        **_VERIFIES,
    },
    "dispatcher": {
        **_LEDGER_OF_EXECUTORS,
        **_broker("executor"),
        **_REDIS,
        **_signs("executor"),
    },
    "accounts": {
        "DATABASE_URL": _database("reqrun_accounts", "accounts", "accounts"),
        "API_KEY_PEPPER": "{key[pepper]}",
        "API_KEY_PEPPER_ID": "{key[pepper_id]}",
        "EXECUTOR_PUBLIC_KEY": "{key[executor_public]}",
        "DATA_PLANE_PUBLIC_KEY": "{key[data_plane_public]}",
        "SMTP_URL": "{given[SMTP_URL]}",
        **_broker("accounts"),
        **_signs("accounts"),
        **_VERIFIES,
    },
    "billing": {
        "DATABASE_URL": _database("reqrun_billing", "billing", "billing"),
        "PADDLE_API_KEY": "{given[PADDLE_API_KEY]}",
        "PADDLE_WEBHOOK_SECRETS": "{given[PADDLE_WEBHOOK_SECRETS]}",
        **_broker("billing"),
        **_signs("billing"),
        **_VERIFIES,
    },
    "operator": {
        "LEDGER_URL": _database("reqrun_operator", "operator", "requests"),
        **_broker("operator"),
        **_REDIS,
    },
    "requests-migration": _migration("requests"),
    "accounts-migration": _migration("accounts"),
    "billing-migration": _migration("billing"),
}
"""By the name of the secret. A private key is nobody's but its readers'."""

SCALER: Final = _database("reqrun_scaler", "scaler", "requests")
"""For the autoscaler of executors, which may read how many slots are held and nothing else."""


MAY_BE_EMPTY: Final = frozenset({"PADDLE_API_KEY", "PADDLE_WEBHOOK_SECRETS"})
"""Of what only the operator knows: without these two nothing is sold."""


def given_names() -> frozenset[str]:
    """What the operator must say: no key material and no password of ours."""
    texts = " ".join(text for templates in READERS.values() for text in templates.values())
    return frozenset(part.split("]")[0] for part in texts.split("{given[")[1:])
