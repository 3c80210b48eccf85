"""Every process of ReqRun, and every setting it gets, as data.

A setting is a template over the facts of one stack (site.py): `{folder}`, `{port[…]}`,
`{password[…]}`, `{key[…]}` and `{paddle[…]}`. A process that is not here does not run; a setting
that is not here is not given.
"""

import msgspec

from libs.common.contracts.plans import SOLD

INTERNAL = "INTERNAL_PORT"
PUBLIC = "PORT"
SMTP = "SMTP_PORT"


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """`python -m <package>.<service> <role> …`. `ports`: the settings that name its own ports."""

    name: str
    service: str
    role: tuple[str, ...]
    settings: dict[str, str]
    ports: tuple[str, ...] = (INTERNAL,)
    package: str = "services"


_POSTGRESQL = "@127.0.0.1:{port[postgresql]}"
_RABBITMQ = "@127.0.0.1:{port[rabbitmq]}/"
_ASK_ACCOUNTS = {"ACCOUNTS_URL": "http://127.0.0.1:{port[accounts-internal]}"}
_VERIFY = {"SERVICE_PUBLIC_KEYS": "{key[service_public_keys]}"}
_REDIS = {"REDIS_URL": "redis://:{password[redis]}@127.0.0.1:{port[redis]}/0"}

_GATEWAY = {
    "LEDGER_URL": "postgresql://reqrun_gateway:{password[gateway]}" + _POSTGRESQL + "/requests",
    "BROKER_URL": "amqp://gateway:{password[gateway]}" + _RABBITMQ,
    "API_KEY_PEPPER": "{key[pepper]}",
    "API_KEY_OLDER_PEPPERS": "{key[older_peppers]}",
    "SERVICE_KEY": "{key[gateway]}",
    "SERVICE_KEY_ID": "{key[gateway_id]}",
    "DATA_PLANE_KEYS": "{key[data_plane]}",
    "EXECUTOR_URL": "http://127.0.0.1:{port[executor-internal]}",
    "DASHBOARD_URL": "http://127.0.0.1:{port[accounts]}",
    **_REDIS,
    **_ASK_ACCOUNTS,
    **_VERIFY,
}
_EXECUTOR = {
    "LEDGER_URL": "postgresql://reqrun_executor:{password[executor]}" + _POSTGRESQL + "/requests",
    "BROKER_URL": "amqp://executor:{password[executor]}" + _RABBITMQ,
    "SEALING_KEYS": "{key[executor_sealing]}",
    "DATA_PLANE_KEYS": "{key[data_plane]}",
    "SERVICE_KEY": "{key[executor]}",
    "SERVICE_KEY_ID": "{key[executor_id]}",
    **_REDIS,
    **_ASK_ACCOUNTS,
    **_VERIFY,
    "SIMULATOR_URL": "http://127.0.0.1:{port[simulator]}/v1",
    "OPEN_HOSTS": "127.0.0.1",  # as accounts: what it takes, executors call
    "GRACE": "20",
}
_CONTACTS = msgspec.json.encode(
    {
        "operator": "you, on this machine",
        "privacy": "privacy@localhost.localdomain",
        "security": "security@localhost.localdomain",
        "support": "support@localhost.localdomain",
        "region": "this machine",
    }
).decode()
_LITERAL = str.maketrans({"{": "{{", "}": "}}"})
_ACCOUNTS = {
    "DATABASE_URL": "postgresql://reqrun_accounts:{password[accounts]}" + _POSTGRESQL + "/accounts",
    "BROKER_URL": "amqp://accounts:{password[accounts]}" + _RABBITMQ,
    "API_KEY_PEPPER": "{key[pepper]}",
    "API_KEY_PEPPER_ID": "{key[pepper_id]}",
    "EXECUTOR_PUBLIC_KEY": "{key[executor_public]}",
    "DATA_PLANE_PUBLIC_KEY": "{key[data_plane_public]}",
    "SERVICE_KEY": "{key[accounts]}",
    "SERVICE_KEY_ID": "{key[accounts_id]}",
    "GATEWAY_URL": "http://127.0.0.1:{port[gateway-internal]}",
    "EXECUTOR_URL": "http://127.0.0.1:{port[executor-internal]}",
    "SMTP_URL": "smtp+plain://127.0.0.1:{port[mail-smtp]}",
    "MAIL_FROM": "ReqRun <reqrun@localhost.localdomain>",
    "DASHBOARD_URL": "http://127.0.0.1:{port[accounts]}",
    "API_URL": "http://127.0.0.1:{port[gateway]}",
    "CONTACTS": _CONTACTS.translate(_LITERAL),
    "OPEN_HOSTS": "127.0.0.1",
    "BILLING_URL": "http://127.0.0.1:{port[billing-internal]}",
    "NEW_PLAN": "free",
    **_VERIFY,
}

PRICES = {f"pri_{plan.rjust(26, '0')}": plan for plan in SOLD}
"""The stand-in's price of each plan, by its id."""

_PADDLE = {
    "PADDLE_API_KEY": "{paddle[api_key]}",
    "PADDLE_PRICES": msgspec.json.encode(PRICES).decode().translate(_LITERAL),
}
_BILLING = {
    "DATABASE_URL": "postgresql://reqrun_billing:{password[billing]}" + _POSTGRESQL + "/billing",
    "BROKER_URL": "amqp://billing:{password[billing]}" + _RABBITMQ,
    "SERVICE_KEY": "{key[billing]}",
    "SERVICE_KEY_ID": "{key[billing_id]}",
    "GATEWAY_URL": "http://127.0.0.1:{port[gateway-internal]}",
    "PADDLE_API_URL": "http://127.0.0.1:{port[paddle]}",
    "PADDLE_WEBHOOK_SECRETS": "{paddle[webhook_secret]}",
    **_PADDLE,
    **_VERIFY,
}

PROCESSES = (
    Process(
        name="mail",
        package="deploy.local",
        service="mail",
        role=(),
        settings={"MAIL_FOLDER": "{folder}/mails"},
        ports=(INTERNAL, PUBLIC, SMTP),
    ),
    Process(
        name="paddle",
        package="deploy.local",
        service="paddle",
        role=(),
        settings={
            "PADDLE_FOLDER": "{folder}/paddle",
            "PADDLE_WEBHOOK_SECRET": "{paddle[webhook_secret]}",
            "PADDLE_WEBHOOK_URL": "http://127.0.0.1:{port[billing]}/webhooks/paddle",
            **_PADDLE,
        },
        ports=(INTERNAL, PUBLIC),
    ),
    Process(
        name="simulator",
        service="executor",
        role=("simulator",),
        settings={},
        ports=(INTERNAL, PUBLIC),
    ),
    Process(
        name="accounts",
        service="accounts",
        role=("web",),
        settings=_ACCOUNTS,
        ports=(INTERNAL, PUBLIC),
    ),
    Process(name="accounts-worker", service="accounts", role=("worker",), settings=_ACCOUNTS),
    Process(
        name="billing",
        service="billing",
        role=("web",),
        settings=_BILLING,
        ports=(INTERNAL, PUBLIC),
    ),
    Process(name="billing-worker", service="billing", role=("worker",), settings=_BILLING),
    Process(name="dispatcher", service="executor", role=("dispatcher",), settings=_EXECUTOR),
    Process(name="executor", service="executor", role=("worker",), settings=_EXECUTOR),
    Process(
        name="gateway",
        service="gateway",
        role=("web",),
        settings=_GATEWAY,
        ports=(INTERNAL, PUBLIC),
    ),
)


def _migration(service: str, database: str) -> Process:
    """Run by the role that owns the database."""
    owner = f"postgresql://reqrun_{database}_owner:{{owner[{database}]}}"
    return Process(
        name=f"{service}-migrate",
        service=service,
        role=("migrate",),
        settings={"MIGRATION_URL": f"{owner}{_POSTGRESQL}/{database}"},
        ports=(),
    )


MIGRATIONS = (
    _migration("gateway", "requests"),
    _migration("accounts", "accounts"),
    _migration("billing", "billing"),
)

SEED = Process(
    name="seed",
    service="accounts",
    role=("seed-demo", "--again", "--json"),
    settings=_ACCOUNTS,
    ports=(),
)

OPERATOR = Process(
    name="operator",
    package="deploy",
    service="operator",
    role=(),
    settings={
        "LEDGER_URL": "postgresql://reqrun_operator:{password[operator]}"
        + _POSTGRESQL
        + "/requests",
        "BROKER_URL": "amqp://operator:{password[operator]}" + _RABBITMQ,
        "PROCESSES": ",".join(
            f"{one.name}=http://127.0.0.1:{{port[{one.name}-internal]}}" for one in PROCESSES
        ),
        "LOAD_URL": "http://127.0.0.1:{port[gateway]}",
        "KEY_FOLDER": "{folder}/keys",
        **_REDIS,
    },
    ports=(),
)
"""`reqrun`: what it gets when it looks after this stack."""
