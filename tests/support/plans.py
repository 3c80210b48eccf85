"""What billing tells about plans."""

from libs.common.contracts.billing import PlanChanged
from libs.common.contracts.plans import PlanName


def plan_changed(
    account_id: str, plan: PlanName, *, version: int = 1, anchor_day: int = 1
) -> PlanChanged:
    """It has this plan now."""
    return PlanChanged(account_id=account_id, plan=plan, anchor_day=anchor_day, version=version)
