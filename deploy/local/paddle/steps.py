"""What may be done with a subscription at the portal; some of it takes a month in real life."""

from collections.abc import Callable
from typing import Final

import msgspec

from deploy.local.paddle.shop import Shop
from deploy.local.paddle.store import Thing

LIVING: Final = frozenset({"active", "trialing", "past_due"})


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """`can`: whether it makes sense. `is_made_up`: no portal of Paddle's has it."""

    label: str
    do: Callable[[Shop, Thing], None]
    can: Callable[[Shop, Thing], bool]
    is_made_up: bool = False


def _is_living(_: Shop, one: Thing) -> bool:
    return one["status"] in LIVING


def _can_cancel(_: Shop, one: Thing) -> bool:
    return one["status"] in LIVING and one["scheduled_change"] is None


def _can_keep(_: Shop, one: Thing) -> bool:
    return one["scheduled_change"] is not None


def _can_pay(_: Shop, one: Thing) -> bool:
    return bool(one["status"] == "past_due")


def _is_paused(_: Shop, one: Thing) -> bool:
    return bool(one["status"] == "paused")


def _will_pay(shop: Shop, one: Thing) -> bool:
    return one["status"] in LIVING and not shop.subscriptions.will_fail(one)


def _will_fail(shop: Shop, one: Thing) -> bool:
    return one["status"] in LIVING and shop.subscriptions.will_fail(one)


STEPS: Final[dict[str, Step]] = {
    "cancel": Step(
        label="Cancel at the end of the period",
        do=lambda shop, one: shop.subscriptions.cancel(one, at_once=False),
        can=_can_cancel,
    ),
    "keep": Step(
        label="Do not cancel after all",
        do=lambda shop, one: shop.subscriptions.keep(one),
        can=_can_keep,
    ),
    "pay": Step(
        label="Update the card and pay what is due",
        do=lambda shop, one: shop.subscriptions.recover(one),
        can=_can_pay,
    ),
    "fail-next": Step(
        label="Let the next payment fail",
        do=lambda shop, one: shop.subscriptions.wish(one, fails=True),
        can=_will_pay,
        is_made_up=True,
    ),
    "pay-next": Step(
        label="Let the next payment succeed",
        do=lambda shop, one: shop.subscriptions.wish(one, fails=False),
        can=_will_fail,
        is_made_up=True,
    ),
    "next-period": Step(
        label="End the period now",
        do=lambda shop, one: shop.subscriptions.next_period(one),
        can=_is_living,
        is_made_up=True,
    ),
    "end": Step(
        label="End the subscription at once",
        do=lambda shop, one: shop.subscriptions.cancel(one, at_once=True),
        can=_is_living,
        is_made_up=True,
    ),
    "pause": Step(
        label="Pause at once",
        do=lambda shop, one: shop.subscriptions.pause(one, at_once=True),
        can=_is_living,
        is_made_up=True,
    ),
    "resume": Step(
        label="Resume",
        do=lambda shop, one: shop.subscriptions.resume(one),
        can=_is_paused,
        is_made_up=True,
    ),
}
