from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.addresses import (
    MAX_HOPS,
    client_address,
    counted_as,
    parse_networks,
)

PROXIES = parse_networks(["10.0.0.0/8", "2001:db8:1::/48"])
CLIENTS = st.one_of(
    st.integers(0, 2**24 - 1).map(lambda number: IPv4Address(0xC0000000 + number)),
    st.integers(0, 2**32 - 1).map(lambda number: IPv6Address((0x2A00 << 112) + number)),
).map(str)
TRUSTED = st.integers(0, 2**24 - 1).map(lambda number: str(IPv4Address(0x0A000000 + number)))
# Anything that can stand in a header's value.
JUNK = st.lists(st.binary(max_size=80), max_size=4)


@given(CLIENTS, JUNK)
def test_who_is_no_proxy_of_ours_is_the_client_whatever_it_says(
    peer: str, forwarded: list[bytes]
) -> None:
    assert client_address(peer, forwarded, PROXIES) == peer


@given(TRUSTED, CLIENTS, JUNK, st.lists(TRUSTED, max_size=MAX_HOPS - 1))
def test_what_a_client_writes_on_the_left_never_matters(
    peer: str, client: str, spoofed: list[bytes], proxies: list[str]
) -> None:
    written = [", ".join([client, *proxies]).encode()]

    assert client_address(peer, spoofed + written, PROXIES) == client
    joined = [b", ".join(spoofed + written)]
    assert client_address(peer, joined, PROXIES) == client


@given(TRUSTED, JUNK)
def test_junk_gives_an_address_all_the_same(peer: str, forwarded: list[bytes]) -> None:
    found = client_address(peer, forwarded, PROXIES)

    assert str(ip_address(found)) == found


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("192.0.2.7", [], "192.0.2.7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [b"192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", [b"1.1.1.1, 192.0.2.7,10.0.0.2"], "192.0.2.7"),
        ("10.0.0.1", [b"192.0.2.7", b"10.0.0.2"], "192.0.2.7"),
        ("10.0.0.1", [b"192.0.2.7:4711"], "192.0.2.7"),
        ("10.0.0.1", [b"[2a00::1]:4711"], "2a00::1"),
        ("10.0.0.1", [b"[2a00::1]"], "2a00::1"),
        ("10.0.0.1", [b"2A00:0::1"], "2a00::1"),
        ("10.0.0.1", [b"::ffff:192.0.2.7"], "192.0.2.7"),
        ("::ffff:10.0.0.1", [b"192.0.2.7"], "192.0.2.7"),
        ("2001:db8:1::5", [b"192.0.2.7"], "192.0.2.7"),
        ("2001:db8:2::5", [b"192.0.2.7"], "2001:db8:2::5"),
        ("10.0.0.1", [b"192.0.2.7, unknown"], "10.0.0.1"),
        ("10.0.0.1", [b"192.0.2.7, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", [b"192.0.2.7,"], "10.0.0.1"),
        ("10.0.0.1", [b"192.0.2.007"], "10.0.0.1"),
        ("10.0.0.1", [b"fe80::1%eth0"], "10.0.0.1"),
        ("10.0.0.1", [b"\xb2.0.0.1"], "10.0.0.1"),
        ("10.0.0.1", [b"1" * 1000], "10.0.0.1"),
        ("", [b"192.0.2.7"], ""),
    ],
)
def test_the_right_most_hop_that_is_no_proxy_of_ours_is_the_client(
    peer: str, forwarded: list[bytes], expected: str
) -> None:
    assert client_address(peer, forwarded, PROXIES) == expected


def test_nobody_is_believed_where_no_proxy_is_configured() -> None:
    assert client_address("10.0.0.1", [b"192.0.2.7"], []) == "10.0.0.1"


def test_a_chain_of_proxies_is_followed_only_so_far() -> None:
    hops = b"192.0.2.7" + b",10.0.0.9" * MAX_HOPS

    assert client_address("10.0.0.1", [hops], PROXIES) == "10.0.0.9"


@pytest.mark.parametrize(
    ("address", "count"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2a00:1:2:3:4:5:6:7", "2a00:1:2:3::/64"),
        ("2a00:1:2:3::", "2a00:1:2:3::/64"),
        ("2a00:1:2:4::", "2a00:1:2:4::/64"),
        ("", ""),
    ],
)
def test_an_ipv6_customer_counts_once(address: str, count: str) -> None:
    assert counted_as(address) == count


@pytest.mark.parametrize("text", ["10.0.0.1/8", "proxy", "10.0.0.0/33", ""])
def test_a_network_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"network|host bits"):
        parse_networks([text])
