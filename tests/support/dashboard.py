"""The dashboard as a browser meets it, on a real database, beside an execution plane of our own."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from html import unescape
from html.parser import HTMLParser
from typing import Any

import httpx2
import msgspec

from deploy.local.ports import free_ports
from libs.common.contracts.accounts import KeyContext
from libs.common.contracts.executor import TestConnectionAnswer, TestConnectionQuestion
from libs.common.contracts.gateway import (
    AccountStandingAnswer,
    ChangeAnswer,
    ContentAnswer,
    ExportAnswer,
    ExportedRequest,
    ExportQuestion,
    RequestAnswer,
    RequestRow,
    RequestsAnswer,
    RequestsQuestion,
)
from libs.common.contracts.stats import OpenNow, StatsAnswer, StatsQuestion, StatsStep, Tally
from libs.common.errors import AppError, NotFound
from libs.common.periods import ANCHOR_DAYS
from libs.common.web.app import serve
from services.accounts import app
from services.accounts.ports import Ports
from services.accounts.settings import Settings
from tests.support.billing_stand_in import BillingStandIn
from tests.support.waiting import until

START = datetime(2026, 11, 1, tzinfo=UTC)


class RequestNotFound(NotFound):
    """As the gateway says it."""

    code = "request_not_found"


class Plane:
    """Requests and Executors from memory. `away`: what every question raises meanwhile.

    `accepted`: live requests of the period.
    """

    def __init__(self) -> None:
        """No request yet."""
        self.requests: dict[str, dict[str, RequestAnswer]] = {}
        self.content: dict[str, ContentAnswer] = {}
        self.asked: list[tuple[str, str, KeyContext]] = []
        self.away: AppError | None = None
        self.accepted = 7
        self.tested = TestConnectionAnswer(
            is_good=True, code="good", message="It answers.", models=3, took=0.2
        )

    def add(self, project_id: str, answer: RequestAnswer) -> None:
        """A request of this project."""
        self.requests.setdefault(project_id, {})[answer.request.id] = answer

    async def list_requests(self, project_id: str, question: RequestsQuestion) -> RequestsAnswer:
        """See Requests."""
        self._check()
        rows = [one.request for one in self.requests.get(project_id, {}).values()]
        wanted = [
            row
            for row in sorted(rows, key=lambda row: row.id, reverse=True)
            if row.mode == question.mode
            and (not question.state or row.state in question.state)
            and (question.model is None or row.model == question.model)
            and (question.before is None or row.id < question.before)
        ]
        page = tuple(wanted[: question.limit])
        return RequestsAnswer(page, page[-1].id if len(wanted) > len(page) else None)

    async def show(self, project_id: str, request_id: str) -> RequestAnswer:
        """See Requests."""
        self._check()
        found = self.requests.get(project_id, {}).get(request_id)
        if found is None:
            raise RequestNotFound("There is no request with this id.")
        return found

    async def open_content(
        self, project_id: str, request_id: str, context: KeyContext
    ) -> ContentAnswer:
        """See Requests."""
        await self._note("content", project_id, request_id, context)
        return self.content[request_id]

    async def export(self, project_id: str, question: ExportQuestion) -> ExportAnswer:
        """See Requests. All of it on one page."""
        self._check()
        found = self.requests.get(project_id, {}).values()
        return ExportAnswer(
            tuple(
                ExportedRequest(
                    request=one.request,
                    attempts=one.attempts,
                    tokens=one.tokens,
                    content=self.content.get(one.request.id),
                )
                for one in found
                if one.request.mode == question.mode
            ),
            None,
        )

    async def cancel(self, project_id: str, request_id: str, context: KeyContext) -> ChangeAnswer:
        """See Requests."""
        await self._note("cancel", project_id, request_id, context)
        return ChangeAnswer(request_id, "cancelled")

    async def retry(self, project_id: str, request_id: str, context: KeyContext) -> ChangeAnswer:
        """See Requests."""
        await self._note("retry", project_id, request_id, context)
        return ChangeAnswer(request_id, "queued")

    async def stats(self, project_id: str, question: StatsQuestion) -> StatsAnswer:
        """See Requests."""
        self._check()
        step = timedelta(hours=1) if question.step == "hour" else timedelta(days=1)
        count = (question.to - question.from_) // step
        rows = self.requests.get(project_id, {}).values()
        ended = sum(one.request.finished_at is not None for one in rows)
        steps = tuple(StatsStep(question.from_ + at * step, Tally()) for at in range(count))
        return StatsAnswer(
            steps=steps,
            total=Tally(completed=ended),
            models=(),
            open=OpenNow(
                queued=len(rows) - ended, processing=0, retrying=0, oldest_created_at=None
            ),
            counted_until=question.to,
        )

    async def standing(self, account_id: str, anchor_day: int) -> AccountStandingAnswer:
        """See Requests."""
        self._check()
        assert account_id
        assert anchor_day in ANCHOR_DAYS
        return AccountStandingAnswer(
            pending=0, pending_test=0, accepted=self.accepted, resets_at=START
        )

    async def test(self, question: TestConnectionQuestion) -> TestConnectionAnswer:
        """See Executors."""
        self._check()
        assert question.connection.sealed_key
        return self.tested

    def _check(self) -> None:
        if self.away is not None:
            raise self.away

    async def _note(self, what: str, project_id: str, request_id: str, context: KeyContext) -> None:
        await self.show(project_id, request_id)
        self.asked.append((what, request_id, context))


def request_answer(request_id: str, **changes: Any) -> RequestAnswer:
    """A completed request without attempts; `changes`: of the row."""
    row = RequestRow(
        id=request_id,
        mode="test",
        model="sim-ok",
        endpoint="chat/completions",
        state="completed",
        attempts=1,
        created_at=START,
        updated_at=START,
        finished_at=START + timedelta(seconds=1),
        last_error_code=None,
        idempotency_key=None,
        retried_from=None,
        not_before=None,
        is_erased=False,
    )
    return RequestAnswer(
        request=msgspec.structs.replace(row, **changes),
        attempts=(),
        tokens=None,
        deadline=None,
        max_attempts=None,
        waits_for=None,
        content_expires_on=date(2026, 12, 1),
    )


class FormOnPage:
    """A form as it stands on a page: where it goes, and what it would send."""

    def __init__(self, action: str, method: str) -> None:
        """Without fields yet."""
        self.action, self.method, self.fields = action, method, dict[str, str]()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[FormOnPage] = []
        self._select: str | None = None
        self._area: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(FormOnPage(given.get("action", ""), given.get("method", "get")))
            return
        if not self.forms:
            return
        fields, name = self.forms[-1].fields, given.get("name", "")
        if tag == "input" and name and given.get("type") not in {"checkbox", "radio"}:
            fields[name] = given.get("value", "")
        elif tag == "input" and name and "checked" in given:
            fields[name] = given.get("value", "on")
        elif tag == "select":
            self._select = name
        elif (
            tag == "option" and self._select and ("selected" in given or self._select not in fields)
        ):
            fields[self._select] = given.get("value", "")
        elif tag == "textarea":
            self._area, fields[name] = name, ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = None
        elif tag == "textarea":
            self._area = None

    def handle_data(self, data: str) -> None:
        if self._area and self.forms:
            self.forms[-1].fields[self._area] += data


class Page:
    """What came back."""

    def __init__(self, response: httpx2.Response) -> None:
        """Read its forms."""
        self.response, self.status, self.html = response, response.status_code, response.text
        reader = _Reader()
        reader.feed(self.html)
        self.forms = reader.forms

    @property
    def path(self) -> str:
        """Where it is, with its query."""
        return self.response.url.raw_path.decode()

    @property
    def text(self) -> str:
        """What a person reads, in one line."""
        bare = re.sub(r"<(script|style|head)\b.*?</\1>", " ", self.html, flags=re.DOTALL)
        return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", bare))).strip()

    def form(self, action: str) -> FormOnPage:
        """The one form that goes there. AssertionError where there is none."""
        found = [form for form in self.forms if form.action.partition("?")[0] == action]
        assert found, (action, [form.action for form in self.forms], self.text[:500])
        return found[0]

    def wrong(self, field: str) -> str:
        """What is said beside a field."""
        found = re.search(rf'id="{re.escape(field)}-wrong">([^<]*)<', self.html)
        return unescape(found.group(1)) if found else ""


class Browser:
    """Keeps cookies, reads forms, sends them as they stand with what is typed, follows on."""

    def __init__(self, url: str) -> None:
        """No cookie yet."""
        self.client = httpx2.AsyncClient(base_url=url, trust_env=False, timeout=30)

    async def get(
        self, path: str, *, follow: bool = True, headers: Mapping[str, str] | None = None
    ) -> Page:
        """A page, wherever it leads."""
        return Page(await self.client.get(path, headers=headers, follow_redirects=follow))

    async def post(self, path: str, fields: Mapping[str, str], *, follow: bool = True) -> Page:
        """Send fields as a form would."""
        sent = dict(fields)
        return Page(await self.client.post(path, data=sent, follow_redirects=follow))

    async def send(self, page: Page, action: str, **typed: str) -> Page:
        """Fill in the form that goes to `action` and send it."""
        form = page.form(action)
        return await self.post(form.action, {**form.fields, **typed})

    async def log_in(self, email: str, password: str) -> Page:
        """Through the log-in page."""
        page = await self.get("/log-in")
        return await self.send(page, "/log-in", email=email, password=password)

    def cookie(self, name: str) -> str | None:
        """What it holds of us."""
        return self.client.cookies.get(f"reqrun_{name}")


class Dashboard:
    """`url`: where it is. `plane`: what stands in for gateways and executors."""

    def __init__(self, url: str, ports: Ports, plane: Plane, billing: BillingStandIn) -> None:
        """It runs already."""
        self.url, self.ports, self.plane, self.billing = url, ports, plane, billing
        self._browsers: list[Browser] = []

    def browser(self) -> Browser:
        """A fresh one."""
        made = Browser(self.url)
        self._browsers.append(made)
        return made

    async def close(self) -> None:
        """Close all browsers."""
        for browser in self._browsers:
            await browser.client.aclose()


@asynccontextmanager
async def running(settings: Settings, ports: Ports) -> AsyncIterator[Dashboard]:
    """The site in this event loop; `ports` but for what the plane and billing answer."""
    plane, billing, port, stop = Plane(), BillingStandIn(), free_ports(), asyncio.Event()
    beside = msgspec.structs.replace(ports, requests=plane, executors=plane, billing=billing)
    site = app.make_site(settings, beside)
    serving = asyncio.ensure_future(serve(site, "127.0.0.1", port)(stop))
    made = Dashboard(f"http://127.0.0.1:{port}", beside, plane, billing)
    try:
        await until(lambda: _answers(made.url))
        yield made
    finally:
        await made.close()
        stop.set()
        await serving


async def _answers(url: str) -> bool:
    async with httpx2.AsyncClient(trust_env=False) as client:
        try:
            return (await client.get(f"{url}/log-in")).is_success
        except httpx2.TransportError:
            return False
