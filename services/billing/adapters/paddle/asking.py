"""Questions to Paddle about one thing or a few."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar
from urllib.parse import quote

from services.billing.adapters.paddle.calls import Call, Caller
from services.billing.adapters.paddle.shapes import Data, Page

NEWEST: Final = {"status": "active", "order_by": "id[DESC]"}

Shape = TypeVar("Shape")
Body = dict[str, Any]


class Asking:
    """What the parts of the port share. Raises PaddleAway, PaddleRefused, DetailsRefused."""

    def __init__(self, caller: Caller) -> None:
        """Ask through `caller`."""
        self.caller = caller

    async def get(self, path: str, kind: type[Shape]) -> Shape:
        """Repeated."""
        return await self._ask(Call(method="GET", path=path), kind)

    async def first_page(
        self, path: str, kind: type[Shape], params: Mapping[str, str]
    ) -> tuple[Shape, ...]:
        """Repeated. Nobody has more addresses or businesses than a page."""
        call = Call(method="GET", path=path, params=params)
        return (await self.caller.ask(call, Page[kind])).data  # type: ignore[valid-type]

    async def post(
        self, path: str, body: Body, kind: type[Shape], *, is_repeatable: bool = False
    ) -> Shape:
        """Repeated only where a second one harms nobody."""
        call = Call(method="POST", path=path, body=body, is_repeatable=is_repeatable)
        return await self._ask(call, kind)

    async def patch(
        self, path: str, body: Body, kind: type[Shape], *, is_repeatable: bool = True
    ) -> Shape:
        """Repeated: the second time it is so already."""
        call = Call(method="PATCH", path=path, body=body, is_repeatable=is_repeatable)
        return await self._ask(call, kind)

    async def _ask(self, call: Call, kind: type[Shape]) -> Shape:
        return (await self.caller.ask(call, Data[kind])).data  # type: ignore[valid-type]


def path_to(*parts: str) -> str:
    """Of ids and words."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)
