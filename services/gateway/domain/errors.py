"""What the gateway refuses, each with its public code (docs/api.md, "Errors")."""

from datetime import timedelta

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
        super().__init__("This key has a signing secret, so every call with it must be signed.")


class ProjectSuspended(errors.Forbidden):
    """The account may not use the service now."""

    code = "project_suspended"

    def __init__(self) -> None:
        super().__init__("This project is suspended. See the dashboard for the reason.")


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


class AccountsAway(errors.Unavailable):
    """Accounts does not answer, and nothing recent enough is known about this key."""

    def __init__(self) -> None:
        super().__init__(
            "We cannot check this API key right now. Try again in a moment.",
            retry_after=timedelta(seconds=1),
        )
