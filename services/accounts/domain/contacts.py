"""Who runs this installation, and with whose help: what the public pages say."""

import msgspec


class SubProcessor(msgspec.Struct, frozen=True):
    """Somebody who processes data for the operator: who, for what, and where."""

    name: str
    purpose: str
    region: str


class Contacts(msgspec.Struct, frozen=True, kw_only=True):
    """E-mail addresses, and what else differs from one operator to the next."""

    operator: str
    privacy: str
    security: str
    support: str
    region: str
    sub_processors: tuple[SubProcessor, ...] = ()
