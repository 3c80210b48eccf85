"""Network addresses, shortened until they name no household."""

from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

UNKNOWN: Final = "unknown"
_IPV4_BITS: Final = 24
_IPV6_BITS: Final = 48


def network_of(address: str) -> str:
    """The network around it: an IPv4 /24, an IPv6 /48; `unknown` for what is no address."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return UNKNOWN
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is None:
            return str(ip_network((parsed, _IPV6_BITS), strict=False))
        parsed = parsed.ipv4_mapped
    return str(ip_network((parsed, _IPV4_BITS), strict=False))
