"""Questions of other services: `/internal`, on a port that no ingress routes."""

import re
from typing import Any, Final

import msgspec
from litestar import Router, get, post
from litestar.params import FromPath, JSONBody

from libs.common.contracts.gateway import (
    AccountStandingAnswer,
    ChangeAnswer,
    ContentAnswer,
    ExportAnswer,
    ExportQuestion,
    OwnerQuestion,
    RequestAnswer,
    RequestsAnswer,
    RequestsQuestion,
    StandingQuestion,
)
from libs.common.contracts.stats import StatsAnswer, StatsQuestion
from libs.common.crypto import SealingKeyring
from libs.common.ids import is_id
from libs.common.tokens import TokenVerifier
from libs.common.web.guards import service_token
from libs.ledger.list_requests import ListQuestion
from libs.ledger.states import State
from services.gateway.api import answers
from services.gateway.api.queries import AnyRequest, read_query
from services.gateway.domain.errors import UnsupportedParameter
from services.gateway.domain.ranges import steps_of
from services.gateway.ports import Ports
from services.gateway.use_cases import exporting, overseeing, requests
from services.gateway.use_cases.entrance import Guest
from services.gateway.use_cases.following import PREFIX
from services.gateway.use_cases.waiting import WaitingRoom

_NAME: Final = re.compile(r"[0-9A-Za-z_]{1,64}", re.ASCII)


class Overseers(msgspec.Struct, frozen=True):
    """What the answers are made with. `keyring`: opens data keys."""

    ports: Ports
    room: WaitingRoom
    keyring: SealingKeyring


def routes(over: Overseers, verifier: TokenVerifier) -> Router:
    """Who asks what: accounts about the requests of projects, and about accounts' counters."""
    return Router(
        "/internal",
        guards=[service_token(verifier, "accounts")],
        route_handlers=[*_reading(over.ports), _exporting(over), *_acting(over)],
    )


def _reading(ports: Ports) -> list[Any]:
    @get("/projects/{project_id:str}/requests")
    async def list_requests(project_id: FromPath[str], request: AnyRequest) -> RequestsAnswer:
        asked = read_query(request, RequestsQuestion)
        found, has_more = await requests.list_page(ports, _list_question(project_id, asked))
        return answers.requests(found, asked.mode, has_more=has_more)

    @get("/projects/{project_id:str}/requests/{request_id:str}")
    async def show(project_id: FromPath[str], request_id: FromPath[str]) -> RequestAnswer:
        return answers.request(await overseeing.show(ports, _named(project_id), request_id))

    @get("/projects/{project_id:str}/stats")
    async def show_stats(project_id: FromPath[str], request: AnyRequest) -> StatsAnswer:
        asked = read_query(request, StatsQuestion)
        found = await overseeing.read_stats(ports, _named(project_id), asked)
        return answers.stats(found, steps_of(asked))

    @get("/accounts/{account_id:str}/standing")
    async def show_standing(
        account_id: FromPath[str], request: AnyRequest
    ) -> AccountStandingAnswer:
        asked = read_query(request, StandingQuestion)
        return answers.counters(await overseeing.read_counters(ports, _named(account_id), asked))

    return [list_requests, show, show_stats, show_standing]


def _exporting(over: Overseers) -> Any:
    @post("/projects/{project_id:str}/export", status_code=200)
    async def export(project_id: FromPath[str], data: JSONBody[ExportQuestion]) -> ExportAnswer:
        caller = None
        if data.context is not None:
            caller = overseeing.owner(over.keyring, project_id, data.context)
        whole = RequestsQuestion(mode=data.mode, before=data.before, limit=data.limit)
        asked = _list_question(project_id, whole)
        page, has_more = await exporting.export_page(over.ports, asked, caller)
        return answers.export(page, data.mode, has_more=has_more)

    return export


def _acting(over: Overseers) -> list[Any]:
    @post("/projects/{project_id:str}/requests/{request_id:str}/content", status_code=200)
    async def open_content(
        project_id: FromPath[str], request_id: FromPath[str], data: JSONBody[OwnerQuestion]
    ) -> ContentAnswer:
        caller = overseeing.owner(over.keyring, project_id, data.context)
        return answers.content(await overseeing.open_content(over.ports, caller, request_id))

    @post("/projects/{project_id:str}/requests/{request_id:str}/cancel", status_code=200)
    async def cancel(
        project_id: FromPath[str], request_id: FromPath[str], data: JSONBody[OwnerQuestion]
    ) -> ChangeAnswer:
        caller = overseeing.owner(over.keyring, project_id, data.context)
        guest = Guest(caller, b"", None)
        return answers.change(await requests.cancel(over.ports, guest, request_id))

    @post("/projects/{project_id:str}/requests/{request_id:str}/retry", status_code=200)
    async def retry(
        project_id: FromPath[str], request_id: FromPath[str], data: JSONBody[OwnerQuestion]
    ) -> ChangeAnswer:
        caller = overseeing.owner(over.keyring, project_id, data.context)
        return answers.change(await overseeing.retry(over.ports, over.room, caller, request_id))

    return [open_content, cancel, retry]


def _list_question(project_id: str, asked: RequestsQuestion) -> ListQuestion:
    """One more than is shown tells whether there is another page."""
    if asked.before is not None and not is_id(PREFIX, asked.before):
        raise UnsupportedParameter("`before` must be the `before` of the page that came before.")
    return ListQuestion(
        project_id=_named(project_id),
        mode=asked.mode,
        states=frozenset(State(name) for name in asked.state) or None,
        created_after=asked.created_after,
        created_before=asked.created_before,
        model=asked.model,
        idempotency_key=asked.idempotency_key,
        before_id=asked.before,
        limit=asked.limit + 1,
    )


def _named(owner_id: str) -> str:
    """An id that a database takes. Raises UnsupportedParameter."""
    if not _NAME.fullmatch(owner_id):
        raise UnsupportedParameter("The path names no project or account.")
    return owner_id
