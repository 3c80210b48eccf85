"""What accounts needs from outside, in one bundle."""

from collections.abc import Callable

import msgspec

from libs.common.clock import Clock
from libs.common.crypto import PublicSealingKey
from libs.common.database import Database


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """`digest`: of an API key, under the pepper `pepper_id`.

    `executor_key` seals to executors, `data_plane_key` to gateways and executors.
    `open_hosts`: provider hosts that may be plain HTTP. `is_production`: nothing made up goes in.
    """

    db: Database
    clock: Clock
    digest: Callable[[str], bytes]
    pepper_id: int
    executor_key: PublicSealingKey
    data_plane_key: PublicSealingKey
    open_hosts: frozenset[str]
    is_production: bool
