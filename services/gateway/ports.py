"""What the gateway needs from outside, in one bundle."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from libs.common.clock import Clock
from libs.common.contracts.accounts import KeyContext, KeyDigests
from libs.common.contracts.gateway import Ended
from libs.ledger.accept import Hint, Submission, Verdict
from libs.ledger.cancel import CancelAnswer, Change
from libs.ledger.counters import Counters
from libs.ledger.erase import EraseAnswer
from libs.ledger.export import ExportPage
from libs.ledger.list_requests import Listed, ListQuestion
from libs.ledger.look import Question, Standing
from libs.ledger.nonces import Nonce
from libs.ledger.original import Original
from libs.ledger.reveal import Revealed
from libs.ledger.show import Shown
from libs.ledger.stats import Stats, StatsLimits, StatsRange
from libs.ledger.timeline import Attempt
from libs.ledger.usage import EndedPage, TallyPage, UsageRange
from services.gateway.domain.rates import RateAsk, RateGrant


class Ledger(Protocol):
    """The gateway's hand on the request ledger. Everything raises LedgerAway."""

    async def accept(self, submission: Submission) -> Verdict:
        """Store it; returns after COMMIT. Raises ItemRefused. LedgerAway: perhaps stored."""
        ...

    async def spend(self, nonce: Nonce) -> bool:
        """Spend the nonce of a read; False where it was spent before."""
        ...

    async def look(self, question: Question) -> Standing | None:
        """Where a request stands."""
        ...

    async def find_final(self, questions: Sequence[Question]) -> set[str]:
        """The ids of those that are final; one statement, no bodies."""
        ...

    async def list_requests(self, asked: ListQuestion) -> list[Listed]:
        """A page of a project's requests, newest first."""
        ...

    async def cancel(self, change: Change) -> CancelAnswer:
        """End one that is open."""
        ...

    async def erase(self, change: Change) -> EraseAnswer:
        """Destroy the content of one."""
        ...

    async def find_original(self, question: Question) -> Original | None:
        """What a retry repeats."""
        ...

    async def timeline(self, question: Question) -> list[Attempt] | None:
        """A request's attempts, first to last."""
        ...

    async def show(self, project_id: str, request_id: str) -> Shown | None:
        """One request whole, of either mode."""
        ...

    async def reveal(self, question: Question) -> Revealed | None:
        """All that is kept of a request's content, sealed."""
        ...

    async def export_page(self, asked: ListQuestion, *, has_content: bool) -> ExportPage:
        """A page of a project's requests whole, newest first, sealed."""
        ...

    async def read_stats(self, of: StatsRange, limits: StatsLimits) -> Stats:
        """What ended in a range of time, and what is open."""
        ...

    async def read_counters(self, account_id: str, anchor_day: int) -> Counters:
        """The counters that enforce an account's limits."""
        ...

    async def tally_usage(self, of: UsageRange) -> TallyPage:
        """What a page of live requests adds up to, by account and day."""
        ...

    async def list_ended(self, of: UsageRange, account_ids: list[str]) -> EndedPage:
        """The final ones of these accounts in a page of live requests."""
        ...

    async def list_erasing(self) -> list[str]:
        """Accounts whose projects are being erased."""
        ...


class Hints(Protocol):
    """Tells executors that a row is ready."""

    def send(self, hint: Hint) -> None:
        """Returns at once. A hint that is lost costs seconds: the dispatcher sends it again."""
        ...


class Accounts(Protocol):
    """Knows whose an API key is."""

    async def resolve(self, keys: Sequence[KeyDigests]) -> Mapping[str, KeyContext]:
        """Contexts by newest digest; an unknown or revoked one is absent. Raises AccountsAway."""
        ...


class LastContext(msgspec.Struct, frozen=True):
    """What accounts said about a key, and when it was asked."""

    context: KeyContext
    confirmed_at: datetime


class LastContexts(Protocol):
    """What accounts last said, for when it says nothing. Never raises: it may be away too."""

    async def find(self, digests: Sequence[str]) -> Mapping[str, LastContext]:
        """By digest; what is not there is absent."""
        ...

    def keep(self, contexts: Sequence[LastContext], *, gone: Sequence[str]) -> None:
        """Keep `contexts`, forget `gone`. Returns at once."""
        ...


class Models(Protocol):
    """Knows what models a project's provider has."""

    async def list_models(self, project_id: str, mode: str) -> msgspec.Raw:
        """A JSON array, as the provider wrote it. Raises NoProviderConnection, ModelsAway."""
        ...


class WakeUps(Protocol):
    """Tells waiting gateways that requests are final. May be lost; never waited for."""

    def tell(self, ended: Sequence[Ended]) -> None:
        """Returns at once."""
        ...


class Rates(Protocol):
    """Knows how often a key and its project may call. Never raises, never keeps anybody long."""

    async def take(self, ask: RateAsk) -> RateGrant:
        """A token for one call, or how long until there is one."""
        ...


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """All of them. `upgrade_url`: where a person chooses a larger plan; None where nobody can."""

    ledger: Ledger
    hints: Hints
    accounts: Accounts
    last_contexts: LastContexts
    rates: Rates
    wakeups: WakeUps
    models: Models
    clock: Clock
    upgrade_url: str | None = None
