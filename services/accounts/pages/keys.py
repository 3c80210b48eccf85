"""API keys: make, rotate, revoke. The key itself is shown once, with a command that uses it."""

from datetime import timedelta
from functools import partial
from typing import Any, Final

from litestar import Response, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from libs.common.errors import InvalidInput
from libs.common.ids import new_id
from services.accounts.domain.errors import ApiKeyNotFound, InvalidExpiry, InvalidName
from services.accounts.domain.keys import NewKey, Purpose
from services.accounts.pages import forms
from services.accounts.pages.forms import EMPTY, Form, submit
from services.accounts.pages.places import Place, enter
from services.accounts.pages.visits import AnyRequest, Desk
from services.accounts.use_cases import keys
from services.accounts.use_cases.keys import IssuedKey

_RULES: Final[forms.Rules] = {InvalidName: "name", InvalidExpiry: "days"}
PURPOSES: Final = (
    (Purpose.OWN_CODE, "My own code: answers tell what ReqRun did"),
    (Purpose.STOCK_SDK, "A stock OpenAI SDK: answers look exactly like the provider's"),
    (Purpose.SIGNED, "Signed requests: every call carries a signature"),
)
LIVES: Final = (
    ("", "Never"),
    ("7", "In 7 days"),
    ("30", "In 30 days"),
    ("90", "In 90 days"),
    ("365", "In a year"),
)
OVERLAPS: Final = (
    ("0", "End the old one now"),
    ("1", "1 hour"),
    ("24", "24 hours"),
    ("168", "7 days"),
)


def routes(desk: Desk) -> list[HTTPRouteHandler]:
    """`/projects/{id}/keys` and below."""

    @get("/projects/{project_id:str}/keys")
    async def show(request: AnyRequest, project_id: FromPath[str]) -> Response[bytes]:
        return await _show(await enter(desk, request, project_id), EMPTY, 200)

    @post("/projects/{project_id:str}/keys")
    async def issue(request: AnyRequest, project_id: FromPath[str]) -> Response[bytes]:
        place = await enter(desk, request, project_id)

        async def act(form: Form) -> Response[bytes]:
            issued = await keys.issue(desk.ports, _wish(place, form), actor=place.actor)
            return await _show(place, EMPTY, 200, issued, form["purpose"])

        return await submit(place.visit, act, partial(_show, place), _RULES)

    return [show, issue, *_changes(desk)]


def _changes(desk: Desk) -> list[HTTPRouteHandler]:
    path = "/projects/{project_id:str}/keys/{key_id:str}"

    @post(path + "/rotate")
    async def rotate(
        request: AnyRequest, project_id: FromPath[str], key_id: FromPath[str]
    ) -> Response[bytes]:
        place = await enter(desk, request, project_id)
        key = await _own(place, key_id)

        async def act(form: Form) -> Response[bytes]:
            overlap = timedelta(hours=_number(form["overlap"], "The overlap"))
            issued = await keys.rotate(desk.ports, key.id, overlap, actor=place.actor)
            return await _show(place, EMPTY, 200, issued, key.purpose)

        return await submit(place.visit, act, partial(_show, place))

    @post(path + "/revoke")
    async def revoke(
        request: AnyRequest, project_id: FromPath[str], key_id: FromPath[str]
    ) -> Response[bytes]:
        place = await enter(desk, request, project_id)
        key = await _own(place, key_id)

        async def act(_: Form) -> Response[bytes]:
            await keys.revoke(desk.ports, key.id, actor=place.actor)
            return place.go("/keys?done=revoked")

        return await submit(place.visit, act, partial(_show, place))

    return [rotate, revoke]


async def _own(place: Place, key_id: str) -> Any:
    """The key, where it is this project's. Raises ApiKeyNotFound."""
    for key in await keys.list_of(place.visit.ports, place.project.id):
        if key.id == key_id:
            return key
    raise ApiKeyNotFound("There is no API key with this id in this project.")


def _wish(place: Place, form: Form) -> NewKey:
    """Raises InvalidInput, InvalidExpiry."""
    if form["purpose"] not in set(Purpose):
        raise InvalidInput("Choose what the key is for.")
    days = form["days"]
    return NewKey(
        project_id=place.project.id,
        mode="live" if form["mode"] == "live" else "test",
        name=form["name"],
        purpose=Purpose(form["purpose"]),
        id=form["once"],
        life=timedelta(days=_number(days, "The expiry")) if days else None,
    )


def _number(text: str, name: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 5:  # noqa: PLR2004  # enough
        raise InvalidInput(f"{name} is a whole number.")
    return int(text)


async def _show(
    place: Place,
    form: Form,
    status: int,
    issued: IssuedKey | None = None,
    purpose: str = "",
) -> Response[bytes]:
    ports = place.visit.ports
    return place.page(
        "keys.html",
        status=status,
        form=form,
        keys=list(reversed(await keys.list_of(ports, place.project.id))),
        now=ports.clock.now(),
        issued=issued,
        example=None if issued is None else example(place.visit.desk.api_url, issued, purpose),
        purposes=PURPOSES,
        once=new_id("key"),
        lives=LIVES,
        overlaps=OVERLAPS,
    )


def example(api_url: str, issued: IssuedKey, purpose: str) -> str:
    """What to paste: a command, or the lines of a program."""
    if purpose == Purpose.STOCK_SDK:
        return (
            "from openai import OpenAI\n\n"
            f'client = OpenAI(base_url="{api_url}/v1", api_key="{issued.text}")'
        )
    if purpose == Purpose.SIGNED:
        return (
            "from reqrun import SignedAuth  # clients/python\n\n"
            f'auth = SignedAuth("{issued.text}", "{issued.signing_secret}")\n'
            f'httpx.post("{api_url}/v1/chat/completions", auth=auth, json=…)'
        )
    return (
        f"curl {api_url}/v1/chat/completions \\\n"
        f"  -H 'Authorization: Bearer {issued.text}' \\\n"
        "  -H 'Content-Type: application/json' \\\n"
        """  -d '{"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Hello"}]}'"""
    )
