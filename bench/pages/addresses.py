"""Every page of the dashboard, by what it is called in the tables."""

from collections.abc import Mapping
from typing import Final

import msgspec

STATES: Final = ("queued", "processing", "retrying", "completed", "failed", "cancelled")

PUBLIC: Final[Mapping[str, str]] = {
    "sign up": "/sign-up",
    "log in": "/log-in",
    "forgot": "/forgot",
    "check mail": "/check-mail",
    "verify": "/verify?token=none",
    "reset password": "/reset-password?token=none",
    "change e-mail": "/change-email?token=none",
    "restore e-mail": "/restore-email?token=none",
    "privacy": "/privacy",
    "terms": "/terms",
    "sub-processors": "/sub-processors",
}
_ACCOUNT: Final[Mapping[str, str]] = {
    "projects": "/projects",
    "settings": "/settings",
    "settings, e-mail": "/settings/email",
    "settings, password": "/settings/password",
    "your data": "/settings/data",
    "delete": "/settings/data/delete",
    "billing": "/billing",
    "billing, plans": "/billing/plans",
    "billing, one plan": "/billing/plans/scale",
    "billing, invoices": "/billing/invoices",
    "billing, thanks": "/billing/thanks?plan=scale&looks=99",
    "audit": "/audit",
    "audit, keys": "/audit?group=keys",
    "audit, a rare group": "/audit?group=money",
    "audit, since": "/audit?since=2026-01-01",
    "support": "/support",
    "support, one": "/support/{thread}",
}
_PROJECT: Final[Mapping[str, str]] = {
    "overview": "",
    "overview, live part": "/now",
    "overview, test mode": "?mode=test",
    "usage": "/usage",
    "usage, test mode": "/usage?mode=test",
    "keys": "/keys",
    "provider": "/provider",
    "project settings": "/settings",
    "list": "/requests",
    "list, live part": "/requests/rows",
    "list, test mode": "/requests?mode=test",
    "list, an old page": "/requests?before={middle}",
    "list, the oldest page": "/requests?before={oldest}",
    **{f"list, {state}": f"/requests?state={state}" for state in STATES},
    "list, completed, an old page": "/requests?state=completed&before={middle}",
    "list, failed, the oldest page": "/requests?state=failed&before={oldest}",
    "list, a model": "/requests?model=model-7",
    "list, a model, an old page": "/requests?model=model-7&before={middle}",
    "list, a model nobody has": "/requests?model=nobody",
    **{f"list, a model, {state}": f"/requests?model=model-7&state={state}" for state in STATES},
    "list, a key": "/requests?find=order-400000",
    "list, a key nobody has": "/requests?find=order-7",
    "request, completed": "/requests/{completed}",
    "request, failed": "/requests/{failed}",
    "request, processing": "/requests/{processing}",
    "request, queued": "/requests/{queued}",
    "request, retrying": "/requests/{retrying}",
    "request, live part": "/requests/{retrying}/live",
    "request, nobody's": "/requests/rr_01m833m71bz1bj7m00000000ab",
}


class Ids(msgspec.Struct, frozen=True, kw_only=True):
    """What the addresses name. `middle`, `oldest`: where pages begin; requests by state."""

    project: str
    thread: str
    middle: str
    oldest: str
    completed: str
    failed: str
    processing: str
    queued: str
    retrying: str


def addresses(ids: Ids) -> dict[str, str]:
    """Those of who is logged in, and those of everybody."""
    home = f"/projects/{ids.project}"
    named = msgspec.structs.asdict(ids)
    own = {**_ACCOUNT, **{name: home + rest for name, rest in _PROJECT.items()}}
    return {**PUBLIC, **{name: path.format(**named) for name, path in own.items()}}
