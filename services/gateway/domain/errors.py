"""What the gateway refuses, each with its public code (docs/api.md, "Errors")."""

from datetime import datetime, timedelta

from libs.common import errors


class InvalidJson(errors.InvalidInput):
    """The body is not JSON, not UTF-8, or nested too deep."""

    code = "invalid_json"


class InvalidBody(errors.InvalidInput):
    """The body is JSON, but a field is not what it must be; the text names the field."""

    code = "invalid_body"


class InvalidHeader(errors.InvalidInput):
    """A header is there twice, or asks for what we do not do."""

    code = "invalid_header"


class UnsupportedParameter(errors.InvalidInput):
    """A parameter that exists elsewhere and not (yet) here."""

    code = "unsupported_parameter"


class BodyTimedOut(errors.InvalidInput):
    """The body did not arrive in time. A 400: proxies repeat a 408 of their own accord."""

    code = "request_timeout"


class BodyTooLarge(errors.TooLarge):
    """More bytes than this gateway, or this plan, takes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body is larger than the {limit} bytes that are taken here.")


class NoProviderConnection(errors.InvalidInput):
    """A live key whose project does not say where to send requests."""

    code = "no_provider_connection"

    def __init__(self) -> None:
        super().__init__(
            "This project has no provider connection yet. Add one in the dashboard, "
            "or use a test key."
        )


class MissingApiKey(errors.Unauthenticated):
    """No bearer key in the call."""

    code = "missing_api_key"

    def __init__(self) -> None:
        super().__init__("Send your API key as `Authorization: Bearer reqrun_…`.")


class InvalidApiKey(errors.Unauthenticated):
    """A key that is misspelt, unknown or revoked: the three look the same on purpose."""

    code = "invalid_api_key"

    def __init__(self) -> None:
        super().__init__("This API key is not valid. It may be misspelt or revoked.")


class MissingSignature(errors.Unauthenticated):
    """A key that must sign, used without a signature."""

    code = "missing_signature"

    def __init__(self) -> None:
        super().__init__(
            "This key has a signing secret, so every call with it must be signed: send "
            "`X-ReqRun-Timestamp`, `X-ReqRun-Nonce` and `X-ReqRun-Signature`."
        )


class InvalidSignature(errors.Unauthenticated):
    """A signature, nonce or timestamp that cannot be right, or does not match."""

    code = "invalid_signature"


class StaleTimestamp(errors.Unauthenticated):
    """Signed too long ago, or by a clock that is ahead of ours."""

    code = "stale_timestamp"

    def __init__(self, window: timedelta) -> None:
        super().__init__(
            f"The timestamp is more than {window.total_seconds():.0f} seconds from our clock (see "
            "the `Date` header). Set your clock, and sign each try anew."
        )


class NonceReused(errors.Unauthenticated):
    """The same signed call a second time."""

    code = "nonce_reused"

    def __init__(self) -> None:
        super().__init__(
            "This nonce was used before. Sign each try anew; to repeat a request safely, keep its "
            "idempotency key."
        )


class ProjectSuspended(errors.Forbidden):
    """The account may not use the service now."""

    code = "project_suspended"

    def __init__(self) -> None:
        super().__init__("This project is suspended. See the dashboard for the reason.")


class AddressNotAllowed(errors.Forbidden):
    """The project takes calls from certain networks only."""

    code = "address_not_allowed"

    def __init__(self) -> None:
        super().__init__("This project does not take calls from your network address.")


class RateLimited(errors.LimitReached):
    """Too many calls a minute."""

    code = "rate_limit_exceeded"

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__(
            "Too many calls a minute for this key or project. Wait as `Retry-After` says.",
            retry_after=retry_after,
        )


class AddressRateLimited(errors.LimitReached):
    """Too many failed authentications from one network address."""

    code = "address_rate_limited"

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__(
            "Too many failed authentications from your network address. Check the API key, and "
            "wait as `Retry-After` says.",
            retry_after=retry_after,
        )


class PendingLimitReached(errors.LimitReached):
    """The account has as many open requests as its plan allows."""

    code = "pending_limit_exceeded"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"This account has {limit} unfinished requests, as many as its plan allows. Wait for "
            "some to finish, or cancel some.",
            retry_after=timedelta(seconds=5),
        )


class MonthlyQuotaReached(errors.LimitReached):
    """The account has used up its period. `upgrade_url`: where a person gets a larger plan."""

    code = "monthly_quota_exceeded"

    def __init__(
        self, limit: int, resets_at: datetime, now: datetime, *, upgrade_url: str | None = None
    ) -> None:
        more = f" For more before then, choose a larger plan: {upgrade_url}" if upgrade_url else ""
        super().__init__(
            f"This account has used the {limit} requests a month of its plan. The count starts "
            f"anew on {resets_at:%Y-%m-%d} (00:00 UTC).{more}",
            retry_after=resets_at - now,
        )
        self.resets_at = resets_at


class IdempotencyConflict(errors.Conflict):
    """An idempotency key that belongs to another request."""

    code = "idempotency_conflict"

    def __init__(self, request_id: str) -> None:
        super().__init__(
            f"This idempotency key was used for {request_id}, with another body. Use a new key for "
            "a new request."
        )


class AlreadyFinished(errors.Conflict):
    """It is final: there is nothing left to cancel."""

    code = "already_finished"

    def __init__(self, status: str) -> None:
        super().__init__(f"This request is {status}. Only an unfinished one can be cancelled.")


class NotFailed(errors.Conflict):
    """Only a failed request is retried."""

    code = "not_failed"

    def __init__(self, status: str) -> None:
        super().__init__(f"This request is {status}. Only a failed one can be retried.")


class WaitTimedOut(errors.TimedOut):
    """A drop-in call whose result did not come in time; the request goes on."""

    code = "wait_timeout"

    def __init__(self, request_id: str) -> None:
        super().__init__(
            f"The result did not come in time. The request goes on as {request_id}: ask for it at "
            f"/v1/requests/{request_id}."
        )


class RequestNotFound(errors.NotFound):
    """No such request, or another project's, or of the other mode."""

    code = "request_not_found"

    def __init__(self) -> None:
        super().__init__("There is no such request in this project and mode.")


class ResultErased(errors.Gone):
    """The request is completed, its result is not kept any more."""

    code = "result_erased"

    def __init__(self) -> None:
        super().__init__("The result of this request has expired or was erased.")


class ContentUnreadable(errors.Unavailable):
    """A seal that does not open with the keys at hand."""

    def __init__(self) -> None:
        super().__init__("The stored content cannot be opened right now.")


class ModelsAway(errors.Unavailable):
    """No executor, or not the provider, tells its models now."""

    def __init__(self) -> None:
        super().__init__(
            "The provider's models cannot be listed right now. Try again in a moment.",
            retry_after=timedelta(seconds=5),
        )


class AccountsAway(errors.Unavailable):
    """Accounts does not answer, and nothing recent enough is known about this key."""

    def __init__(self) -> None:
        super().__init__(
            "We cannot check this API key right now. Try again in a moment.",
            retry_after=timedelta(seconds=1),
        )
