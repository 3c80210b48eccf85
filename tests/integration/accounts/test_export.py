"""An account's data in one ZIP file."""

import io
import json
import zipfile
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from libs.common.contracts.accounts import KeyContext
from libs.common.contracts.gateway import (
    ContentAnswer,
    ExportAnswer,
    ExportedRequest,
    ExportQuestion,
    RequestRow,
    RequestsAnswer,
    RequestsQuestion,
)
from libs.common.settings import Secret
from services.accounts.domain.audit import OPERATOR, Filter
from services.accounts.domain.errors import (
    ExecutionPlaneAway,
    FieldErrors,
    TooManyTries,
)
from services.accounts.domain.keys import NewKey, Purpose
from services.accounts.domain.support import Draft, Kind
from services.accounts.models import Project
from services.accounts.ports import Ports
from services.accounts.repositories.people import Held
from services.accounts.use_cases import (
    audit,
    connections,
    export,
    keys,
    projects,
    support,
)
from tests.support.billing_stand_in import BillingStandIn
from tests.support.customers import NETWORK, PASSWORD, customer
from tests.support.frozen_clock import START, FrozenClock

PROVIDER_KEY = "sk-canary-0123456789abcdefWXYZ"
PROMPT = b'{"messages": [{"role": "user", "content": "canary"}]}'

CONTENT = ContentAnswer(request=PROMPT, result=b"no json", errors={1: b"{}"}, gone=None)


class Gateways:
    """Answers as gateways do (contract: libs/common/contracts/gateway.py), as long as it is there.

    `answers`: how many more it gives before it goes away; None: it stays. `sealed`: what does not
    open; `poisoned`: what cannot even be tried.
    """

    def __init__(self, counts: dict[tuple[str, str], int]) -> None:
        self.counts = counts
        self.answers: int | None = None
        self.opened: list[KeyContext] = []
        self.pages = 0
        self.sealed: set[str] = set()
        self.poisoned: set[str] = set()

    def go_away_after(self, answers: int) -> None:
        self.answers = answers

    def _answer(self) -> None:
        if self.answers is None:
            return
        if self.answers == 0:
            raise ExecutionPlaneAway
        self.answers -= 1

    async def list_requests(self, _: str, question: RequestsQuestion) -> RequestsAnswer:
        self._answer()
        assert question.limit == 1
        return RequestsAnswer((), None)

    async def export(self, project_id: str, question: ExportQuestion) -> ExportAnswer:
        self._answer()
        self.pages += 1
        count = self.counts.get((project_id, question.mode), 0)
        start = int(question.before or 0)
        numbers = range(start, min(start + question.limit, count))
        found = tuple(self._one(project_id, question, number) for number in numbers)
        return ExportAnswer(found, str(numbers.stop) if numbers.stop < count else None)

    def _one(self, project_id: str, question: ExportQuestion, number: int) -> ExportedRequest:
        request_id, context = f"rr_{question.mode}_{number}", question.context
        if context is not None:
            assert (context.project_id, context.mode) == (project_id, question.mode)
            self.opened.append(context)
            if request_id in self.poisoned:
                raise ExecutionPlaneAway
        is_told = context is not None and request_id not in self.sealed
        return ExportedRequest(
            request=row(request_id, question.mode),
            attempts=(),
            tokens=None,
            content=CONTENT if is_told else None,
        )


def row(request_id: str, mode: Any) -> RequestRow:
    return RequestRow(
        id=request_id,
        mode=mode,
        model="gpt-5-nano",
        endpoint="chat/completions",
        state="completed",
        attempts=1,
        created_at=START,
        updated_at=START,
        finished_at=START,
        last_error_code=None,
        idempotency_key=None,
        retried_from=None,
        not_before=None,
        is_erased=False,
    )


@pytest.fixture
async def held(ports: Ports) -> Held:
    return await customer(ports)


@pytest.fixture
async def project(ports: Ports, held: Held) -> Project:
    return await projects.create(ports, held.person.account_id, "Chat", actor=OPERATOR)


@pytest.fixture
def gateways(project: Project) -> Gateways:
    return Gateways({(project.id, "live"): 230, (project.id, "test"): 3})


@pytest.fixture
def ports_out(ports: Ports, gateways: Gateways) -> Ports:
    """With gateways and a billing that answer."""
    return msgspec.structs.replace(ports, requests=gateways, billing=BillingStandIn())


async def taken(ports: Ports, held: Held) -> zipfile.ZipFile:
    made = await export.begin(ports, held, PASSWORD)
    content = b"".join([chunk async for chunk in made.chunks])
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert archive.testzip() is None
    return archive


def opened(archive: zipfile.ZipFile, name: str) -> Any:
    return json.loads(archive.read(name))


async def test_everything_of_an_account_is_in_it_and_no_secret(
    ports_out: Ports, held: Held, project: Project
) -> None:
    ports, person = ports_out, held.person
    wish = NewKey(project_id=project.id, mode="live", name="mine", purpose=Purpose.SIGNED)
    key = await keys.issue(ports, wish, actor=OPERATOR)
    connection = connections.NewConnection(
        project_id=project.id, base_url="https://api.openai.com/v1", key=Secret(PROVIDER_KEY)
    )
    await connections.put(ports, connection, actor=OPERATOR)
    draft = Draft(kind=Kind.QUESTION, subject="Why", text="Tell me.")
    sent = await support.send(ports, person, draft, NETWORK)
    await support.answer(ports, sent.id, "Because.")

    archive = await taken(ports, held)

    assert opened(archive, "account.json")["id"] == person.account_id
    assert opened(archive, "person.json")["email"] == "ada@example.org"
    assert [one["network"] for one in opened(archive, "sessions.json")] == [NETWORK]
    assert [one["name"] for one in opened(archive, "projects.json")] == ["Chat"]
    assert [one["last_four"] for one in opened(archive, "api_keys.json")] == [key.text[-4:]]
    assert [one["key_hint"] for one in opened(archive, "provider_connections.json")] == ["sk-…WXYZ"]
    [thread] = opened(archive, "support.json")
    assert [entry["text"] for entry in thread["entries"]] == ["Tell me.", "Because."]
    mails = [mail["kind"] for mail in opened(archive, "mails.json")]
    assert mails[:2] == ["verify", "welcome"]
    assert "support_new" not in mails
    assert opened(archive, "audit.json")[0]["what"] == "export.made"
    everything = b"".join(archive.read(name) for name in archive.namelist())
    secrets = (key.text, key.signing_secret or "", PROVIDER_KEY, person.password_hash, PASSWORD)
    for secret in secrets:
        assert secret.encode() not in everything
    readme = archive.read("README.txt").decode()
    for name in archive.namelist():
        assert name.startswith("requests/") or name == "README.txt" or name in readme


async def test_requests_are_in_it_with_their_content(
    ports_out: Ports, held: Held, project: Project, gateways: Gateways
) -> None:
    archive = await taken(ports_out, held)

    live = opened(archive, f"requests/{project.id}-live.json")
    test = opened(archive, f"requests/{project.id}-test.json")
    assert [one["request"]["id"] for one in live] == [f"rr_live_{number}" for number in range(230)]
    assert len(test) == 3
    assert gateways.pages == 4
    assert live[0]["content"] == {
        "request": json.loads(PROMPT),
        "result": "no json",
        "errors": {"1": {}},
        "gone": None,
    }
    assert {context.key_id for context in gateways.opened} == {held.person.id}
    assert "requests/INCOMPLETE.txt" not in archive.namelist()


async def test_what_is_erased_is_listed_without_content(
    ports_out: Ports, held: Held, project: Project, gateways: Gateways
) -> None:
    await projects.erase(ports_out, project.id, actor=OPERATOR, is_sure=True)

    archive = await taken(ports_out, held)

    live = opened(archive, f"requests/{project.id}-live.json")
    assert {one["content"] for one in live} == {None}
    assert gateways.opened == []


async def test_nothing_is_begun_while_gateways_are_away(
    ports_out: Ports, held: Held, gateways: Gateways
) -> None:
    gateways.go_away_after(0)

    for _ in range(6):  # none of them counts
        with pytest.raises(ExecutionPlaneAway):
            await export.begin(ports_out, held, PASSWORD)

    page = await audit.list_page(ports_out, held.person.account_id, Filter())
    assert "export.made" not in {event.what for event in page.events}
    gateways.answers = None
    await taken(ports_out, held)


async def test_a_file_from_which_gateways_went_away_is_whole_and_says_what_is_missing(
    ports_out: Ports, held: Held, project: Project, gateways: Gateways
) -> None:
    gateways.go_away_after(2)

    archive = await taken(ports_out, held)

    live = opened(archive, f"requests/{project.id}-live.json")
    assert len(live) == 100
    missing = archive.read("requests/INCOMPLETE.txt").decode()
    assert f"{project.id}-live.json" in missing
    assert f"{project.id}-test.json" in missing
    assert opened(archive, "audit.json")[0]["what"] == "export.made"


async def test_content_that_does_not_open_costs_nobody_the_rest(
    ports_out: Ports, held: Held, project: Project, gateways: Gateways
) -> None:
    usual = opened(await taken(ports_out, held), f"requests/{project.id}-live.json")
    gateways.sealed = {f"rr_live_{number}" for number in range(7, 137)}

    archive = await taken(ports_out, held)

    live = opened(archive, f"requests/{project.id}-live.json")
    assert len(live) == len(usual)
    assert {one["request"]["id"] for one in live if one["content"] is None} == set(gateways.sealed)
    missing = archive.read("requests/INCOMPLETE.txt").decode()
    assert all(request_id in missing for request_id in gateways.sealed)


async def test_what_no_page_can_be_made_of_costs_nobody_the_rest(
    ports_out: Ports, held: Held, project: Project, gateways: Gateways
) -> None:
    gateways.poisoned = {"rr_live_7", "rr_live_190"}

    archive = await taken(ports_out, held)

    live = opened(archive, f"requests/{project.id}-live.json")
    assert [one["request"]["id"] for one in live] == [f"rr_live_{number}" for number in range(230)]
    closed = {one["request"]["id"] for one in live if one["content"] is None}
    assert closed == gateways.poisoned
    missing = archive.read("requests/INCOMPLETE.txt").decode()
    assert all(request_id in missing for request_id in closed)
    assert "not whole" not in missing


async def test_whoever_does_not_know_the_password_gets_nothing(
    ports_out: Ports, held: Held, gateways: Gateways
) -> None:
    with pytest.raises(FieldErrors):
        await export.begin(ports_out, held, "wrong-wrong-wrong")

    assert gateways.opened == []
    page = await audit.list_page(ports_out, held.person.account_id, Filter())
    assert "export.made" not in {event.what for event in page.events}


async def test_five_a_day_are_enough(ports_out: Ports, held: Held, clock: FrozenClock) -> None:
    for _ in range(5):
        await export.begin(ports_out, held, PASSWORD)

    with pytest.raises(TooManyTries):
        await export.begin(ports_out, held, PASSWORD)
    clock.advance(timedelta(days=1))
    await export.begin(ports_out, held, PASSWORD)


async def test_a_stranger_is_not_in_it(ports_out: Ports, held: Held, project: Project) -> None:
    other = await customer(ports_out, "bob@example.org", "Bob")
    draft = Draft(kind=Kind.QUESTION, subject="Bobs subject", text="Bobs secret.")
    await support.send(ports_out, other.person, draft, NETWORK)

    archive = await taken(ports_out, held)
    of_other = await taken(ports_out, other)

    everything = b"".join(archive.read(name) for name in archive.namelist())
    for theirs in (other.person.id, other.person.account_id, "bob@example.org", "Bobs "):
        assert theirs.encode() not in everything
    assert opened(of_other, "projects.json") == []
    assert project.id.encode() not in b"".join(of_other.read(n) for n in of_other.namelist())


async def test_whoever_stops_reading_leaves_nothing_open(ports_out: Ports, held: Held) -> None:
    made = await export.begin(ports_out, held, PASSWORD)
    begun = [await anext(made.chunks) for _ in range(4)]

    await made.chunks.aclose()

    assert begun[0].startswith(b"PK")
    with pytest.raises(StopAsyncIteration):
        await anext(made.chunks)
