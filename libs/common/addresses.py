"""Whose address a call comes from, behind proxies that we trust to say so."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

Address = IPv4Address | IPv6Address
Networks = Sequence[IPv4Network | IPv6Network]

MAX_HOPS: Final = 16
"""Proxies one behind the other; what is said to lie before them is not looked at."""

_MAX_TEXT: Final = 64
_HOST_BITS: Final = 64
_REMEMBERED: Final = 4096
"""Texts whose meaning is kept: reading one costs more than all else that is done with it."""


def parse_networks(texts: Iterable[str]) -> Networks:
    """Proxies to trust: `10.0.0.0/8`, `2001:db8::/32`, `192.0.2.7`. Raises ValueError."""
    return [ip_network(text) for text in texts]


def client_address(peer: str, forwarded: Sequence[bytes], trusted: Networks) -> str:
    """The right-most hop that is not a trusted proxy.

    `peer`: the other end of the connection. `forwarded`: the values of X-Forwarded-For in order.
    Every proxy writes down on the right whom it heard, so what an untrusted one says, or what
    stood there before, is believed of nobody. What is no address ends the walk at the last good
    one; a peer without an address (a Unix socket) is told as it is.
    """
    address = _parse(peer)
    if address is None:
        return peer
    for hop in reversed(b",".join(forwarded).rsplit(b",", MAX_HOPS)[-MAX_HOPS:]):
        if not _is_trusted(address, trusted):
            break
        nearer = _parse(hop.decode("latin-1"))
        if nearer is None:
            break
        address = nearer
    return str(address)


@lru_cache(_REMEMBERED)
def counted_as(address: str) -> str:
    """What shares one count: an IPv4 address, or the /64 that one IPv6 customer has at least."""
    parsed = _parse(address)
    if not isinstance(parsed, IPv6Address):
        return str(parsed or address)
    return str(IPv6Address(int(parsed) >> _HOST_BITS << _HOST_BITS)) + "/64"


def is_within(address: str, networks: tuple[str, ...]) -> bool:
    """Whether `address` lies in one of `networks`; what is no address lies nowhere."""
    parsed = _parse(address)
    return parsed is not None and _is_trusted(parsed, _parsed(networks))


@lru_cache(maxsize=10_000)
def _parsed(networks: tuple[str, ...]) -> Networks:
    return parse_networks(networks)


def _is_trusted(address: Address, trusted: Networks) -> bool:
    return any(address in network for network in trusted)


def _parse(text: str) -> Address | None:
    """An address, perhaps with a port, as proxies write them; IPv4 in IPv6 is IPv4."""
    return _read(text) if len(text) <= _MAX_TEXT else None


@lru_cache(_REMEMBERED)
def _read(text: str) -> Address | None:
    text = text.strip()
    if "%" in text:  # a zone means something to its own host alone
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
