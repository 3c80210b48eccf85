"""Key material once, and for every container the files that only it mounts.

A volume has one reader, so what is in it may be read by whatever account that container runs under;
the volume with everything is mounted by this one-shot alone.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from deploy.keys import folder as key_folder
from deploy.local.databases import DATABASES, Database
from deploy.local.keys import paddle
from deploy.secrets.rendering import Hosts, Site, load
from libs.common.broker.definitions import GRANTS, SALT_BYTES, User, definitions
from libs.common.settings import PREFIX, Secret

SITE: Final = "REQRUN_SITE_FOLDER"
VOLUMES: Final = "REQRUN_VOLUMES_FOLDER"

HOSTS: Final = Hosts(
    requests="postgresql:5432",
    accounts="postgresql:5432",
    billing="postgresql:5432",
    rabbitmq="rabbitmq:5672",
    redis="redis:6379",
)

_MODE: Final = 0o444
_RABBITMQ: Final = "load_definitions = /etc/rabbitmq/reqrun/definitions.json\n"
_REDIS: Final = """requirepass {password}
save ""
appendonly no
maxmemory 256mb
maxmemory-policy allkeys-lru
"""


def run(environ: Mapping[str, str]) -> None:
    """Make what is missing, write the files anew. Raises Missing, KeysRefused."""
    shared = of_paddle(Path(environ[SITE]))
    site = load(Path(environ[SITE]), HOSTS, {**environ, **shared.given})
    volumes = Path(environ[VOLUMES])
    files = {**site.secrets(), **of_servers(site), "paddle": shared.own}
    for reader, contents in files.items():
        for name, text in contents.items():
            _write(volumes / reader / name, text)


class Shared(msgspec.Struct, frozen=True):
    """What billing and the stand-in for Paddle share, as each calls it."""

    given: dict[str, str]
    own: dict[str, str]


def of_paddle(folder: Path) -> Shared:
    """Made once, kept in `folder`. Raises KeysRefused."""
    file = folder / "paddle.json"
    if not file.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key_folder.write(file, msgspec.json.encode(paddle()))
    made = key_folder.read(file, dict[str, str])
    key, secret = made["api_key"], made["webhook_secret"]
    return Shared(
        given={PREFIX + "PADDLE_API_KEY": key, PREFIX + "PADDLE_WEBHOOK_SECRETS": secret},
        own={PREFIX + "PADDLE_API_KEY": key, PREFIX + "PADDLE_WEBHOOK_SECRET": secret},
    )


def of_servers(site: Site) -> dict[str, dict[str, str]]:
    """What the three servers read when they start."""
    of_broker = definitions(_users(site.password), is_one_node=True)
    return {
        "postgresql": {"password": site.password["postgresql"], "roles.sql": roles(site.password)},
        "rabbitmq": {"definitions.json": json.dumps(of_broker), "rabbitmq.conf": _RABBITMQ},
        "redis": {"redis.conf": _REDIS.format(password=site.password["redis"])},
    }


def roles(passwords: Mapping[str, str]) -> str:
    """SQL for an empty server: the databases, who owns each, and who may connect."""
    return "".join(_of_database(database, passwords) for database in DATABASES)


def _of_database(database: Database, passwords: Mapping[str, str]) -> str:
    name, owner = database.name, database.owner
    statements = [
        f"CREATE ROLE {owner} LOGIN PASSWORD '{passwords[f'{name}-owner']}'",
        f"CREATE DATABASE {name} OWNER {owner}",
        f"REVOKE ALL ON DATABASE {name} FROM PUBLIC",
    ]
    for service in database.services:
        role = f"reqrun_{service}"
        statements.append(f"CREATE ROLE {role} LOGIN PASSWORD '{passwords[service]}'")
        statements.append(f"GRANT CONNECT ON DATABASE {name} TO {role}")
    return "".join(f"{statement};\n" for statement in statements)


def _users(passwords: Mapping[str, str]) -> list[User]:
    return [
        User(name=name, password=Secret(passwords[name]), salt=os.urandom(SALT_BYTES), grant=grant)
        for name, grant in GRANTS.items()
    ]


def _write(file: Path, text: str) -> None:
    """Whole or not at all: a container may be reading the old one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.new")
    draft.write_text(text, "utf-8")
    draft.chmod(_MODE)
    draft.replace(file)
