"""What accounts refuses, and what it does not find."""

from collections.abc import Mapping
from typing import Final

from libs.common.errors import (
    Conflict,
    Forbidden,
    Gone,
    InvalidInput,
    LimitReached,
    NotFound,
    Unavailable,
)

_NO_GATEWAY: Final = "Requests cannot be looked at right now. They run on; try again in a moment."
_NO_BILLING: Final = (
    "Billing does not answer right now. Your plan stays as it is and requests run on; try again in"
    " a moment."
)


class AccountNotFound(NotFound):
    """No such account."""

    code = "account_not_found"


class ProjectNotFound(NotFound):
    """No such project."""

    code = "project_not_found"


class ApiKeyNotFound(NotFound):
    """No such API key."""

    code = "api_key_not_found"


class InvalidName(InvalidInput):
    """A name nobody could read."""

    code = "invalid_name"


class InvalidEmail(InvalidInput):
    """Not an e-mail address."""

    code = "invalid_email"


class InvalidCountry(InvalidInput):
    """Not a country of ISO 3166-1."""

    code = "invalid_country"


class TermsNotAccepted(InvalidInput):
    """Nobody gets an account without having accepted the terms and the privacy policy."""

    code = "terms_not_accepted"


class WeakPassword(InvalidInput):
    """Too short, too long, or known to everybody."""

    code = "weak_password"


class WrongPassword(InvalidInput):
    """Not the password of this account, or there is no such account: nobody is told which."""

    code = "wrong_password"


class FieldErrors(InvalidInput):
    """Several fields of one form are wrong. `fields`: what to change, by the field's name."""

    code = "invalid_fields"

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(" ".join(fields.values()))
        self.fields = dict(fields)


class NotVerified(Forbidden):
    """Who signed up has not shown yet that the address is theirs: there are test keys only."""

    code = "not_verified"


class MailDelayed(Unavailable):
    """The relay is away, or asks to come back later. `status_code`: its reply, 0 without one."""

    code = "mail_delayed"

    def __init__(self, status_code: int = 0) -> None:
        super().__init__("The mail relay does not take this mail now.")
        self.status_code = status_code


class MailRefused(Conflict):
    """The relay will never take this mail. `status_code`: its reply."""

    code = "mail_refused"

    def __init__(self, status_code: int) -> None:
        super().__init__("The mail relay refuses this mail for good.")
        self.status_code = status_code


class LinkEnded(Gone):
    """A link that was used, has expired, or never was."""

    code = "link_ended"


class TooManyTries(LimitReached):
    """As often as a person needs, and no more."""

    code = "too_many_tries"


class InvalidBaseUrl(InvalidInput):
    """Not an address that an OpenAI-compatible provider could have."""

    code = "invalid_base_url"


class InvalidProviderKey(InvalidInput):
    """Not a text that fits into an Authorization header."""

    code = "invalid_provider_key"


class SupportMessageNotFound(NotFound):
    """No such support message, or not in this account."""

    code = "support_message_not_found"


class PersonNotFound(NotFound):
    """Nobody logs in with this address, or to this account."""

    code = "person_not_found"


class InvalidReason(InvalidInput):
    """Nobody said why, or not in one line."""

    code = "invalid_reason"


class InvalidOverlap(InvalidInput):
    """Old and new key would both be good for longer than anybody needs to change over."""

    code = "invalid_overlap"


class InvalidProjectSettings(InvalidInput):
    """A limit of nothing, or no change at all."""

    code = "invalid_project_settings"


class SealsBroken(Conflict):
    """Some sealed values open with none of the private keys at hand."""

    code = "seals_broken"


class InvalidSealingKeys(InvalidInput):
    """The private keys at hand are none, or do not fit the public ones in the settings."""

    code = "invalid_sealing_keys"


class InvalidExpiry(InvalidInput):
    """A key that would be expired from its first moment, or never in practice."""

    code = "invalid_expiry"


class InvalidDigests(InvalidInput):
    """The question holds too many digests, or one that is none."""

    code = "invalid_digests"


class DemoForbidden(Forbidden):
    """Demo keys have no place in production."""

    code = "demo_forbidden"


class AlreadySent(Conflict):
    """What this form was to make is there already: it came twice."""

    code = "already_sent"


class ChangedElsewhere(Conflict):
    """What the page showed is not what stands there any more: it was open in another tab."""

    code = "changed_elsewhere"


class ApiKeyEnded(Conflict):
    """The API key is revoked, expired or rotated: there is nothing left to hand over."""

    code = "api_key_ended"


class InvalidAnnouncement(InvalidInput):
    """A change of the policy that cannot be told like that."""

    code = "invalid_announcement"


class TooManyProjects(LimitReached):
    """As many as the plan has room for."""

    code = "too_many_projects"


class ErasureNotConfirmed(Conflict):
    """Nobody said yes to what cannot be undone."""

    code = "erasure_not_confirmed"


class DemoExists(Conflict):
    """The demo accounts are there, and their keys were shown once already."""

    code = "demo_exists"


class ExecutionPlaneAway(Unavailable):
    """No gateway answers, or not with anything that can be used."""

    code = "execution_plane_away"

    def __init__(self, text: str = _NO_GATEWAY) -> None:
        super().__init__(text)


class BooksNotOpen(Unavailable):
    """Billing has not heard of the account yet: it is told within seconds of the sign-up."""

    code = "billing_books_not_open"


class InvoiceNotFound(NotFound):
    """No such invoice, or not of this account."""

    code = "invoice_not_found"


class BillingAway(Unavailable):
    """Billing does not answer, or not with anything that can be used.

    Whether what was asked for was done is unknown; everything here may be asked for again.
    """

    code = "billing_away"

    def __init__(self, text: str = _NO_BILLING) -> None:
        super().__init__(text)


class NoProviderConnection(NotFound):
    """The project has no provider yet."""

    code = "no_provider_connection"


class DeletionBegun(Conflict):
    """The account's data is being destroyed: there is no way back any more."""

    code = "deletion_begun"


class AccountLeaving(Conflict):
    """The account is about to be deleted: it gets nothing new."""

    code = "account_leaving"
