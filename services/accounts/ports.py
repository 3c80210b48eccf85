"""What accounts needs from outside, in one bundle."""

from collections.abc import Callable

import msgspec

from libs.common.clock import Clock
from libs.common.database import Database


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """`digest`: of an API key, under the pepper `pepper_id`. `seal`: to the executor, in a context.

    `open_hosts`: provider hosts that may be plain HTTP. `is_production`: nothing made up goes in.
    """

    db: Database
    clock: Clock
    digest: Callable[[str], bytes]
    pepper_id: int
    seal: Callable[[bytes, str], bytes]
    open_hosts: frozenset[str]
    is_production: bool
