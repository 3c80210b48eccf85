"""The local stack's secrets: passwords in one private file, key material in a folder beside it."""

import secrets
from pathlib import Path

import msgspec

from deploy.keys import folder as key_folder
from deploy.keys.material import SERVICES, Material
from deploy.local import places
from libs.common.broker.definitions import OPERATOR

_PASSWORD_BYTES = 18
_USERS = (*SERVICES, OPERATOR)


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """Everything secret here.

    `servers`, `owners` and `services` are passwords: of the servers' administrators, of the roles
    that own a database, of each service, and of the operator, on database and broker. `paddle`:
    what billing and the stand-in for Paddle share.
    """

    servers: dict[str, str]
    owners: dict[str, str]
    services: dict[str, str]
    paddle: dict[str, str]
    material: Material


class _Passwords(msgspec.Struct, frozen=True, kw_only=True):
    """`paddle`, and the operator among `services`: not there in files of before."""

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
        found = msgspec.json.decode(path.read_bytes(), type=_Passwords)
        made = _completed(found)
        if made == found:
            return made
    else:
        made = _Passwords(
            servers=_passwords("postgresql", "rabbitmq", "redis"),
            owners=_passwords("requests", "accounts", "billing"),
            services=_passwords(*_USERS),
            paddle=paddle(),
        )
    places.write_private(path, msgspec.json.encode(made).decode())
    return made


def _completed(found: _Passwords) -> _Passwords:
    """With what has come since the file was written."""
    missing = [name for name in _USERS if name not in found.services]
    services = found.services | _passwords(*missing)
    return msgspec.structs.replace(found, services=services, paddle=found.paddle or paddle())


def _passwords(*names: str) -> dict[str, str]:
    return {name: secrets.token_urlsafe(_PASSWORD_BYTES) for name in names}


def paddle() -> dict[str, str]:
    """What billing and the stand-in for Paddle share, in the form of Paddle's own."""
    made = _passwords("api_key", "webhook_secret")
    return {
        "api_key": f"pdl_sdbx_apikey_{made['api_key']}",
        "webhook_secret": f"pdl_ntfset_{made['webhook_secret']}",
    }
