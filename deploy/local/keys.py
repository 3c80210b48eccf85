"""The local stack's secrets: passwords in one private file, key material in a folder beside it."""

import secrets
from pathlib import Path

import msgspec

from deploy.keys import folder as key_folder
from deploy.keys.material import SERVICES, Material
from deploy.local import places

_PASSWORD_BYTES = 18


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """Everything secret here.

    `servers`, `owners` and `services` are passwords: of the servers' administrators, of the roles
    that own a database, of each service on database and broker. `paddle`: what billing and the
    stand-in for Paddle share.
    """

    servers: dict[str, str]
    owners: dict[str, str]
    services: dict[str, str]
    paddle: dict[str, str]
    material: Material


class _Passwords(msgspec.Struct, frozen=True, kw_only=True):
    """`paddle`: not there in files of before."""

    servers: dict[str, str]
    owners: dict[str, str]
    services: dict[str, str]
    paddle: dict[str, str] = {}


def load_or_make(folder: Path) -> Keys:
    """The secrets in this folder: `secrets.json` and `keys/`; the first time they are made."""
    passwords = _load_or_make_passwords(folder / "secrets.json")
    keys = folder / "keys"
    made = key_folder.load(keys) if keys.exists() else key_folder.create(keys)
    return Keys(
        servers=passwords.servers,
        owners=passwords.owners,
        services=passwords.services,
        paddle=passwords.paddle,
        material=made,
    )


def _load_or_make_passwords(path: Path) -> _Passwords:
    if path.exists():
        made = msgspec.json.decode(path.read_bytes(), type=_Passwords)
        if made.paddle:
            return made
        made = msgspec.structs.replace(made, paddle=_paddle())
    else:
        made = _Passwords(
            servers=_passwords("postgresql", "rabbitmq", "redis"),
            owners=_passwords("requests", "accounts", "billing"),
            services=_passwords(*SERVICES),
            paddle=_paddle(),
        )
    places.write_private(path, msgspec.json.encode(made).decode())
    return made


def _passwords(*names: str) -> dict[str, str]:
    return {name: secrets.token_urlsafe(_PASSWORD_BYTES) for name in names}


def _paddle() -> dict[str, str]:
    """In the form of Paddle's own."""
    made = _passwords("api_key", "webhook_secret")
    return {
        "api_key": f"pdl_sdbx_apikey_{made['api_key']}",
        "webhook_secret": f"pdl_ntfset_{made['webhook_secret']}",
    }
