"""Free loopback ports."""

import random
import socket
from collections import deque
from collections.abc import Collection
from typing import Final

# Below Linux's default range for outgoing connections (32768-60999), so that no client connection
# takes a port between the moment it is chosen and the moment its server binds it.
_FIRST, _LAST = 20_000, 32_000
_TRIES = 200

# Given to somebody of this process, who may not have bound it yet.
_given: Final[deque[int]] = deque(maxlen=1_000)


def is_free(port: int) -> bool:
    """Whether nothing is bound to this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        # As servers do: connections that ended a moment ago do not keep a port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_ports(count: int = 1, *, but: Collection[int] = ()) -> int:
    """The first of `count` neighbouring free ports, none of them in `but`.

    OSError when none are found.
    """
    for _ in range(_TRIES):
        first = random.SystemRandom().randint(_FIRST, _LAST)
        ports = range(first, first + count)
        if not any(port in but or port in _given for port in ports) and all(map(is_free, ports)):
            _given.extend(ports)
            return first
    raise OSError("no free loopback port found")
