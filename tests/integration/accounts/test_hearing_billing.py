"""The worker hears billing over a real broker, as the user that production gives it."""

from datetime import date
from pathlib import Path

from deploy.local.servers.rabbitmq import RabbitMq
from libs.common.broker.protocol import Message
from libs.common.broker.rabbitmq import RabbitMQPublisher
from libs.common.broker.topology import ACCOUNTS_BILLING, EVENTS
from libs.common.contracts.billing import UsageThresholdReached
from libs.common.contracts.event import Event, encode, routing_key
from libs.common.contracts.plans import PlanName
from libs.common.settings import Secret
from services.accounts.ports import Ports
from services.accounts.settings import Settings
from services.accounts.use_cases import accounts, profile
from tests.integration.accounts.test_accounts_processes import variables
from tests.support import queues, service_process
from tests.support.customers import NETWORK, customer, mails_to
from tests.support.plans import plan_changed
from tests.support.waiting import until


def telling(event: Event) -> Message:
    return Message(EVENTS, routing_key(event), encode(event))


async def test_plans_and_notices_arrive_and_nonsense_is_parked(
    settings: Settings, ports: Ports, rabbitmq_server: RabbitMq, tmp_path: Path
) -> None:
    await queues.reset(rabbitmq_server.url)
    person = (await customer(ports)).person
    await profile.set_notices(ports, person.id, NETWORK, wanted=True)
    reached = UsageThresholdReached(
        account_id=person.account_id,
        percent=80,
        period=date(2026, 3, 1),
        resets_on=date(2026, 4, 1),
        used=800,
        allowed=1_000,
    )
    changed = plan_changed(person.account_id, PlanName.PRO, anchor_day=9)
    nonsense = Message(EVENTS, "plan.changed", b'{"type":"plan.changed","plan":7}')
    messages = [nonsense, telling(reached), telling(changed), telling(reached), telling(changed)]
    async with RabbitMQPublisher(Secret(rabbitmq_server.url), name="test") as publisher:
        await until(publisher.is_ready)
        assert await publisher.publish_many(messages) == [None] * 5

    given = variables(settings) | {"BROKER_URL": rabbitmq_server.url}
    with service_process.running("accounts", "worker", given, tmp_path) as worker:
        await until(worker.is_ready)

        async def is_known() -> bool:
            account = await accounts.get(ports, person.account_id)
            kinds = [mail.kind for mail in await mails_to(ports, person.email)]
            return account.plan == "pro" and "usage_notice" in kinds

        async def is_parked() -> bool:
            return await queues.depth(rabbitmq_server.url, f"{ACCOUNTS_BILLING}.parked") == 1

        async def is_empty() -> bool:
            return await queues.depth(rabbitmq_server.url, ACCOUNTS_BILLING) == 0

        for condition in (is_known, is_parked, is_empty):
            await until(condition)

    kinds = [mail.kind for mail in await mails_to(ports, person.email)]
    assert kinds.count("usage_notice") == 1
