"""Forms that are sent twice, or from a tab that is older than what stands there now."""

import pytest

from tests.support import people
from tests.support.dashboard import Browser, Dashboard

PROVIDER_KEY = "sk-canary-0123456789abcdWXYZ"
OTHER = {"base_url": "https://llm.example.org/v1", "provider_key": "sk-another-0123456789-9876"}


@pytest.fixture
async def home(ada: Browser) -> str:
    """A project's path."""
    page = await ada.send(await ada.get("/projects"), "/projects", name="Shop")
    return page.path


async def test_settings_from_an_old_tab_undo_nothing_unseen(ada: Browser, home: str) -> None:
    path = f"{home}/settings"
    old_tab = await ada.get(path)
    narrowed = {"allowed_addresses": "192.0.2.0/24", "retention_days": "3"}
    await ada.send(await ada.get(path), path, **narrowed)

    refused = await ada.send(old_tab, path, running="4")

    assert refused.status == 400
    assert "saved elsewhere" in refused.wrong("seen")
    assert refused.wrong("allowed_addresses") == "Here it is “192.0.2.0/24” now."
    assert refused.wrong("retention_days") == "Here it is “3” now."
    assert refused.wrong("running") == "Here it is empty now."
    assert refused.wrong("name") == ""
    kept = (await ada.get(path)).form(path).fields
    assert (kept["allowed_addresses"], kept["running"]) == ("192.0.2.0/24", "")
    # Who has seen it may have it so.
    assert refused.form(path).fields["running"] == "4"
    again = await ada.send(refused, path, **narrowed)
    kept = again.form(path).fields
    assert (kept["allowed_addresses"], kept["running"]) == ("192.0.2.0/24", "4")


async def test_settings_that_are_wrong_as_well_stay_those_of_an_old_tab(
    ada: Browser, home: str
) -> None:
    path = f"{home}/settings"
    old_tab = await ada.get(path)
    await ada.send(await ada.get(path), path, allowed_addresses="192.0.2.0/24")

    wrong = await ada.send(old_tab, path, running="none")
    refused = await ada.send(wrong, path, running="4")

    assert "whole number" in wrong.wrong("running")
    assert "saved elsewhere" in refused.wrong("seen")


async def test_settings_that_are_sent_twice_are_set_once(
    ada: Browser, home: str, dashboard: Dashboard
) -> None:
    path = f"{home}/settings"
    page = await ada.get(path)

    for _ in range(2):
        assert (await ada.send(page, path, running="4")).status == 200

    ada_herself = await people.person(dashboard.ports, "ada@example.org")
    changes = await people.changes(dashboard.ports, ada_herself.account_id)
    assert changes.count("project.set") == 1


async def test_a_provider_of_an_old_tab_replaces_and_removes_nothing_unseen(
    ada: Browser, home: str
) -> None:
    path = f"{home}/provider"
    empty_tab = await ada.get(path)
    first = await ada.send(empty_tab, path, provider_key=PROVIDER_KEY)
    await ada.send(first, path, **OTHER)

    removed = await ada.send(first, f"{path}/remove")
    replaced = await ada.send(first, path, provider_key=PROVIDER_KEY)
    connected = await ada.send(empty_tab, path, provider_key=PROVIDER_KEY)

    for refused in (removed, replaced, connected):
        assert refused.status == 409
        assert "changed elsewhere" in refused.text
        assert "llm.example.org" in refused.text
    # Now that it was shown it may be removed; and that twice.
    for _ in range(2):
        assert "No provider yet" in (await ada.send(removed, f"{path}/remove")).text


async def test_a_provider_that_is_sent_twice_is_connected_once(ada: Browser, home: str) -> None:
    path = f"{home}/provider"
    page = await ada.get(path)

    saved = [await ada.send(page, path, provider_key=PROVIDER_KEY) for _ in range(2)]

    assert [one.status for one in saved] == [200, 200]
    seen = {one.form(f"{path}/remove").fields["seen"] for one in saved}
    assert len(seen) == 1
