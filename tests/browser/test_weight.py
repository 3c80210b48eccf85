"""How heavy the dashboard is, and how soon one sees something of it."""

from typing import Final

from playwright.async_api import Response, StorageState

from tests.browser.customer import Customer
from tests.browser.house import House
from tests.support.waiting import until

_MOST_BYTES: Final = 250_000
_LONGEST_PAINT: Final = 3_000
_PAINT: Final = """
performance.getEntriesByName("first-contentful-paint").map((entry) => entry.startTime)[0] ?? null
"""


async def test_the_overview_is_light_and_soon_there(
    house: House, customer: Customer, state: StorageState
) -> None:
    async with house.tab(state) as tab:
        answers: list[Response] = []
        tab.page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108  # it marks it
        paints: list[float] = []

        async def is_painted() -> bool:
            paints.extend(filter(None, [await tab.page.evaluate(_PAINT)]))
            return bool(paints)

        await tab.go(f"/projects/{customer.project}?mode=test")
        await until(is_painted)
        sizes = [len(await answer.body()) for answer in answers]

        house.note("overview, bytes of everything", f"{sum(sizes)} in {len(sizes)} answers")
        house.note("overview, first contentful paint", f"{paints[0]:.0f} ms")
        assert len(sizes) >= 4, "page, style sheet, two scripts"
        assert sum(sizes) <= _MOST_BYTES
        assert paints[0] <= _LONGEST_PAINT
