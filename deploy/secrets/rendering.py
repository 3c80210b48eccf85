"""Secrets filled in: templates and one installation's facts become texts."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from deploy.keys import folder as key_folder
from deploy.keys.facts import facts
from deploy.secrets import passwords
from deploy.secrets.contents import MAY_BE_EMPTY, READERS, given_names
from libs.common.settings import PREFIX


class Hosts(msgspec.Struct, frozen=True, kw_only=True):
    """`host:port` of each server; of PostgreSQL, for each database."""

    requests: str
    accounts: str
    billing: str
    rabbitmq: str
    redis: str


class Missing(Exception):
    """The operator did not say what only the operator knows; the text names each variable."""


class Site(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of one installation, as templates take them."""

    host: dict[str, str]
    password: dict[str, str]
    key: dict[str, str]
    given: dict[str, str]

    def fill(self, template: str) -> str:
        """One template's text."""
        return template.format_map(msgspec.structs.asdict(self))

    def secrets(self) -> dict[str, dict[str, str]]:
        """What each reader gets, by variable."""
        return {
            reader: {PREFIX + name: self.fill(text) for name, text in templates.items()}
            for reader, templates in READERS.items()
        }


def load(folder: Path, hosts: Hosts, environ: Mapping[str, str]) -> Site:
    """Of the material in `folder/keys` and the passwords beside it; both made the first time.

    `environ` says what the operator must give. Raises Missing, KeysRefused.
    """
    given = {name: environ.get(PREFIX + name, "") for name in given_names()}
    missing = [PREFIX + n for n in sorted(given_names() - MAY_BE_EMPTY) if not given[n]]
    if missing:
        raise Missing(f"Please set {', '.join(missing)}.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = folder / "keys"
    material = key_folder.load(keys) if keys.exists() else key_folder.create(keys)
    return Site(
        host=msgspec.structs.asdict(hosts),
        password=passwords.load_or_make(folder),
        key=facts(material),
        given=given,
    )
