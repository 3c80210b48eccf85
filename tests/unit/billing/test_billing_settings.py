"""The settings and the consumers of billing."""

import pytest

from libs.common.broker.topology import QUEUES
from libs.common.clock import SystemClock
from libs.common.contracts.event import routing_key
from libs.common.database import Database
from libs.common.settings import Secret, SettingsError, load
from services.billing import consumers
from services.billing.ports import Ports
from services.billing.settings import Settings
from services.billing.use_cases.thresholds import Watch


def test_all_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(SettingsError, match=r"REQRUN_DATABASE_URL.*REQRUN_BROKER_URL"):
        load(Settings, {})


NEEDED = {"REQRUN_DATABASE_URL": "postgresql://x/y", "REQRUN_BROKER_URL": "amqp://x"}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"REQRUN_PADDLE_PRICES": '{"pri_1": "free"}'}, "REQRUN_PADDLE_PRICES"),
        ({"REQRUN_PADDLE_API_KEY": "key"}, "REQRUN_PADDLE_WEBHOOK_SECRETS"),
        (
            {"REQRUN_PADDLE_API_KEY": "key", "REQRUN_PADDLE_WEBHOOK_SECRETS": " , "},
            "REQRUN_PADDLE_WEBHOOK_SECRETS",
        ),
        (
            {
                "REQRUN_PADDLE_API_KEY": "key",
                "REQRUN_PADDLE_WEBHOOK_SECRETS": "secret",
                "REQRUN_PADDLE_API_URL": "http://api.paddle.com",
            },
            "REQRUN_PADDLE_API_URL",
        ),
    ],
    ids=["free", "deaf", "blank", "plain"],
)
def test_what_would_take_money_and_give_nothing_does_not_start(
    given: dict[str, str], named: str
) -> None:
    with pytest.raises(SettingsError, match=named):
        load(Settings, {**NEEDED, **given})


async def test_every_event_that_our_queues_take_has_a_handler() -> None:
    keys = {key for queue in QUEUES if queue.name in consumers.QUEUES for key in queue.keys}
    async with Database(Secret("postgresql://127.0.0.1:1/none"), application="test") as db:
        ports = Ports(db=db, clock=SystemClock())
        handlers = consumers.handlers(ports, Watch(ports))

    assert {routing_key(kind) for kind in handlers} == keys
