"""The whole map of addresses, walked with two accounts: nobody reaches what is another's."""

from collections.abc import Iterator

import pytest
from litestar.routes import HTTPRoute

from libs.common.ids import new_id
from services.accounts import app
from services.accounts.settings import Settings
from services.accounts.use_cases import keys, sessions
from tests.support.dashboard import Browser, Dashboard, request_answer
from tests.support.raw_http import RawConnection

OPEN = {
    "/assets/{mark:str}/{name:str}",
    "/sign-up",
    "/check-mail",
    "/log-in",
    "/log-out",
    "/forgot",
    "/verify",
    "/reset-password",
    "/change-email",
    "/restore-email",
    "/privacy",
    "/terms",
    "/sub-processors",
    "/.well-known/security.txt",
}
"""For everybody."""

SECRET = "Ada's own project"

NOBODYS = {"{plan:str}": "pro"}
"""What an address may name that belongs to everybody."""


def addresses(settings: Settings, dashboard: Dashboard) -> Iterator[tuple[str, str]]:
    """Method and path of everything that is served."""
    for route in app.make_site(settings, dashboard.ports).routes:
        if isinstance(route, HTTPRoute):
            yield from ((method, route.path) for method in route.methods - {"OPTIONS"})


async def furnish(ada: Browser, dashboard: Dashboard) -> dict[str, str]:
    """Something of everything that has an id, by the parameter that names it."""
    page = await ada.send(await ada.get("/projects"), "/projects", name=SECRET)
    project_id = page.path.rpartition("/")[2]
    await ada.send(await ada.get(f"{page.path}/keys"), f"{page.path}/keys", name=SECRET)
    sent = await ada.get("/support")
    thread = await ada.send(sent, "/support", subject=SECRET, text=SECRET, kind="question")
    request_id = new_id("rr")
    dashboard.plane.add(project_id, request_answer(request_id, idempotency_key=SECRET))
    key = (await keys.list_of(dashboard.ports, project_id))[0]
    held = await sessions.resume(dashboard.ports, ada.cookie("session") or "", "192.0.2.0/24")
    assert held
    return {
        "{project_id:str}": project_id,
        "{request_id:str}": request_id,
        "{key_id:str}": key.id,
        "{message_id:str}": thread.path.partition("?")[0].rpartition("/")[2],
        "{session_id:str}": held.session.id,
        "{invoice_id:str}": new_id("txn"),
        **NOBODYS,
    }


def filled(path: str, ids: dict[str, str], *, is_whole: bool = True) -> str:
    for name, value in ids.items():
        path = path.replace(name, value)
    assert not is_whole or "{" not in path, path
    return path


def is_of_somebody(path: str) -> bool:
    return "{" in filled(path, NOBODYS, is_whole=False) and "session_id" not in path


async def test_a_stranger_finds_nothing_of_anothers_under_any_address(
    ada: Browser, bob: Browser, settings: Settings, dashboard: Dashboard
) -> None:
    ids = await furnish(ada, dashboard)
    walked = 0
    token = (await bob.get("/projects")).form("/projects").fields["form_token"]
    for method, path in addresses(settings, dashboard):
        if path in OPEN or path == "/settings/data/delete":
            continue
        walked += 1
        target = filled(path, ids)
        page = (
            await bob.post(target, {"form_token": token})
            if method == "POST"
            else await bob.get(target)
        )
        assert SECRET not in page.html, path
        assert all(
            value not in page.html.replace(target, "")
            for name, value in ids.items()
            if name not in NOBODYS
        ), path
        # A session of somebody else's is ended already, as far as anybody is told.
        if is_of_somebody(path):
            assert page.status == 404, (method, path, page.status)

    assert walked > 40
    assert SECRET in (await ada.get("/projects")).text
    assert (await ada.get("/settings")).path == "/settings"
    assert dashboard.plane.asked == []


async def test_nobody_gets_in_anywhere_without_a_session(
    ada: Browser, settings: Settings, dashboard: Dashboard
) -> None:
    ids, nobody = await furnish(ada, dashboard), dashboard.browser()
    for method, path in addresses(settings, dashboard):
        if path in OPEN:
            continue
        target = filled(path, ids)
        page = (
            await nobody.post(target, {"form_token": "x"}, follow=False)
            if method == "POST"
            else await nobody.get(target, follow=False)
        )
        assert page.status == 303, (method, path)
        assert page.response.headers["location"].startswith("/log-in"), path


@pytest.mark.parametrize("token", ["", "wrong"], ids=["none", "wrong"])
async def test_no_form_does_anything_without_its_token(
    ada: Browser, settings: Settings, dashboard: Dashboard, token: str
) -> None:
    ids = await furnish(ada, dashboard)
    for method, path in addresses(settings, dashboard):
        if method != "POST":
            continue
        page = await ada.post(filled(path, ids), {"form_token": token}, follow=False)
        assert page.status in {403, 404}, (path, page.status)

    assert dashboard.plane.asked == []
    assert (await ada.get("/settings")).path == "/settings"


@pytest.mark.parametrize("path", ["/log-in", "/nowhere", "/projects?a=b"])
async def test_a_host_that_is_none_is_answered_as_any_other(ada: Browser, path: str) -> None:
    usual = await ada.get(path, follow=False)
    odd = await ada.get(path, follow=False, headers={"host": "a:b:c"})

    assert odd.status == usual.status
    assert "content-security-policy" in odd.response.headers


async def test_who_leaves_in_the_middle_of_a_form_is_no_crash_of_ours(
    dashboard: Dashboard, caplog: pytest.LogCaptureFixture
) -> None:
    port = int(dashboard.url.rpartition(":")[2])
    form = "application/x-www-form-urlencoded"
    async with await RawConnection.open(port) as leaving:
        head = f"POST /log-in HTTP/1.1\r\nHost: t\r\nContent-Type: {form}\r\n"
        await leaving.send(f"{head}Content-Length: 1000\r\n\r\nemail".encode())
    assert (await dashboard.browser().get("/log-in")).status == 200

    assert "request_crashed" not in caplog.text
