"""Figures of pages: percentiles of what was measured, and every address has its ids."""

from bench.pages.__main__ import judge
from bench.pages.addresses import PUBLIC, Ids, addresses
from bench.pages.measure import PageTimes

IDS = Ids(
    project="prj_1",
    thread="msg_1",
    middle="rr_m",
    oldest="rr_o",
    completed="rr_c",
    failed="rr_f",
    processing="rr_p",
    queued="rr_q",
    retrying="rr_r",
)


def page(*milliseconds: float) -> PageTimes:
    return PageTimes(
        path="/", bytes=1, milliseconds=[*milliseconds], cpu_ms={"accounts": 1.0}, others=0.0
    )


def test_a_percentile_is_one_of_the_answers() -> None:
    times = page(*map(float, range(100)))

    assert [times.percentile(share) for share in (0.0, 0.5, 0.95, 1.0)] == [0, 50, 95, 99]


def test_every_address_is_whole_and_no_two_are_one() -> None:
    found = addresses(IDS)

    assert not [path for path in found.values() if "{" in path]
    assert len(set(found.values())) == len(found)
    assert set(PUBLIC) < set(found)


def test_the_slowest_page_decides() -> None:
    quick, slow = page(1.0, 2.0), page(1.0, 51.0)

    gates = judge({"quick": quick, "slow": slow})

    assert [(gate.name, gate.is_passed) for gate in gates] == [
        ("slow, p95", False),
        ("quick, p95", True),
    ]
