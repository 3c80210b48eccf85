"""What an export holds of plan and money, and what it says where it holds none."""

import io
import json
import zipfile
from typing import Any

import msgspec
import pytest

from libs.common.contracts.billing import SubscriptionEnded, TaxDetails
from libs.common.contracts.plans import PlanName
from services.accounts.domain.errors import BillingAway
from services.accounts.ports import Ports
from services.accounts.repositories.people import Held
from services.accounts.use_cases import export, notices
from tests.support.billing_stand_in import BillingStandIn, subscription
from tests.support.customers import PASSWORD, customer


@pytest.fixture
async def held(ports: Ports) -> Held:
    """Somebody without a project: no gateway is asked."""
    return await customer(ports)


@pytest.fixture
def billing() -> BillingStandIn:
    return BillingStandIn()


@pytest.fixture
def ports_out(ports: Ports, billing: BillingStandIn) -> Ports:
    """With a billing that answers."""
    return msgspec.structs.replace(ports, billing=billing)


async def taken(ports: Ports, held: Held) -> zipfile.ZipFile:
    made = await export.begin(ports, held, PASSWORD)
    return zipfile.ZipFile(io.BytesIO(b"".join([chunk async for chunk in made.chunks])))


def opened(archive: zipfile.ZipFile, name: str) -> Any:
    return json.loads(archive.read(name))


async def test_what_billing_knows_is_in_it(
    ports_out: Ports, held: Held, billing: BillingStandIn
) -> None:
    details = TaxDetails(email="books@example.org", business_name="Engines Ltd", country="GB")
    account_id = held.person.account_id
    billing.set(account_id, plan=PlanName.PRO, subscription=subscription(), details=details)
    await notices.tell_end(
        ports_out,
        SubscriptionEnded(
            account_id=account_id,
            subscription_id="sub_0",
            ended_plan=PlanName.SCALE,
            plan=PlanName.PRO,
        ),
    )

    archive = await taken(ports_out, held)

    shown = opened(archive, "billing.json")
    assert (shown["plan"], shown["subscription"]["state"]) == ("pro", "active")
    assert shown["details"]["business_name"] == "Engines Ltd"
    assert [one["name"] for one in opened(archive, "notices.json")] == ["ended.sub_0"]
    assert "BILLING_MISSING.txt" not in archive.namelist()


async def test_while_billing_is_away_it_says_what_is_missing(
    ports_out: Ports, held: Held, billing: BillingStandIn
) -> None:
    billing.refusal = BillingAway()

    archive = await taken(ports_out, held)

    assert "billing.json" not in archive.namelist()
    assert b"Ask for another export" in archive.read("BILLING_MISSING.txt")
    assert b"BILLING_MISSING.txt" in archive.read("README.txt")
    assert opened(archive, "account.json")["plan"] == "operator"
    assert billing.asked == 3, "it was asked patiently"
