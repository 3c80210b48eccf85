import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from services.executor.adapters.provider import resolver as module
from services.executor.adapters.provider.resolver import Resolver
from services.executor.adapters.provider.targets import CallRefused
from services.executor.domain.calls import FailureKind

PUBLIC = "8.8.8.8"
OTHER = "1.1.1.1"


@contextmanager
def resolver_of(lookup: Callable[[str], list[str]]) -> Iterator[Resolver]:
    resolver = Resolver(lookup)
    try:
        yield resolver
    finally:
        resolver.close()


async def kind_of_refusal(resolver: Resolver) -> FailureKind:
    with pytest.raises(CallRefused) as refused:
        await resolver.resolve("h", is_open=False)
    return refused.value.kind


async def test_public_addresses_are_tried_in_order_and_not_too_many() -> None:
    with resolver_of(lambda _: [PUBLIC, OTHER, "9.9.9.9", "8.8.4.4", "1.0.0.1"]) as resolver:
        found = await resolver.resolve("h", is_open=False)

    assert found == [PUBLIC, OTHER, "9.9.9.9", "8.8.4.4"]


@pytest.mark.parametrize("answer", [["127.0.0.1"], [PUBLIC, "10.0.0.1"], ["2002:7f00:1::", PUBLIC]])
async def test_one_address_that_is_not_public_refuses_the_name(answer: list[str]) -> None:
    with resolver_of(lambda _: answer) as resolver:
        assert await kind_of_refusal(resolver) is FailureKind.BLOCKED_ADDRESS


async def test_an_open_host_may_be_anywhere() -> None:
    with resolver_of(lambda _: ["127.0.0.1"]) as resolver:
        assert await resolver.resolve("h", is_open=True) == ["127.0.0.1"]


async def test_a_name_without_addresses_is_a_dns_failure() -> None:
    with resolver_of(lambda _: []) as resolver:
        assert await kind_of_refusal(resolver) is FailureKind.DNS


async def test_a_name_that_fails_is_asked_for_again_at_once() -> None:
    answers: list[list[str] | OSError] = [OSError(), OSError(), [PUBLIC]]

    def lookup(_: str) -> list[str]:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    with resolver_of(lookup) as resolver:
        assert await kind_of_refusal(resolver) is FailureKind.DNS
        assert await kind_of_refusal(resolver) is FailureKind.DNS
        assert await resolver.resolve("h", is_open=False) == [PUBLIC]


async def test_a_name_that_changes_its_mind_is_checked_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers = [[PUBLIC], ["127.0.0.1"]]
    with resolver_of(lambda _: answers.pop(0)) as resolver:
        assert await resolver.resolve("h", is_open=False) == [PUBLIC]

        monkeypatch.setattr(module, "KEEP_SECONDS", 0.0)

        assert await kind_of_refusal(resolver) is FailureKind.BLOCKED_ADDRESS


async def test_a_burst_asks_once_and_the_answer_is_kept() -> None:
    asked = []
    may_answer = threading.Event()

    def lookup(host: str) -> list[str]:
        asked.append(host)
        may_answer.wait(10)
        return [PUBLIC]

    with resolver_of(lookup) as resolver:
        burst = [asyncio.create_task(resolver.resolve("h", is_open=False)) for _ in range(50)]
        await asyncio.wait(burst, timeout=0.01)
        may_answer.set()
        await asyncio.gather(*burst)
        await resolver.resolve("h", is_open=False)

    assert asked == ["h"]


async def test_a_caller_who_leaves_does_not_end_the_lookup_for_others() -> None:
    may_answer = threading.Event()

    def lookup(_: str) -> list[str]:
        may_answer.wait(10)
        return [PUBLIC]

    with resolver_of(lookup) as resolver:
        first, second = (
            asyncio.create_task(resolver.resolve("h", is_open=False)) for _ in range(2)
        )
        await asyncio.wait([first, second], timeout=0.01)
        first.cancel()
        may_answer.set()

        assert await second == [PUBLIC]
    assert first.cancelled()


async def test_the_memory_for_names_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def lookup(host: str) -> list[str]:
        asked.append(host)
        return [PUBLIC]

    monkeypatch.setattr(module, "MAX_NAMES", 2)
    with resolver_of(lookup) as resolver:
        for host in ("a", "b", "c", "c", "a"):
            await resolver.resolve(host, is_open=False)

    assert asked == ["a", "b", "c", "a"]
