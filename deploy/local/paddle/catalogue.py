"""What is sold here: billing's own list of prices, with made-up amounts."""

from collections.abc import Mapping

from deploy.local.paddle import shapes
from deploy.local.paddle.refusals import Refused
from deploy.local.paddle.store import Thing
from libs.common.contracts.plans import PlanName


class Catalogue:
    """Prices by id."""

    def __init__(self, prices: Mapping[str, PlanName]) -> None:
        """As in billing's setting."""
        self._prices = prices

    def all(self) -> list[Thing]:
        """Every price."""
        return [shapes.price(price_id, plan) for price_id, plan in self._prices.items()]

    def price(self, price_id: str) -> Thing:
        """One. Raises Refused."""
        return shapes.price(price_id, self._plan(price_id))

    def product(self, price_id: str) -> Thing:
        """What it is a price of. Raises Refused."""
        return shapes.product(self._plan(price_id))

    def amount(self, price_id: str) -> int:
        """A month, in cents, before tax. Raises Refused."""
        return shapes.AMOUNTS[self._plan(price_id)]

    def _plan(self, price_id: str) -> PlanName:
        if price_id not in self._prices:
            raise Refused.not_found(price_id)
        return self._prices[price_id]
