"""Words for what is written down about an account; the codes stay in the files to take along."""

from typing import Final

from services.accounts.domain.audit import Change, Group

GROUPS: Final = (
    (Group.ACCESS, "Access: sign-ups, log-ins, passwords"),
    (Group.KEYS, "Keys: API keys and providers"),
    (Group.DATA, "Data: projects, requests, your rights"),
    (Group.MONEY, "Money: plans, payments, tax details"),
)
WORDS: Final[dict[Change, str]] = {
    Change.ACCOUNT_CREATED: "The account was opened",
    Change.ACCOUNT_VERIFIED: "The e-mail address was verified",
    Change.ACCOUNT_SUSPENDED: "The account was suspended",
    Change.ACCOUNT_RESUMED: "The suspension was lifted",
    Change.ACCOUNT_RESTRICTED: "All processing was paused",
    Change.ACCOUNT_RELEASED: "Processing was let go on",
    Change.LOGGED_IN: "Logged in",
    Change.SIGN_INS_REFUSED: "Log-ins were refused after too many wrong passwords",
    Change.SESSION_ENDED: "A session was ended",
    Change.PASSWORD_CHANGED: "The password was changed",
    Change.PASSWORD_RESET: "The password was set anew with a link from a mail",
    Change.EMAIL_CHANGED: "The e-mail address was changed",
    Change.EMAIL_RESTORED: "The old e-mail address was taken back",
    Change.PROFILE_CHANGED: "The profile was corrected",
    Change.NOTICES_ACCEPTED: "Notices about usage were agreed to",
    Change.NOTICES_DECLINED: "The consent to notices was withdrawn",
    Change.PROJECT_CREATED: "A project was made",
    Change.PROJECT_SET: "A project's settings were changed",
    Change.PROJECT_PAUSED: "A project was paused",
    Change.PROJECT_RESUMED: "A project was resumed",
    Change.PROJECT_DELETED: "A project was erased",
    Change.API_KEY_ISSUED: "An API key was made",
    Change.API_KEY_ROTATED: "An API key was rotated",
    Change.API_KEY_REVOKED: "An API key was revoked",
    Change.PROVIDER_CONNECTION_SET: "A provider was connected",
    Change.PROVIDER_CONNECTION_TESTED: "A provider connection was tested",
    Change.PROVIDER_CONNECTION_REMOVED: "A provider connection was removed",
    Change.CONTENT_REVEALED: "The content of a request was opened",
    Change.REQUEST_CANCELLED: "A request was cancelled",
    Change.REQUEST_RETRIED: "A request was sent again",
    Change.EXPORT_MADE: "The account's data was exported",
    Change.DELETION_STARTED: "The deletion of the account was started",
    Change.DELETION_UNDONE: "The deletion of the account was undone",
    Change.DELETION_DONE: "The account was deleted",
    Change.SUPPORT_SENT: "A message to support was sent",
    Change.SUPPORT_ANSWERED: "Support answered",
    Change.SUPPORT_CLOSED: "A conversation with support was closed",
    Change.PLAN_CHANGED: "The plan changed",
    Change.PLAN_GRANTED: "A plan was granted",
    Change.PLAN_ORDERED: "A change of the plan was ordered",
    Change.CHECKOUT_STARTED: "A checkout was begun",
    Change.PORTAL_OPENED: "The payment provider's pages were opened",
    Change.SUBSCRIPTION_CANCELLED: "The subscription was cancelled",
    Change.SUBSCRIPTION_KEPT: "The cancellation was taken back",
    Change.TAX_DETAILS_CHANGED: "Billing details were changed",
}


def words_of(what: str) -> tuple[str, str]:
    """What happened, and its group. An entry older than today's list keeps its code."""
    try:
        change = Change(what)
    except ValueError:
        return what, ""
    return WORDS.get(change, what), change.group
