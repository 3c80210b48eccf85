"""People who are logged in to the dashboard."""

import pytest

from services.accounts.use_cases import sign_up
from tests.support.customers import NETWORK, PASSWORD, newest_token, signed_up
from tests.support.dashboard import Browser, Dashboard


async def _logged_in(dashboard: Dashboard, email: str, name: str) -> Browser:
    await signed_up(dashboard.ports, email, name)
    await sign_up.verify(dashboard.ports, await newest_token(dashboard.ports, email), NETWORK)
    browser = dashboard.browser()
    page = await browser.log_in(email, PASSWORD)
    assert page.status == 200, page.text
    return browser


@pytest.fixture
async def ada(dashboard: Dashboard) -> Browser:
    return await _logged_in(dashboard, "ada@example.org", "Ada")


@pytest.fixture
async def bob(dashboard: Dashboard) -> Browser:
    """Another customer's."""
    return await _logged_in(dashboard, "bob@example.org", "Bob")
