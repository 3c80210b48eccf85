"""Who may buy what: what is refused before the payment provider is asked."""

from collections.abc import Mapping

from libs.common.contracts.plans import SOLD, PlanName
from libs.common.errors import Conflict, InvalidInput, NotFound
from services.billing.domain.subscriptions import larger


class NothingSold(Conflict):
    """There is no payment provider here."""

    code = "nothing_sold"

    def __init__(self) -> None:
        super().__init__("Nothing is sold here: this installation has no payment provider.")


class PlanNotSold(InvalidInput):
    """No price buys it."""

    code = "plan_not_sold"

    def __init__(self) -> None:
        super().__init__("This plan cannot be bought. Choose one of those that are offered.")


class AlreadySubscribed(Conflict):
    """A second subscription would be paid for nothing."""

    code = "already_subscribed"

    def __init__(self) -> None:
        super().__init__("There is a subscription already: change its plan instead.")


class AlreadyGranted(Conflict):
    """The operator gives as much, or more."""

    code = "plan_already_granted"

    def __init__(self) -> None:
        super().__init__("This account may do that already, and more: there is nothing to buy.")


class NotSubscribed(Conflict):
    """There is nothing to change or to end."""

    code = "not_subscribed"

    def __init__(self) -> None:
        super().__init__("There is no subscription. Buy a plan first.")


class SamePlan(Conflict):
    """It is the one that is bought."""

    code = "same_plan"

    def __init__(self) -> None:
        super().__init__("The subscription is on this plan already.")


class NothingBought(Conflict):
    """The payment provider does not know the account yet."""

    code = "nothing_bought"

    def __init__(self) -> None:
        super().__init__("Nothing was ever bought, so there is nothing to manage yet.")


class InvoiceNotFound(NotFound):
    """Not this account's, or none, or without a document."""

    code = "invoice_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such invoice.")


def check_wanted(plan: PlanName, granted: PlanName) -> None:
    """Raises PlanNotSold, AlreadyGranted."""
    if plan not in SOLD:
        raise PlanNotSold
    if larger(granted, plan) == granted:
        raise AlreadyGranted


def price_of(prices: Mapping[str, PlanName], plan: PlanName, like: str | None = None) -> str:
    """The price that buys `plan`: the first, or the one in the place that `like` has of its plan.

    So who pays by the year goes on paying by the year. Raises PlanNotSold.
    """
    wanted = _prices(prices, plan)
    if not wanted:
        raise PlanNotSold
    like_plan = prices.get(like) if like else None
    place = _prices(prices, like_plan).index(like) if like and like_plan else 0
    return wanted[place] if place < len(wanted) else wanted[0]


def _prices(prices: Mapping[str, PlanName], plan: PlanName) -> list[str]:
    return [price_id for price_id, bought in prices.items() if bought == plan]
