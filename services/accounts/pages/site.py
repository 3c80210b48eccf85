"""The dashboard as one application."""

from litestar import Litestar

from services.accounts.pages import (
    account,
    assets,
    audit,
    billing,
    billing_orders,
    data,
    entering,
    keys,
    overview,
    projects,
    provider,
    public,
    requests,
    support,
    usage,
)
from services.accounts.pages.failures import handler
from services.accounts.pages.forms import FORM_BYTES
from services.accounts.pages.visits import Desk


def create(desk: Desk) -> Litestar:
    """All pages. Every error is a page, too."""
    return Litestar(
        [
            assets.route(),
            *public.routes(desk),
            *entering.routes(desk),
            *projects.routes(desk),
            *overview.routes(desk),
            *requests.routes(desk),
            *keys.routes(desk),
            *provider.routes(desk),
            *usage.routes(desk),
            *account.routes(desk),
            *data.routes(desk),
            *billing.routes(desk),
            *billing_orders.routes(desk),
            *audit.routes(desk),
            *support.routes(desk),
        ],
        openapi_config=None,
        logging_config=None,  # libs.common.logs has set it up, and is the only one to
        exception_handlers={Exception: handler(desk)},
        request_max_body_size=FORM_BYTES,
    )
