"""The reading side: a list, one mail, and all of them as JSON. No script anywhere.

A mail's HTML is somebody else's: it comes in a frame that runs nothing and loads nothing, and whose
links open in a tab of their own.
"""

from pathlib import Path
from typing import Any, Final

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Litestar, Response, get
from litestar.handlers import HTTPRouteHandler

from deploy.local.mail.store import Mail, Store
from libs.common.errors import NotFound
from libs.common.web import app as web_app

_FOLDER: Final = Path(__file__).parent / "templates"
_PAGES: Final = Environment(
    loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined
)
_POLICY: Final = (
    "default-src 'none'; style-src 'self'; frame-src 'self'; form-action 'none';"
    " base-uri 'none'; frame-ancestors 'none'"
)
_FRAME: Final = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none';"
    " style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'self'"
)
# Names under which a browser on this machine comes here, so that no other site's name leads here.
_HOSTS: Final = ("127.0.0.1", "localhost")


class MailNotFound(NotFound):
    """No such mail, or it made room for newer ones."""

    code = "mail_not_found"


def create(store: Store, port: int) -> Litestar:
    """The pages over `store`, served on `port`."""
    hosts = [f"{host}:{port}" for host in _HOSTS]
    return web_app.create([*_routes(store), show_style], allowed_hosts=hosts)


def _routes(store: Store) -> list[HTTPRouteHandler]:
    @get("/", sync_to_thread=True)
    def list_mails() -> Response[bytes]:
        return _page("list.html", mails=store.newest())

    @get("/mails/{mail_id:str}", sync_to_thread=True)
    def show_mail(mail_id: str) -> Response[bytes]:
        return _page("mail.html", mail=_found(store, mail_id))

    @get("/mails/{mail_id:str}/html", sync_to_thread=True)
    def show_html(mail_id: str) -> Response[bytes]:
        html = _found(store, mail_id).html.replace("<head>", '<head><base target="_blank">', 1)
        return _answer(html, _FRAME)

    @get("/mails.json", sync_to_thread=True)
    def list_json(to: str | None = None) -> Response[bytes]:
        mails = [mail for mail in store.newest() if to in {None, mail.recipient}]
        return Response(msgspec.json.encode(mails), media_type="application/json")

    return [list_mails, show_mail, show_html, list_json]


@get("/style.css", sync_to_thread=True)
def show_style() -> Response[bytes]:
    """The one style sheet."""
    return Response((_FOLDER / "style.css").read_bytes(), media_type="text/css; charset=utf-8")


def _found(store: Store, mail_id: str) -> Mail:
    mail = store.find(mail_id)
    if mail is None:
        raise MailNotFound("There is no mail with this id any more.")
    return mail


def _page(template: str, **values: Any) -> Response[bytes]:
    return _answer(_PAGES.get_template(template).render(values), _POLICY)


def _answer(html: str, policy: str) -> Response[bytes]:
    headers = {
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
    }
    return Response(html.encode(), media_type="text/html; charset=utf-8", headers=headers)
