"""One call of a browser: whose it is, where from, and how it is answered."""

import hashlib
import hmac
import secrets
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

import msgspec
from jinja2 import Environment
from litestar import Request, Response
from litestar.datastructures import Cookie

from libs.common.addresses import Networks, client_address
from libs.common.errors import Unauthenticated
from services.accounts.domain.addresses import network_of
from services.accounts.domain.audit import Actor
from services.accounts.domain.contacts import Contacts
from services.accounts.domain.tokens import SESSION_LIFE
from services.accounts.models import Account, Person
from services.accounts.pages import rendering
from services.accounts.ports import Ports
from services.accounts.repositories.people import Held
from services.accounts.use_cases import billing, sessions
from services.accounts.use_cases.sessions import Browser

AnyRequest = Request[Any, Any, Any]

_VISITOR_BYTES: Final = 32
_LONGEST_COOKIE: Final = 100
_LONGEST_AGENT: Final = 200


class LogInFirst(Unauthenticated):
    """The page belongs to somebody, and nobody is logged in."""

    code = "log_in_first"


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """What every page needs. `api_url`: the public API, as customers call it.

    `form_key`: proves that a form came from us. `is_secure`: pages are served over HTTPS.
    `trusted`: proxies whose X-Forwarded-For is believed.
    """

    ports: Ports
    rendering: Environment
    contacts: Contacts
    api_url: str
    form_key: bytes
    is_secure: bool
    trusted: Networks

    async def visit(self, request: AnyRequest) -> "Visit":
        """The call, of whoever it is."""
        peer = request.client.host if request.client else ""
        forwarded = [value.encode() for value in request.headers.getall("x-forwarded-for", [])]
        network = network_of(client_address(peer, forwarded, self.trusted))
        agent = request.headers.get("user-agent", "")[:_LONGEST_AGENT]
        token = request.cookies.get(self.cookie("session"), "")[:_LONGEST_COOKIE]
        held = await sessions.resume(self.ports, token, network) if token else None
        visitor = request.cookies.get(self.cookie("visitor"), "")[:_LONGEST_COOKIE]
        return Visit(
            desk=self,
            request=request,
            browser=Browser(network=network, agent=agent),
            held=held,
            debt=None,
            token=token if held else visitor or secrets.token_urlsafe(_VISITOR_BYTES),
            is_new=not held and not visitor,
        )

    async def enter(self, request: AnyRequest) -> "Visit":
        """The call of somebody who is logged in. Raises LogInFirst."""
        visit = await self.visit(request)
        if visit.held is None:
            raise LogInFirst("Log in to see this page.")
        if visit.is_part:
            return visit
        debt = await billing.check_debt(self.ports, visit.held.account)
        return msgspec.structs.replace(visit, debt=debt)

    def cookie(self, name: str) -> str:
        """The full name of a cookie; without HTTPS browsers take none that begins with __Host-."""
        return f"__Host-reqrun_{name}" if self.is_secure else f"reqrun_{name}"

    def new_cookie(self, name: str, value: str, *, max_age: int | None = None) -> Cookie:
        """For this host alone, for no script, sent with no other site's form."""
        return Cookie(
            key=self.cookie(name),
            value=value,
            path="/",
            secure=self.is_secure,
            httponly=True,
            samesite="lax",
            max_age=max_age,
        )


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """`token`: of the session's cookie, or of a visitor's. `is_new`: this browser has none yet.

    `debt`: a payment failed, and until then the plan stays; known on whole pages.
    """

    desk: Desk
    request: AnyRequest
    browser: Browser
    held: Held | None
    debt: datetime | None
    token: str
    is_new: bool

    @property
    def ports(self) -> Ports:
        """What the use cases need."""
        return self.desk.ports

    @property
    def entered(self) -> Held:
        """Who is logged in, and the session. Only after `enter`. Raises LogInFirst."""
        if self.held is None:
            raise LogInFirst("Log in to see this page.")
        return self.held

    @property
    def person(self) -> Person:
        """Who is logged in. Only after `enter`. Raises LogInFirst."""
        return self.entered.person

    @property
    def account(self) -> Account:
        """Their account. Only after `enter`. Raises LogInFirst."""
        return self.entered.account

    @property
    def actor(self) -> Actor:
        """Who acts here, and from where. Only after `enter`. Raises LogInFirst."""
        return Actor(self.person.id, self.browser.network)

    @property
    def is_part(self) -> bool:
        """Whether htmx asks for a part of a page that is already there."""
        return self.request.headers.get("hx-request") == "true"

    def form_token(self) -> str:
        """What every form of this visit carries: nobody else's page can know it (CSRF)."""
        return hmac.new(self.desk.form_key, self.token.encode(), hashlib.sha256).hexdigest()

    @property
    def query(self) -> str:
        """What stands behind the address's question mark."""
        return query_of(self.request)

    def page(self, template: str, /, *, status: int = 200, **values: Any) -> Response[bytes]:
        """A rendered page with this visitor's name on it."""
        shown = {
            "person": self.held.person if self.held else None,
            "holder": self.held.account if self.held else None,
            "debt": self.debt,
            "now": self.ports.clock.now(),
            "form_token": self.form_token(),
            "path": self.request.scope["path"],
            "contacts": self.desk.contacts,
            "api_url": self.desk.api_url,
            "form": None,
            "notice": self.request.query_params.get("done"),
            **values,
        }
        text = rendering.of(self.desk.rendering, template, shown)
        response = rendering.html(text, status, rendering.headers(is_secure=self.desk.is_secure))
        if self.is_new:
            response.set_cookie(self.desk.new_cookie("visitor", self.token))
        return response

    def go(self, path: str) -> Response[bytes]:
        """See other: after a form was taken, so that a reload sends nothing again."""
        more = rendering.headers(is_secure=self.desk.is_secure)
        return Response(b"", status_code=303, headers={**more, "location": path})

    def leave(self, address: str, whither: str) -> Response[bytes]:
        """On to somebody else's page, after a form was taken.

        Not by its redirect: `form-action 'self'` holds for where a form leads in the end, too.
        """
        return self.page("leaving.html", address=address, whither=whither)

    def log_in(self, token: str, path: str) -> Response[bytes]:
        """Go on with a new session's cookie."""
        answer = self.go(path)
        seconds = int(SESSION_LIFE.total_seconds())
        answer.set_cookie(self.desk.new_cookie("session", token, max_age=seconds))
        return answer

    def log_out(self, path: str) -> Response[bytes]:
        """Go on as nobody."""
        answer = self.go(path)
        answer.set_cookie(self.desk.new_cookie("session", "", max_age=0))
        answer.headers["clear-site-data"] = '"cache"'
        return answer


def safe_next(text: str) -> str:
    """Where to go after the log-in: a path of ours, whatever somebody put into the address.

    Browsers take two slashes, a backslash or control characters for another site's address.
    """
    is_ours = text.startswith("/") and not text.startswith("//") and "\\" not in text
    # A header holds no other characters; what a browser sends is percent-encoded.
    return text if is_ours and text.isascii() and text.isprintable() else "/"


def log_in_path(request: AnyRequest) -> str:
    """The log-in page, which leads back here; back to a form's page, not into its answer."""
    if request.method != "GET":
        return "/log-in"
    query = query_of(request)
    here = request.scope["path"] + (f"?{query}" if query else "")
    return f"/log-in?next={quote(here, safe='')}"


def query_of(request: AnyRequest) -> str:
    """As it came. `request.url` fails where Host is no host."""
    return request.scope["query_string"].decode("latin-1")
