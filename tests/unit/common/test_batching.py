import asyncio
from collections.abc import Sequence

import pytest

from libs.common.batching import Batch, Scales
from libs.common.errors import Unavailable


class Runs:
    """Records what ran together; each run waits until the test opens the gate."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.started = asyncio.Event()

    async def __call__(self, items: Sequence[int]) -> list[int | Exception]:
        self.batches.append(list(items))
        self.started.set()
        await self.gate.wait()
        return [ValueError(str(item)) if item < 0 else item * 10 for item in items]


async def test_a_lone_caller_goes_at_once_and_alone() -> None:
    runs = Runs()
    batch = Batch(runs, name="test")

    assert await batch(1) == 10
    assert runs.batches == [[1]]


async def test_what_arrives_meanwhile_goes_together_in_order() -> None:
    runs = Runs()
    runs.gate.clear()
    batch = Batch(runs, name="test")
    callers = [asyncio.create_task(batch(number)) for number in range(1, 6)]
    await asyncio.sleep(0)
    runs.gate.set()

    assert await asyncio.gather(*callers) == [10, 20, 30, 40, 50]
    assert [number for run in runs.batches for number in run] == [1, 2, 3, 4, 5]
    assert len(runs.batches) <= 2


async def test_a_batch_is_never_larger_than_its_limit() -> None:
    runs = Runs()
    batch = Batch(runs, name="test", limit=4)

    await asyncio.gather(*(batch(number) for number in range(30)))

    assert max(len(run) for run in runs.batches) <= 4


async def test_an_error_belongs_to_its_item_alone() -> None:
    batch = Batch(Runs(), name="test")

    answers = await asyncio.gather(*(batch(n) for n in (1, -2, 3)), return_exceptions=True)

    assert (answers[0], answers[2]) == (10, 30)
    assert isinstance(answers[1], ValueError)


async def test_a_run_that_fails_fails_all_its_callers_and_none_after() -> None:
    is_broken = True

    async def run(items: Sequence[int]) -> list[int | Exception]:
        if is_broken:
            raise ConnectionError
        return list(items)

    batch = Batch(run, name="test")
    answers = await asyncio.gather(batch(1), batch(2), return_exceptions=True)
    is_broken = False

    assert [type(answer) for answer in answers] == [ConnectionError, ConnectionError]
    assert await batch(3) == 3


async def test_a_cancelled_caller_leaves_the_others_their_answers() -> None:
    runs = Runs()
    runs.gate.clear()
    batch = Batch(runs, name="test")
    callers = [asyncio.create_task(batch(number)) for number in (1, 2, 3)]
    await asyncio.sleep(0)
    callers[0].cancel()
    callers[2].cancel()
    runs.gate.set()

    answers = await asyncio.gather(*callers, return_exceptions=True)

    assert answers[1] == 20
    assert isinstance(answers[0], asyncio.CancelledError)
    assert isinstance(answers[2], asyncio.CancelledError)


async def test_too_many_waiting_are_refused() -> None:
    runs = Runs()
    runs.gate.clear()
    batch = Batch(runs, name="test", limit=1, queue_limit=2)
    callers = [asyncio.create_task(batch(number)) for number in range(2)]
    await runs.started.wait()
    callers.append(asyncio.create_task(batch(2)))
    await asyncio.sleep(0)

    with pytest.raises(Unavailable):
        await batch(9)
    runs.gate.set()
    assert await asyncio.gather(*callers) == [0, 10, 20]


async def test_several_workers_run_several_batches_at_once() -> None:
    both = asyncio.Barrier(2)

    async def run(items: Sequence[int]) -> list[int | Exception]:
        await both.wait()
        return list(items)

    batch = Batch(run, name="test", limit=1, workers=2)

    async with asyncio.timeout(5):
        assert list(await asyncio.gather(batch(1), batch(2))) == [1, 2]


async def test_a_second_worker_is_left_alone_until_a_whole_batch_waits() -> None:
    runs = Runs()
    runs.gate.clear()
    batch = Batch(runs, name="test", limit=3, workers=2)
    callers = [asyncio.create_task(batch(0))]
    await runs.started.wait()
    callers += [asyncio.create_task(batch(number)) for number in (1, 2)]
    await asyncio.sleep(0)
    assert runs.batches == [[0]]

    callers.append(asyncio.create_task(batch(3)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert runs.batches == [[0], [1, 2, 3]]
    runs.gate.set()
    await asyncio.gather(*callers)


BY_ITSELF: Scales[int] = Scales(lambda item: item, most=1_000)


async def test_heavy_items_go_a_few_at_a_time_and_light_ones_do_not_wait_for_them() -> None:
    runs = Runs()
    runs.gate.clear()
    batch = Batch(runs, name="test", limit=10).weighing(BY_ITSELF)
    callers = [asyncio.create_task(batch(0))]
    await runs.started.wait()
    callers += [asyncio.create_task(batch(item)) for item in (600, 1, 300, 500, 2, 2_000, 3)]
    await asyncio.sleep(0)
    runs.gate.set()
    await asyncio.gather(*callers)

    assert runs.batches == [[0], [600, 300, 1, 2, 3], [500], [2_000]]


async def test_a_heavy_item_does_not_wait_for_a_batch_that_is_under_way() -> None:
    runs = Runs()
    runs.gate.clear()
    batch = Batch(runs, name="test", limit=10, workers=2).weighing(BY_ITSELF)
    callers = [asyncio.create_task(batch(item)) for item in (1, 2)]
    await runs.started.wait()
    callers.append(asyncio.create_task(batch(900)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert runs.batches == [[1, 2], [900]]
    runs.gate.set()
    await asyncio.gather(*callers)


async def test_heavy_items_whose_callers_left_are_not_begun() -> None:
    runs = Runs()
    runs.gate.clear()
    batch = Batch(runs, name="test", limit=10).weighing(BY_ITSELF)
    callers = [asyncio.create_task(batch(0))]
    await runs.started.wait()
    callers += [asyncio.create_task(batch(item)) for item in (900, 800, 700)]
    await asyncio.sleep(0)
    callers[2].cancel()
    runs.gate.set()
    await asyncio.gather(*callers, return_exceptions=True)

    assert runs.batches == [[0], [900], [700]]


async def test_heavy_items_that_wait_have_a_bound_in_bytes_and_light_ones_another() -> None:
    runs = Runs()
    runs.gate.clear()
    scales: Scales[int] = Scales(lambda item: item, most=1_000, queue=2_000)
    batch = Batch(runs, name="test", limit=10).weighing(scales)
    callers = [asyncio.create_task(batch(0))]
    await runs.started.wait()
    callers += [asyncio.create_task(batch(item)) for item in (900, 800)]
    await asyncio.sleep(0)

    with pytest.raises(Unavailable):
        await batch(400)
    callers += [asyncio.create_task(batch(item)) for item in (300, 1)]
    await asyncio.sleep(0)
    runs.gate.set()
    await asyncio.gather(*callers)
    assert await batch(2_000) == 20_000


async def test_what_waits_is_not_weighed_again_for_each_batch() -> None:
    runs = Runs()
    runs.gate.clear()
    weighed: list[int] = []

    def weigh(item: int) -> int:
        weighed.append(item)
        return item

    scales: Scales[int] = Scales(weigh, most=1_000)
    batch = Batch(runs, name="test", limit=10).weighing(scales)
    callers = [asyncio.create_task(batch(0))]
    await runs.started.wait()
    callers += [asyncio.create_task(batch(900)) for _ in range(300)]
    await asyncio.sleep(0)
    runs.gate.set()
    await asyncio.gather(*callers)

    assert len(weighed) < 5 * len(callers)
