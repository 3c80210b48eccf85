"""A project as its people see it: asked about as accounts asks, its requests run by hand."""

from datetime import timedelta

import msgspec

from libs.common.contracts.accounts import KeyContext
from libs.common.contracts.gateway import RequestsQuestion
from libs.ledger.claim import Claim
from libs.ledger.states import Outcome, State
from services.accounts.adapters.gateway import HttpRequests
from tests.support.accounts_stand_in import AccountsStandIn
from tests.support.gateways import Gateway
from tests.support.ledgers import Bench, ending, retry

RESULT = b'{"object":"chat.completion","choices":[]}'
ERROR = b'{"error":{"message":"no","type":"invalid_request_error","code":"bad"}}'


class Acting:
    """A project with a key, whose requests a test runs by hand."""

    def __init__(self, gateway: Gateway, accounts: AccountsStandIn, ledger: Bench) -> None:
        self.gateway, self.accounts, self.ledger = gateway, accounts, ledger
        self.key = accounts.issue()

    async def submit(self, **fields: object) -> str:
        return str((await self.gateway.accept(self.key, **fields)).json()["id"])

    async def claim(self, request_id: str) -> Claim:
        return (await self.ledger.claim(request_id))[0]

    async def complete(self, request_id: str) -> None:
        claim = await self.claim(request_id)
        await self.ledger.finish(self.accounts.sealed(claim, ending(claim, result=RESULT)))

    async def fail(self, request_id: str) -> None:
        claim = await self.claim(request_id)
        failed = ending(
            claim,
            state=State.FAILED,
            outcome=Outcome.PERMANENT,
            error_code="provider_rejected",
            status_code=400,
            result=None,
            provider_error=ERROR,
        )
        await self.ledger.finish(self.accounts.sealed(claim, failed))


class Project(Acting):
    """Is asked about as accounts asks."""

    def __init__(
        self,
        gateway: Gateway,
        accounts: AccountsStandIn,
        ledger: Bench,
        asking: HttpRequests,
    ) -> None:
        super().__init__(gateway, accounts, ledger)
        self.asking = asking

    @property
    def context(self) -> KeyContext:
        """As accounts makes one for a person."""
        return msgspec.structs.replace(self.accounts.of(self.key), digest="", key_id="usr_a")

    @property
    def id(self) -> str:
        return self.context.project_id

    async def refuse(self, request_id: str, after: timedelta = timedelta()) -> None:
        """The provider wants us to wait."""
        claim = await self.claim(request_id)
        refused = retry(claim, after, status_code=429, provider_error=ERROR)
        asked = msgspec.structs.replace(
            refused, retry_rule="retry-after", provider_headers='{"retry-after":"2"}'
        )
        await self.ledger.finish(self.accounts.sealed(claim, asked))

    async def ids(self, **filters: object) -> list[str]:
        question = RequestsQuestion(**({"mode": "live"} | filters))  # type: ignore[arg-type]
        found = await self.asking.list_requests(self.id, question)
        return [one.id for one in found.requests]
