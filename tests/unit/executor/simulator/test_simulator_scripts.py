import pytest

from services.executor.simulator.calls import MAX_REQUESTS, Sightings
from services.executor.simulator.scripts import MAX_DELAY_MS, Script, script_of

FOREVER = Script().times


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("sim-ok", Script()),
        ("gpt-5-nano", Script()),
        ("", Script()),
        ("sim-slow-2000ms", Script(delay_ms=2000)),
        ("sim-slow-9999999ms", Script(delay_ms=MAX_DELAY_MS)),
        ("sim-slow-99999999ms", Script()),
        ("sim-slow--1ms", Script()),
        ("sim-429-twice", Script("fail", 2, 429)),
        ("sim-429-once", Script("fail", 1, 429)),
        ("sim-503-7times", Script("fail", 7, 503)),
        ("sim-500-always", Script("fail", FOREVER, 500)),
        ("sim-400", Script("fail", FOREVER, 400)),
        ("sim-200-always", Script()),
        ("sim-600", Script()),
        ("sim-timeout", Script("hang")),
        ("sim-cut", Script("cut")),
        ("sim-quota", Script("quota")),
        ("sim-garbage", Script("garbage")),
        ("sim-ok\n", Script()),
        ("sim-400\n", Script()),
    ],
)
def test_a_model_s_name_is_its_script(model: str, expected: Script) -> None:
    assert expected == script_of(model)


def test_requests_are_counted_apart() -> None:
    sightings = Sightings()

    assert [sightings.count(name) for name in "aabaab"] == [1, 2, 1, 3, 4, 2]


def test_a_forgotten_request_is_new_again() -> None:
    sightings = Sightings()
    sightings.count("a")

    sightings.forget("a")

    assert sightings.count("a") == 1


def test_the_memory_for_requests_is_bounded_and_drops_the_longest_unseen() -> None:
    sightings = Sightings()
    for name in ("old", "kept", *map(str, range(MAX_REQUESTS - 2)), "kept", "one too many"):
        sightings.count(name)

    assert sightings.count("kept") == 3
    assert sightings.count("old") == 1
