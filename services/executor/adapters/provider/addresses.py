"""Which addresses a customer's base URL may lead to: the public internet and nothing else.

An explicit list, because `ipaddress.is_global` differs between Python's releases and calls several
disguises of 127.0.0.1 global (NAT64, 6to4, IPv4-compatible) as well as multicast. Sources: IANA's
special-purpose registries for IPv4 and IPv6; RFC 6890.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

_NOT_PUBLIC_V4: Final = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # looks public; Azure answers it inside every virtual machine
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",  # multicast, reserved, broadcast
    )
)

_UNICAST_V6: Final = IPv6Network("2000::/3")
"""All that is routed on the internet. Outside it lie loopback, mapped, compatible, NAT64,
unique-local, link-local, site-local and multicast addresses."""

_NOT_PUBLIC_V6: Final = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarking
        "2001:db8::/32",
        "2002::/16",  # 6to4: carries any IPv4 address
        "3fff::/20",
    )
)


def is_public(address: str) -> bool:
    """Whether we may connect to `address`, a literal as `getaddrinfo` returns it."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return _is_public_v4(parsed) if isinstance(parsed, IPv4Address) else _is_public_v6(parsed)


def _is_public_v4(address: IPv4Address) -> bool:
    return not any(address in network for network in _NOT_PUBLIC_V4)


def _is_public_v6(address: IPv6Address) -> bool:
    """A zone (`fe80::1%eth0`) only makes sense for what is not public anyway."""
    if address.scope_id or address not in _UNICAST_V6:
        return False
    return not any(address in network for network in _NOT_PUBLIC_V6)
