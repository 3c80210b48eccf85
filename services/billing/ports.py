"""What billing needs from outside, in one bundle."""

import msgspec

from libs.common.clock import Clock
from libs.common.database import Database


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """Our database, and the time."""

    db: Database
    clock: Clock
